"""Show one job: why it waits or how it ends, its attempts, its output, and what may be done to it."""

from __future__ import annotations

import shlex

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from makeway.errors import NotFound
from makeway.server.pages.queue import line_of, placed
from makeway.server.pages.visit import Crumb, Face, Form, PageRoute, Visiting
from makeway.wire.desk import ACTS

routes = APIRouter(include_in_schema=False, route_class=PageRoute)


@routes.get("/jobs/{ref}")
def job(visit: Visiting, ref: str) -> Response:
    """Give the page; a step of a run has its own."""
    why = visit.desk.why(ref)
    if why.job is None or why.job.run is not None:
        return RedirectResponse(f"/steps/{ref}", 303)
    view = why.job
    return visit.page(
        "job.html",
        Face(
            title=view.name, place="Queue", command=f"makeway job show {view.id}",
            crumbs=(Crumb("Queue", "/queue"), Crumb(view.queue, f"/queue?queue={view.queue}")),
        ),
        job=view,
        line=line_of(view),
        wait=why.wait or view.wait,
        chain=why.chain,
        command=shlex.join(view.command),
        placed=placed,
        attempt=view.attempts[-1] if view.attempts else None,
    )  # fmt: skip


@routes.post("/jobs/{ref}/{act}")
def act(visit: Visiting, ref: str, act: str, fields: Form) -> Response:
    """Do something to a job, and show it as it is then."""
    if act not in ACTS or act == "resize":
        raise NotFound(f"there is no act {act!r}")
    done = visit.desk.act(ref, act)
    back = fields.get("back", "")
    return visit.go(back if back.startswith("/steps/") else f"/jobs/{done.id}")
