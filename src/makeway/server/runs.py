"""Take runs of workflows, and stop them."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from makeway.server.identity import AtDesk
from makeway.server.replies import Body, answer, read
from makeway.server.shapes import documented
from makeway.wire.runs import RunBrought, RunWanted

routes = APIRouter(prefix="/runs", tags=["runs"])


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
