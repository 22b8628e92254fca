"""Answer machines that watch: does it live, can it work, what are its numbers.

/healthz   the process lives
/readyz    the store can be written and the controller turns
/metrics   Prometheus' text format

Source:  the guides of Kubernetes to probes and of Prometheus to its format
"""

from __future__ import annotations

from anyio import move_on_after, to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from makeway.errors import MakewayError, Unavailable
from makeway.server.front import Front, front_of
from makeway.server.identity import AtDesk
from makeway.server.metrics import TEXT_FORMAT, Shown, written
from makeway.server.office import SELF
from makeway.server.shapes import documented, streamed

READY_S = 2.0

routes = APIRouter(tags=["service"])


@routes.get("/healthz", summary="Say that the process lives", **documented())
async def healthz() -> Response:
    """Answer at all."""
    return Response(status_code=204)


@routes.get("/readyz", summary="Say whether the service can work", **documented())
async def readyz(request: Request) -> Response:
    """Ask the controller and the store, but not for ever."""
    front = front_of(request)
    with move_on_after(READY_S):
        wrong = await to_thread.run_sync(
            _wrong, front, abandon_on_cancel=True, limiter=front.feed.readers
        )
        if wrong is None:
            return Response(status_code=204)
        raise wrong
    raise Unavailable(f"the controller has not answered for {READY_S:g} s")


@routes.get(
    "/metrics",
    summary="Show the numbers of the service in Prometheus' text format",
    **streamed("text/plain", "Counters, gauges and a histogram.", problems=()),
)
def numbers(request: Request, desk: AtDesk) -> Response:
    """Give what can be counted."""
    front = front_of(request)
    shown = Shown(
        status=desk.status(),
        census=front.office.census(),
        nodes=tuple(desk.nodes()),
        ended=front.feed.ended.copy(),
        tally=front.feed.tally,
        counts=front.counts,
    )
    return Response(written(shown), media_type=TEXT_FORMAT)


def _wrong(front: Front) -> MakewayError | None:
    try:
        status = front.office.desk(SELF).status()
    except MakewayError as error:
        return error
    return None if status.storing else Unavailable(status.text or "the store cannot be written")
