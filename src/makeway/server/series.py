"""Answer about what workers have measured."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from makeway.errors import InvalidInput
from makeway.server.identity import AtDesk
from makeway.server.replies import Cursor, Limit, answer
from makeway.server.shapes import documented
from makeway.wire.page import PAGE, Page
from makeway.wire.series import POINTS, POINTS_MAX, SeriesView, SeriesWanted

Job = Annotated[str | None, Query(description="Whose: an id, the start of one, a name, `@last`.")]
Step = Annotated[str | None, Query(description="The same, by the name that a step has for it.")]
Name = Annotated[str | None, Query(description="Only the series of this name.")]
Attempt = Annotated[int | None, Query(ge=1, description="Only those of this attempt.")]
Rank = Annotated[int | None, Query(ge=0, description="Only those of this worker.")]
From = Annotated[
    float | None, Query(alias="from", description="Points from this instant on (s since 1970).")
]
To = Annotated[float | None, Query(description="Points up to this instant (s since 1970).")]
MaxPoints = Annotated[
    int,
    Query(
        description="How many points of each: the least and the largest value of each stretch. 0: "
        f"none, at most {POINTS_MAX}."
    ),
]


class Which:
    """Which series are wanted, as a query says it."""

    def __init__(
        self, job: Job = None, step: Step = None, name: Name = None, attempt: Attempt = None,
        rank: Rank = None,
    ) -> None:  # fmt: skip
        """Take the filters; a job and a step of the same id are one."""
        if (job is None) is (step is None):
            raise InvalidInput("say whose: either a job or a step", where="query job")
        self.job, self.name, self.attempt, self.rank = job or step or "", name, attempt, rank


class Window:
    """Which of their points are wanted, and which page of them all."""

    def __init__(
        self, from_s: From = None, to: To = None, max_points: MaxPoints = POINTS,
        limit: Limit = PAGE, cursor: Cursor = None,
    ) -> None:  # fmt: skip
        """Take the window; without ends it is open."""
        self.from_s, self.to_s, self.max_points = from_s, to, max_points
        self.limit, self.cursor = limit, cursor


Chosen = Annotated[Which, Depends()]
Within = Annotated[Window, Depends()]

routes = APIRouter(prefix="/series", tags=["series"])


@routes.get(
    "",
    summary="Show what was measured and recorded, short enough for a chart",
    **documented(Page[SeriesView], problems=(404,)),
)
def list_series(request: Request, desk: AtDesk, which: Chosen, window: Within) -> Response:
    """Give a page of the series of a job or step, each with its sums and its points."""
    wanted = SeriesWanted(
        job=which.job, name=which.name, attempt=which.attempt, rank=which.rank,
        from_s=window.from_s, to_s=window.to_s, max_points=window.max_points,
        limit=window.limit, cursor=window.cursor,
    )  # fmt: skip
    return answer(request, desk.series(wanted))
