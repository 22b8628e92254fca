"""Answer what was, over all that is on record: searches."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from makeway.server.identity import AtDesk
from makeway.server.replies import Cursor, Limit, answer
from makeway.server.shapes import documented
from makeway.wire.page import PAGE
from makeway.wire.search import Found, SearchWanted

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
