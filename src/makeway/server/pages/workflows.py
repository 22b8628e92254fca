"""List the runs of workflows, the newest first."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from makeway.server.pages.visit import Face, PageRoute, Visiting

ROWS = 50

routes = APIRouter(include_in_schema=False, route_class=PageRoute)


@routes.get("/workflows")
def workflows(visit: Visiting, cursor: str | None = None) -> Response:
    """Give the page."""
    runs = visit.records.runs(ROWS, cursor)
    return visit.page(
        "workflows.html",
        Face(title="Workflows", place="Workflows", command="makeway runs", live="runs"),
        runs=runs,
        next_cursor=runs[-1].id if len(runs) == ROWS else None,
    )
