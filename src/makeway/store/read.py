"""Read runs, steps, jobs and attempts out of the views.

Each function sees one state of the store, however many queries it makes: the parent rows first,
then each kind of child for all of them at once. A list has a limit, and goes on `before` the id of
its last row.

Raises:  NotFound for an id that is not there; `store.resolve` turns what a user types into ids
Cost:    a list of 100 runs 0.5 ms, of 100 jobs 0.8 ms; a run of 6 steps 0.12 ms
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from makeway.codec import decode
from makeway.errors import InvalidInput, NotFound
from makeway.model.cluster import Placement
from makeway.model.job import JobSpec
from makeway.model.phase import AttemptPhase, ExecutionPhase, JobPhase, RunPhase
from makeway.model.record import (
    Cause,
    CauseClass,
    Decision,
    Diagnosis,
    ErrorRecord,
    Evidence,
    Output,
)
from makeway.model.wait import Reason, Wait
from makeway.model.workflow import Reusable, Selection, Workflow, run_of
from makeway.store.database import Database, Row
from makeway.store.rows import (
    AttemptRow,
    ExecutionRow,
    JobFilter,
    JobRow,
    RunDetail,
    RunRow,
    WorkerRow,
)
from makeway.store.series import Series, list_series

ROWS_MAX = 1_000
ALL_JOBS = JobFilter()
NO_METRICS: Mapping[str, float] = {}

Value = TypeVar("Value")

# ── runs ──────────────────────────────────────────────────────────────────────────────────────────

RUNS = (
    'SELECT id, workflow, "user", queue, phase, text, resumed_from, submitted_at_ms, ended_at_ms'
    " FROM run"
)
RUNS_BEFORE = " WHERE (submitted_at_ms, id) < (SELECT submitted_at_ms, id FROM run WHERE id = ?)"
NEWEST = " ORDER BY submitted_at_ms DESC, id DESC LIMIT ?"
STEPS = (
    "SELECT run, count(*), count(ended_at_ms),"
    " sum(CASE WHEN phase IN ('succeeded', 'cached') THEN 1 ELSE 0 END)"
    " FROM execution WHERE run IN ({}) GROUP BY run"
)
RUN = "SELECT params, definition FROM run WHERE id = ?"


def list_runs(database: Database, limit: int = 100, before: str | None = None) -> list[RunRow]:
    """Give the newest runs, or those that are older than the run `before`."""
    _check_limit(limit)
    with database.reading():
        if before is None:
            return _runs(database, RUNS + NEWEST, (limit,))
        return _runs(database, RUNS + RUNS_BEFORE + NEWEST, (before, limit))


def get_run(database: Database, run: str) -> RunDetail:
    """Give one run with its parameters and its definition."""
    with database.reading():
        rows = _runs(database, RUNS + " WHERE id = ?", (run,))
        if not rows:
            raise NotFound(f"there is no run {run!r}")
        [(params, definition)] = database.rows(RUN, (run,))
    return RunDetail(
        row=rows[0],
        params=decode(params, dict[str, object], f"params of run {run}"),
        workflow=decode(definition, Workflow, f"definition of run {run}"),
    )


def _runs(database: Database, query: str, values: Sequence[object]) -> list[RunRow]:
    rows = database.rows(query, values)
    counts = {row[0]: row[1:] for row in _children(database, STEPS, [row[0] for row in rows])}
    found = []
    for run, workflow, user, queue, phase, text, resumed_from, submitted, ended in rows:
        steps, final, good = counts.get(run, (0, 0, 0))
        found.append(
            RunRow(
                id=run, workflow=workflow, user=user, queue=queue, phase=RunPhase(phase),
                text=text, resumed_from=resumed_from, submitted_at_ms=submitted,
                ended_at_ms=ended, steps=steps, ended=final, good=good,
            )
        )  # fmt: skip
    return found


# ── steps of a run ────────────────────────────────────────────────────────────────────────────────

EXECUTIONS = (
    "SELECT execution.id, execution.key, position, execution.phase, execution.text, output,"
    " metrics, cache_key, selection, execution.started_at_ms, execution.ended_at_ms, attempts,"
    " not_before_ms, wait_reason, wait_text, wait_detail, wait_blocked_by"
    " FROM execution LEFT JOIN job ON job.id = execution.id"
    " WHERE execution.run = ? ORDER BY position"
)
EDGES = "SELECT down, up FROM execution_edge WHERE run = ?"
GOOD_OUTPUTS = (
    "SELECT cache_key, output, metrics FROM execution WHERE run = ?"
    " AND phase IN ('succeeded', 'cached') AND cache_key IS NOT NULL ORDER BY position"
)


def list_executions(database: Database, run: str) -> list[ExecutionRow]:
    """Give the steps of a run in the order of the workflow, each with its latest attempt."""
    with database.reading():
        rows = database.rows(EXECUTIONS, (run,))
        after: dict[str, list[str]] = {}
        for down, up in database.rows(EDGES, (run,)):
            after.setdefault(down, []).append(up)
        latest = _children(database, ATTEMPTS_LATEST, [row[0] for row in rows if row[11]])
    attempts = {row[0]: _attempt(row, ()) for row in latest}
    place = {row[1]: row[2] for row in rows}
    return [
        ExecutionRow(
            id=row[0], run=run, key=row[1], position=row[2], phase=ExecutionPhase(row[3]),
            text=row[4], output=_maybe(row[5], Output), metrics=_metrics(row[6]),
            cache_key=row[7] or "", selection=_maybe(row[8], Selection),
            started_at_ms=row[9], ended_at_ms=row[10],
            after=tuple(sorted(after.get(row[1], ()), key=place.__getitem__)),
            attempts=row[11] or 0, attempt=attempts.get(row[0]),
            not_before_ms=row[12], wait=_wait(row[13:]),
        )
        for row in rows
    ]  # fmt: skip


def get_execution(database: Database, execution: str) -> ExecutionRow:
    """Give one step of a run, with the selection that it decided if it is one."""
    for row in list_executions(database, run_of(execution)):
        if row.id == execution:
            return row
    raise NotFound(f"there is no step {execution!r}")


def reusable_outputs(database: Database, run: str) -> list[Reusable]:
    """Give what a run that resumes this one may take over: the outputs of its good steps."""
    return [
        Reusable(
            cache_key=cache_key, output=_maybe(output, Output), metrics=_metrics(metrics), run=run
        )
        for cache_key, output, metrics in database.rows(GOOD_OUTPUTS, (run,))
    ]


# ── jobs and their attempts ───────────────────────────────────────────────────────────────────────

JOBS = (
    "SELECT id, spec, phase, text, attempts, not_before_ms, submitted_at_ms, started_at_ms,"
    " ended_at_ms, wait_reason, wait_text, wait_detail, wait_blocked_by FROM job"
)
# Word for word the condition of the index job_open: only so does SQLite see that it may use it.
OPEN = "phase IN ('queued', 'running', 'evicting')"
JOBS_BEFORE = "(submitted_at_ms, id) < (SELECT submitted_at_ms, id FROM job WHERE id = ?)"
ATTEMPTS = (
    "SELECT job, number, fence, phase, stop_cause, decision, placements, started_at_ms,"
    " released_at_ms, ended_at_ms, cause, cause_class, confidence, text, hint, fingerprint, rank,"
    " evidence FROM attempt"
)
ATTEMPTS_LATEST = (
    f"{ATTEMPTS} WHERE job IN ({{}}) AND number ="  # noqa: S608 - our own text
    " (SELECT max(number) FROM attempt AS other WHERE other.job = attempt.job)"
)
WORKERS = (
    "SELECT job, number, rank, node, pid, code, signal, lost, memory_peak_bytes, cpu_ms,"
    " ready_at_ms, started_at_ms, ended_at_ms, error FROM worker WHERE job = ?"
    " ORDER BY number, rank"
)


def list_jobs(database: Database, wanted: JobFilter = ALL_JOBS) -> list[JobRow]:
    """Give the newest jobs of those that are wanted."""
    _check_limit(wanted.limit)
    conditions, values = _conditions(wanted)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return [_job(row) for row in database.rows(JOBS + where + NEWEST, (*values, wanted.limit))]


def get_job(database: Database, job: str) -> JobRow:
    """Give one job."""
    rows = database.rows(JOBS + " WHERE id = ?", (job,))
    if not rows:
        raise NotFound(f"there is no job {job!r}")
    return _job(rows[0])


def list_attempts(database: Database, job: str) -> list[AttemptRow]:
    """Give every attempt of a job, the first one first, each with its workers."""
    with database.reading():
        rows = database.rows(ATTEMPTS + " WHERE job = ? ORDER BY number", (job,))
        workers: dict[int, list[WorkerRow]] = {}
        for row in database.rows(WORKERS, (job,)):
            workers.setdefault(row[1], []).append(_worker(row))
    return [_attempt(row, tuple(workers.get(row[1], ()))) for row in rows]


def last_samples(database: Database, job: str) -> list[Series]:
    """Give every series of the latest attempt that measured anything; `last` is its last value."""
    series = list_series(database, job)
    number = max((one.number for one in series), default=0)
    return [one for one in series if one.number == number]


def _conditions(wanted: JobFilter) -> tuple[list[str], list[object]]:
    conditions: list[str] = []
    values: list[object] = []
    if wanted.phases:
        if not any(phase.final for phase in wanted.phases):
            conditions.append(OPEN)
        conditions.append(f"phase IN ({_marks(wanted.phases)})")
        values += [phase.value for phase in wanted.phases]
    if wanted.queue:
        below = wanted.queue + "/"
        conditions.append("(queue = ? OR substr(queue, 1, ?) = ?)")
        values += [wanted.queue, len(below), below]
    if wanted.user is not None:
        conditions.append('"user" = ?')
        values.append(wanted.user)
    if wanted.run is not None:
        conditions.append("run = ?")
        values.append(wanted.run)
    if wanted.before is not None:
        conditions.append(JOBS_BEFORE)
        values.append(wanted.before)
    return conditions, values


# ── from rows to values ───────────────────────────────────────────────────────────────────────────


def _job(row: Row) -> JobRow:
    return JobRow(
        id=row[0], spec=decode(row[1], JobSpec, f"spec of job {row[0]}"), phase=JobPhase(row[2]),
        text=row[3], attempts=row[4], not_before_ms=row[5], submitted_at_ms=row[6],
        started_at_ms=row[7], ended_at_ms=row[8], wait=_wait(row[9:]),
    )  # fmt: skip


def _attempt(row: Row, workers: tuple[WorkerRow, ...]) -> AttemptRow:
    return AttemptRow(
        job=row[0], number=row[1], fence=row[2], phase=AttemptPhase(row[3]), stop_cause=row[4],
        decision=_maybe(row[5], Decision), placements=decode(row[6], tuple[Placement, ...]),
        started_at_ms=row[7], released_at_ms=row[8], ended_at_ms=row[9],
        diagnosis=_diagnosis(row[10:]), workers=workers,
    )  # fmt: skip


def _diagnosis(row: Row) -> Diagnosis | None:
    cause, cause_class, confidence, text, hint, fingerprint, rank, evidence = row
    if cause is None:
        return None
    return Diagnosis(
        cause=Cause(cause), cause_class=CauseClass(cause_class), confidence=confidence, text=text,
        hint=hint, fingerprint=fingerprint, rank=rank,
        evidence=_maybe(evidence, tuple[Evidence, ...]) or (),
    )  # fmt: skip


def _worker(row: Row) -> WorkerRow:
    return WorkerRow(
        job=row[0], number=row[1], rank=row[2], node=row[3], pid=row[4], code=row[5],
        signal=row[6], lost=row[7], memory_peak_bytes=row[8], cpu_ms=row[9], ready_at_ms=row[10],
        started_at_ms=row[11], ended_at_ms=row[12], error=_maybe(row[13], ErrorRecord),
    )  # fmt: skip


def _wait(row: Row) -> Wait | None:
    reason, text, detail, blocked_by = row
    if reason is None:
        return None
    return Wait(
        reason=Reason(reason),
        text=text,
        detail=_maybe(detail, dict[str, object]) or {},
        blocked_by=_maybe(blocked_by, tuple[str, ...]) or (),
    )


def _metrics(text: str | None) -> dict[str, float]:
    return _maybe(text, dict[str, float]) or {}


def _maybe(text: str | None, kind: type[Value]) -> Value | None:
    return None if text is None else decode(text, kind, "a view")


def _children(database: Database, query: str, parents: Sequence[str]) -> list[Row]:
    """Give the rows of a query for all these parents; `{}` in it stands for their marks."""
    return database.rows(query.format(_marks(parents)), parents) if parents else []


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= ROWS_MAX:
        raise InvalidInput(f"{limit} is not between 1 and {ROWS_MAX}", where="limit")
