"""Show a step, or a job, and answer in one page why it failed and what happens next.

First stands the diagnosis: the cause, how sure it is, the evidence (which lights up its stretch of the
charts), what was ruled out, what was decided and which ledger pays. Then the charts over one time
axis, the workers beside each other, and the log.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import msgspec
from fastapi import APIRouter
from markupsafe import Markup
from starlette.responses import Response

from makeway.errors import NotFound
from makeway.live.records import Judged, StepFound
from makeway.model.record import Cause
from makeway.server.pages import words
from makeway.server.pages.drawing import spark
from makeway.server.pages.evidence import shown
from makeway.server.pages.marks import marks_of
from makeway.server.pages.visit import Crumb, Face, PageRoute, Visiting
from makeway.store.rows import AttemptRow
from makeway.wire.jobs import JobView
from makeway.wire.series import SeriesView, SeriesWanted

SHOWN_SYSTEM = ("system/memory_usage_bytes", "system/memory_peak_bytes", "system/cpu_percent")
PACES = ("local_ms", "step_ms", "rtt_ms")
SPARK_POINTS = 60
SERIES_MAX = 1_000

routes = APIRouter(include_in_schema=False, route_class=PageRoute)


class WorkerPace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast one worker has been."""

    rank: int
    node: str
    median: str
    picture: Markup
    slow: bool


@routes.get("/steps/{ref}")
def step(
    visit: Visiting, ref: str, attempt: int | None = None, rank: int | None = None
) -> Response:
    """Give the page, of the latest attempt or another one."""
    found = visit.records.step(ref)
    chosen = _chosen(found, attempt)
    job = visit.desk.job(found.id) if found.spec is not None else None
    judged = _judged(visit, found, chosen)
    series = _series(visit, found, chosen)
    slow = _slow(job, judged)
    return visit.page(
        "step.html",
        _face(found),
        found=found,
        step=found.step,
        job=job,
        why=visit.desk.why(found.id) if found.spec is not None or found.step is not None else None,
        state=_state(found, job),
        attempt=chosen,
        diagnosis=None if judged is None else shown(judged, chosen),
        series=[one for one in series if one.kind == "user" or one.name in SHOWN_SYSTEM],
        paces=_paces(visit, chosen, series, slow),
        marks=marks_of(found.attempts, visit.records.resizes(found.id)),
        log=_log(visit, found, chosen, rank),
        rank=rank,
        ended=_ended,
    )


@routes.get("/steps/{ref}/log")
def log(visit: Visiting, ref: str, attempt: int | None = None, rank: int | None = None) -> Response:
    """Give the end of the log alone, for whoever follows it."""
    found = visit.records.step(ref)
    text = _log(visit, found, _chosen(found, attempt), rank)
    return visit.page("log.html", Face(title="Log"), text=text)


def _face(found: StepFound) -> Face:
    if found.run is None or found.step is None:
        name = found.spec.name if found.spec is not None else found.id
        return Face(title=name, place="Queue", command=f"makeway diagnose {found.id}",
                    crumbs=(Crumb("Queue", "/queue"), Crumb(name, f"/jobs/{found.id}")))  # fmt: skip
    run = found.run.row
    return Face(
        title=found.step.key, place="Workflows", command=f"makeway diagnose {found.id}",
        crumbs=(
            Crumb("Workflows", "/workflows"),
            Crumb(f"{run.workflow} {run.id}", f"/runs/{run.id}"),
        ),
        live="runs jobs",
    )  # fmt: skip


def _chosen(found: StepFound, number: int | None) -> AttemptRow | None:
    if number is None:
        return found.attempts[-1] if found.attempts else None
    for one in found.attempts:
        if one.number == number:
            return one
    raise NotFound(f"there is no attempt {number}", where=found.id)


def _state(found: StepFound, job: JobView | None) -> str:
    if found.step is not None:
        return found.step.phase.value
    return "queued" if job is None else job.phase


def _judged(visit: Visiting, found: StepFound, attempt: AttemptRow | None) -> Judged | None:
    """Judge an attempt that did not end well."""
    if attempt is None or attempt.diagnosis is None or attempt.diagnosis.cause is Cause.NONE:
        return None
    return visit.records.judged(found.id, attempt.number)


def _series(visit: Visiting, found: StepFound, attempt: AttemptRow | None) -> Sequence[SeriesView]:
    if attempt is None:
        return ()
    wanted = SeriesWanted(job=found.id, attempt=attempt.number, max_points=0, limit=SERIES_MAX)
    return visit.desk.series(wanted).items


# ── workers ───────────────────────────────────────────────────────────────────────────────────────


def _slow(job: JobView | None, judged: Judged | None) -> frozenset[int]:
    """Say who is known to be slow."""
    ranks: set[int] = set()
    if job is not None and job.symptom is not None and job.symptom.name == "slow":
        ranks |= {*job.symptom.ranks}
    if judged is not None:
        decision = judged.diagnosis["decision"]
        assert isinstance(decision, Mapping)
        ranks |= {*decision["replace_ranks"]}
    return frozenset(ranks)


def _paces(
    visit: Visiting,
    attempt: AttemptRow | None,
    series: Sequence[SeriesView],
    slow: frozenset[int],
) -> tuple[str, Sequence[WorkerPace]]:
    """Set the workers beside each other, by the first measure of pace that there is."""
    if attempt is None:
        return "", ()
    nodes = {one.rank: one.node for one in attempt.workers}
    for name in PACES:
        if len({one.rank for one in series if one.name == name}) > 1:
            wanted = SeriesWanted(job=attempt.job, attempt=attempt.number, name=name,
                                  max_points=SPARK_POINTS, limit=SERIES_MAX)  # fmt: skip
            items = sorted(visit.desk.series(wanted).items, key=lambda one: one.rank)
            return name, [_pace(one, nodes.get(one.rank, "?"), slow) for one in items]
    return "", ()


def _pace(view: SeriesView, node: str, slow: frozenset[int]) -> WorkerPace:
    values = [value for _, _, value in view.points if value is not None]
    median = f"{words.number(statistics.median(values))} ms" if values else words.NOTHING
    is_slow = view.rank in slow
    told = f"worker {view.rank} on {node}: {median} in the middle" + (", slow" if is_slow else "")
    return WorkerPace(rank=view.rank, node=node, median=median, slow=is_slow,
                      picture=spark(values, told=told, slow=is_slow))  # fmt: skip


def _ended(code: int | None, signal: int | None, lost: str | None) -> str:
    if lost is not None:
        return lost
    if signal is not None:
        return f"signal {signal}"
    return "runs" if code is None else f"exit {code}"


# ── what is around it ─────────────────────────────────────────────────────────────────────────────


def _log(visit: Visiting, found: StepFound, attempt: AttemptRow | None, rank: int | None) -> str:
    if attempt is None:
        return ""
    parts = visit.records.tail(found.id, attempt.number, rank)
    if len(parts) == 1:
        return parts[0][1].decode(errors="replace")
    lines = [
        f"[{one}] {line}"
        for one, data in parts
        for line in data.decode(errors="replace").splitlines()
    ]
    return "\n".join(lines)
