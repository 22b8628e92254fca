"""Answer what was, over all that is on record: searches, lineage, and what was worth what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from makeway.model.lineage import Comparison, Lineage
from makeway.server.identity import AtDesk
from makeway.server.replies import Cursor, Limit, answer, paged
from makeway.server.shapes import documented
from makeway.wire.page import PAGE, Page
from makeway.wire.search import Found, LineageWanted, SearchWanted
from makeway.wire.worth import DatasetView, ModelView, WorthWanted

Sought = Annotated[str, Query(description="A search, such as `metrics.accuracy > 0.9`.")]
Kind = Annotated[str, Query(description="`runs`, `steps`, `models`, `datasets` or `artifacts`.")]
OrderBy = Annotated[
    list[str] | None,
    Query(description="What comes first, such as `metrics.loss ASC`; may be repeated."),
]
Columns = Annotated[
    list[str] | None,
    Query(description="The only parameters, tags, metrics to tell of each; may be repeated."),
]

Steps = Annotated[int, Query(ge=0, le=20, description="How many steps to follow that way.")]
Other = Annotated[str, Query(description="What to compare it with: an artifact, or a run.")]

Metric = Annotated[
    str | None, Query(description="By which metric; else the one by which models are selected.")
]
Mode = Annotated[str | None, Query(description="`max` or `min`: what of it is better.")]

routes = APIRouter(tags=["search"])


def _how(
    order_by: OrderBy = None, columns: Columns = None, limit: Limit = PAGE, cursor: Cursor = None
) -> SearchWanted:
    return SearchWanted(
        order_by=tuple(order_by or ()), columns=tuple(columns or ()), limit=limit, cursor=cursor
    )


How = Annotated[SearchWanted, Depends(_how)]


@routes.get("/search", summary="Search what is on record", **documented(Found))
def search(
    request: Request, desk: AtDesk, how: How, query: Sought = "", kind: Kind = "runs"
) -> Response:
    """Give a page of what fulfils it, and how many there are in all."""
    return answer(request, desk.search(replace(how, query=query, kind=kind)))


@routes.get(
    "/lineage/{ref:path}/diff",
    summary="Say why two artifacts, or two runs, differ",
    **documented(Comparison, problems=(404, 409)),
)
def differences(request: Request, desk: AtDesk, ref: str, other: Other) -> Response:
    """Compare code, parameters, inputs and metrics, back to where the difference begins."""
    return answer(request, desk.differences(ref, other))


@routes.get(
    "/lineage/{ref:path}",
    summary="Show where an artifact comes from, and what became of it",
    **documented(Lineage, problems=(404, 409)),
)
def lineage(request: Request, desk: AtDesk, ref: str, up: Steps = 20, down: Steps = 20) -> Response:
    """Give the artifacts and steps around one artifact, and who used what."""
    return answer(request, desk.lineage(LineageWanted(ref=ref, up=up, down=down)))


def _paging(limit: Limit = PAGE, cursor: Cursor = None) -> tuple[int, str | None]:
    return limit, cursor


Paging = Annotated[tuple[int, str | None], Depends(_paging)]


def _worth(metric: Metric = None, mode: Mode = None) -> WorthWanted:
    return WorthWanted(metric=metric, mode=mode)


Worth = Annotated[WorthWanted, Depends(_worth)]


@routes.get(
    "/datasets",
    summary="Say what each data set adds to a metric",
    **documented(Page[DatasetView], problems=(404,)),
)
def datasets(
    request: Request, desk: AtDesk, worth: Worth, limit: Limit = PAGE, cursor: Cursor = None
) -> Response:
    """Give a page of data sets, those that add most first."""
    return answer(request, paged(desk.datasets(worth), _dataset, limit, cursor))


def _dataset(view: DatasetView) -> str:
    return f"{view.digest} {view.name}"


@routes.get(
    "/models",
    summary="Compare models by a metric, by cost and by latency",
    **documented(Page[ModelView], problems=(404,)),
)
def models(
    request: Request, desk: AtDesk, worth: Worth, paging: Paging, query: Sought = ""
) -> Response:
    """Give a page of the newest models that fulfil a search, the best first."""
    found = desk.models(replace(worth, query=query))
    return answer(request, paged(found, _model, *paging))


def _model(view: ModelView) -> str:
    return f"{view.digest} {view.name}"
