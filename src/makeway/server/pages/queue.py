"""Show what runs and waits, in order of service, with the whole why of each job in its place.

Filters stand in the address. The buttons of `what if` only simulate: they ask what would become of a
job like this one if it were brought now, with one thing changed, and nothing is submitted.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from makeway.errors import MakewayError
from makeway.server.pages import words
from makeway.server.pages.visit import Crumb, Face, PageRoute, Visiting
from makeway.wire.jobs import JobsWanted, JobView, WhyView
from makeway.wire.page import Page

ROWS = 100
OPEN = ("queued", "running", "evicting")
STATES = ("queued", "running", "evicting", "succeeded", "failed", "cancelled")
NEVER = ("Misconfigured", "ExceedsLimit", "NoNodeFits")

routes = APIRouter(include_in_schema=False, route_class=PageRoute)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A job as a list shows it."""

    view: JobView
    state: str
    workers: str
    nodes: str
    lasts: str
    asked: str


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that could be otherwise, and what would come of it."""

    name: str
    text: str
    starts: bool


@routes.get("/queue")
def queue(
    visit: Visiting,
    state: str = "",
    queue: str = "",
    user: str = "",
    cursor: str | None = None,
) -> Response:
    """Give the page."""
    phases = tuple(filter(None, state.split(","))) or OPEN
    page = visit.desk.jobs(
        JobsWanted(phases=phases, queue=queue or None, user=user or None, limit=ROWS, cursor=cursor)
    )
    filters = {"state": state, "queue": queue, "user": user}
    said = {name: value for name, value in filters.items() if value}
    return visit.page(
        "queue.html",
        Face(title="Queue", place="Queue", command=_command(said)),
        lines=[line_of(one) for one in _in_order(page)],
        next_cursor=page.next_cursor,
        filters=filters,
        states=STATES,
        queues=[one.path for one in visit.desk.shares()],
        more="/queue?" + urlencode(said) + ("&" if said else ""),
    )


@routes.get("/jobs/{ref}/what-if")
def what_if(visit: Visiting, ref: str, asked: Annotated[str, Query(alias="if")] = "") -> Response:
    """Say what would become of a job like this one with one thing changed; nothing is changed."""
    job = visit.desk.job(ref)
    face = Face(
        title=f"What if: {job.name}", place="Queue", command=f"makeway why {job.id}",
        crumbs=(Crumb("Queue", "/queue"), Crumb(job.name, f"/jobs/{job.id}")), live="",
    )  # fmt: skip
    chosen = [name for name in CHANGES if not asked or name == asked]
    return visit.page("what_if.html", face, job=job, found=[_tried(visit, job, n) for n in chosen])


def line_of(view: JobView) -> Line:
    """Write a job for a list."""
    state = "held" if view.held and view.phase == "queued" else view.phase
    if view.wait is not None and view.wait.reason in NEVER:
        state = "refused"
    return Line(
        view=view, state=state, workers=workers_text(view),
        nodes=", ".join(placed(view.placement)), lasts=_lasting(view),
        asked="; ".join(words.amounts(group.per_worker) for group in view.groups),
    )  # fmt: skip


def workers_text(view: JobView) -> str:
    """Write how many workers there are, of how many; only the latter while there are none."""
    least, most = sum(one.min for one in view.groups), sum(one.max for one in view.groups)
    asked = str(most) if least == most else f"{least}–{most}"
    if not view.workers:
        return asked
    return asked if least == most == view.workers else f"{view.workers} of {asked}"


def placed(placement: object, group: str = "") -> list[str]:
    """Write where workers are: `n1 ×2`; with the group in front if there are several."""
    found: list[str] = []
    if isinstance(placement, dict):
        for name, one in placement.items():
            if isinstance(one, dict):
                found += placed(one, f"{name}: ")
            else:
                found.append(f"{group}{name}" + (f" ×{one}" if one != 1 else ""))
    return found


def _lasting(view: JobView) -> str:
    if view.phase == "queued":
        return words.lasting(view.submitted_s)
    return words.lasting(view.started_s or view.submitted_s, view.ended_s)


def _in_order(page: Page[JobView]) -> list[JobView]:
    """Put those that run first, then those that wait in order of service, then the others."""
    return sorted(
        page.items,
        key=lambda job: (
            job.phase not in ("running", "evicting"),
            job.phase != "queued",
            job.position is None,
            job.position or 0,
        ),
    )


def _command(filters: dict[str, str]) -> str:
    names = {"state": "--state", "queue": "--queue", "user": "--user"}
    command = "makeway jobs" if "state" in filters else "makeway queue"
    return " ".join([command, *(f"{names[name]} {value}" for name, value in filters.items())])


# ── what if ───────────────────────────────────────────────────────────────────────────────────────

CHANGES = {
    "as it is": "A job like it",
    "high class": "With class high",
    "one worker": "With one worker in each group",
    "half the memory": "With half the memory for each worker",
    "half the processors": "With half the processors for each worker",
}


def _tried(visit: Visiting, job: JobView, name: str) -> WhatIf:
    try:
        why = visit.desk.try_out(_body(job, name))
    except MakewayError as error:
        return WhatIf(name=CHANGES[name], text=f"it would be refused: {error}", starts=False)
    return WhatIf(name=CHANGES[name], text=_said(why), starts=_starts(why))


def _starts(why: WhyView) -> bool:
    return why.wait is None or why.wait.reason == "NotReady"


def _said(why: WhyView) -> str:
    if why.wait is None or _starts(why):
        return "it would start at once"
    return f"it would wait ({why.wait.reason}): {why.wait.text}"


def _body(job: JobView, change: str) -> dict[str, object]:
    """Write a job as it would be brought, with one thing changed."""
    groups: list[dict[str, object]] = []
    for group in job.groups:
        each: dict[str, float] = dict(group.per_worker)
        if change == "half the memory" and "memory" in each:
            each["memory"] = int(each["memory"] / 2)
        if change == "half the processors" and "cpus" in each:
            each["cpus"] = each["cpus"] / 2
        some = change == "one worker"
        counts = {"min": 1, "max": 1} if some else {"min": group.min, "max": group.max}
        groups.append({"name": group.name, "workers": counts, "per_worker": each})
    job_class: dict[str, object] = (
        {"class": "high"} if change == "high class" else {"priority": job.priority}
    )
    return {
        "name": job.name, "queue": job.queue, "command": list(job.command) or ["true"],
        "groups": groups, **job_class,
    }  # fmt: skip
