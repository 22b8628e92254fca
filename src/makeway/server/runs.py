"""Take runs of workflows, show them, and stop them."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from makeway.errors import InvalidInput, NotFound
from makeway.server.identity import AtDesk
from makeway.server.replies import Body, Cursor, Limit, answer, read
from makeway.server.shapes import documented
from makeway.wire.page import PAGE, Page
from makeway.wire.runs import RunBrought, RunView, RunWanted

routes = APIRouter(prefix="/runs", tags=["runs"])


@routes.get("", summary="List runs", **documented(Page[RunView]))
def runs(request: Request, desk: AtDesk, limit: Limit = PAGE, cursor: Cursor = None) -> Response:
    """Give a page of runs, the newest first, without their steps."""
    try:
        page = desk.runs(limit, cursor)
    except NotFound as error:  # nothing else of a list can be missing
        hint = "take it from `next_cursor`, or begin again without it"
        raise InvalidInput(error.problem, where="query cursor", hint=hint) from None
    return answer(request, page)


@routes.get("/{ref}", summary="Look at a run", **documented(RunView, problems=(404,)))
def run(request: Request, desk: AtDesk, ref: str) -> Response:
    """Give a run with its steps; `troubles` are those that failed, why, and what they hold up."""
    return answer(request, desk.run(ref))


@routes.post(
    "",
    summary="Bring a run of a workflow",
    **documented(RunBrought, status=201, takes=dict, problems=(404, 409)),
)
def bring_run(request: Request, desk: AtDesk, body: Body) -> Response:
    """Take a workflow as the command `makeway run` builds it: its graph, and the file of its steps.

    The file, and what it gives to its steps, lie on the machine and in the store of the service.
    """
    return answer(request, desk.bring_run(read(body, RunWanted)), 201)


@routes.post(
    "/{ref}:cancel",
    summary="Stop a run",
    **documented(RunBrought, problems=(404, 409)),
)
def cancel_run(request: Request, desk: AtDesk, ref: str) -> Response:
    """Let no further step of it start, and tell those that run to leave."""
    return answer(request, desk.cancel_run(ref))
