"""Override what was decided about a step of a run, or about a job."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from makeway.server.identity import AtDesk
from makeway.server.replies import Body, answer, read
from makeway.server.shapes import documented
from makeway.wire.jobs import Overridden, Override

routes = APIRouter(prefix="/steps", tags=["steps"])


@routes.post(
    "/{ref}:override",
    summary="Retry, stop or skip a step, whatever was decided about it",
    **documented(Overridden, takes=Override, problems=(404, 409)),
)
def override(request: Request, desk: AtDesk, ref: str, body: Body) -> Response:
    """Say what is wanted instead, and why: it is kept beside what had been decided."""
    return answer(request, desk.override(ref, read(body, Override)))
