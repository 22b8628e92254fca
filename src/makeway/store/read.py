"""Read runs, steps, jobs and attempts out of the views.

Each function sees one state of the store, however many queries it makes: the parent rows first,
then each kind of child for all of them at once. A list has a limit, and goes on `before` the id of
its last row.

Raises:  NotFound for an id that is not there; `store.resolve` turns what a user types into ids
Cost:    a list of 20 runs 0.4 ms, of 100 jobs 0.8 ms; a run of 6 steps 0.4 ms
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import sqlalchemy as sa

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
from makeway.store import schema
from makeway.store.database import NOTHING, Database, Row
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
from makeway.store.statement import same

ROWS_MAX = 1_000
ALL_JOBS = JobFilter()
NO_METRICS: Mapping[str, float] = {}

Value = TypeVar("Value")


def _columns(table: sa.Table, names: str) -> list[sa.Column[Any]]:
    return [table.c[name] for name in names.split()]


def _older(table: sa.Table) -> sa.ColumnElement[bool]:
    """Ask for what comes after the row `before` in a list of the newest."""
    last = table.alias("last").c
    seen = sa.select(last.submitted_at_ms, last.id).where(last.id == sa.bindparam("before"))
    return sa.tuple_(table.c.submitted_at_ms, table.c.id) < seen.scalar_subquery()


# ── runs ──────────────────────────────────────────────────────────────────────────────────────────

RUNS = schema.run.c
NEWEST_RUNS = sa.select(
    *_columns(
        schema.run, "id workflow user queue phase text resumed_from submitted_at_ms ended_at_ms"
    )
).order_by(RUNS.submitted_at_ms.desc(), RUNS.id.desc())
OLDER_RUNS = _older(schema.run)
THE_RUN = same(RUNS.id)
EXECUTIONS = schema.execution.c
OF_RUN = same(EXECUTIONS.run)
GOOD = EXECUTIONS.phase.in_([ExecutionPhase.SUCCEEDED.value, ExecutionPhase.CACHED.value])
STEPS = sa.select(
    EXECUTIONS.run,
    sa.func.count(),
    sa.func.count(EXECUTIONS.ended_at_ms),
    sa.func.sum(sa.case((GOOD, 1), else_=0)),
).group_by(EXECUTIONS.run)
RUN = sa.select(RUNS.params, RUNS.definition).where(THE_RUN)


def list_runs(database: Database, limit: int = 100, before: str | None = None) -> list[RunRow]:
    """Give the newest runs, or those that are older than the run `before`."""
    _check_limit(limit)
    with database.reading():
        if before is None:
            return _runs(database, NEWEST_RUNS.limit(limit))
        older = NEWEST_RUNS.where(OLDER_RUNS).limit(limit)
        return _runs(database, older, {"before": before})


def get_run(database: Database, run: str) -> RunDetail:
    """Give one run with its parameters and its definition."""
    with database.reading():
        rows = _runs(database, NEWEST_RUNS.where(THE_RUN), {"id": run})
        if not rows:
            raise NotFound(f"there is no run {run!r}")
        [(params, definition)] = database.rows(RUN, {"id": run})
    return RunDetail(
        row=rows[0],
        params=decode(params, dict[str, object], f"params of run {run}"),
        workflow=decode(definition, Workflow, f"definition of run {run}"),
    )


def _runs(
    database: Database, query: sa.Select[Any], values: Mapping[str, object] = NOTHING
) -> list[RunRow]:
    rows = database.rows(query, values)
    steps_of = STEPS.where(EXECUTIONS.run.in_([row[0] for row in rows]))
    counts = {row[0]: row[1:] for row in (database.rows(steps_of) if rows else ())}
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

JOBS = schema.job.c
WAIT = "wait_reason wait_text wait_detail wait_blocked_by"
STEPS_OF_RUN = (
    sa.select(
        *_columns(
            schema.execution,
            "id key position phase text output metrics cache_key selection started_at_ms"
            " ended_at_ms",
        ),
        *_columns(schema.job, f"attempts not_before_ms {WAIT}"),
    )
    .outerjoin_from(schema.execution, schema.job, JOBS.id == EXECUTIONS.id)
    .where(OF_RUN)
    .order_by(EXECUTIONS.position, EXECUTIONS.id)
)
EDGES = sa.select(*_columns(schema.execution_edge, "down up")).where(
    same(schema.execution_edge.c.run)
)
GOOD_OUTPUTS = (
    sa.select(*_columns(schema.execution, "cache_key output metrics"))
    .where(OF_RUN, GOOD, EXECUTIONS.cache_key.is_not(None))
    .order_by(EXECUTIONS.position)
)


def list_executions(database: Database, run: str) -> list[ExecutionRow]:
    """Give the steps of a run in the order of the workflow, each with its latest attempt."""
    with database.reading():
        rows = database.rows(STEPS_OF_RUN, {"run": run})
        after: dict[str, list[str]] = {}
        for down, up in database.rows(EDGES, {"run": run}):
            after.setdefault(down, []).append(up)
        tried = [row[0] for row in rows if row[11]]
        latest = database.rows(LATEST.where(ATTEMPTS.job.in_(tried))) if tried else ()
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
        for cache_key, output, metrics in database.rows(GOOD_OUTPUTS, {"run": run})
    ]


# ── jobs and their attempts ───────────────────────────────────────────────────────────────────────

ATTEMPTS, WORKERS = schema.attempt.c, schema.worker.c
NEWEST_JOBS = sa.select(
    *_columns(
        schema.job,
        "id spec phase text attempts not_before_ms submitted_at_ms started_at_ms ended_at_ms"
        f" {WAIT} held workers",
    )
).order_by(JOBS.submitted_at_ms.desc(), JOBS.id.desc())
OLDER_JOBS = _older(schema.job)
THE_JOB = same(JOBS.id)
ATTEMPT = sa.select(
    *_columns(
        schema.attempt,
        "job number fence phase stop_cause decision placements started_at_ms released_at_ms"
        " ended_at_ms cause cause_class confidence text hint fingerprint rank evidence",
    )
)
OF_JOB = ATTEMPT.where(same(ATTEMPTS.job)).order_by(ATTEMPTS.number)
OTHERS = schema.attempt.alias("other").c
LAST = sa.select(sa.func.max(OTHERS.number)).where(OTHERS.job == ATTEMPTS.job)
LATEST = ATTEMPT.where(ATTEMPTS.number == LAST.correlate(schema.attempt).scalar_subquery())
WORKERS_OF_JOB = (
    sa.select(
        *_columns(
            schema.worker,
            "job number rank node pid code signal lost memory_peak_bytes cpu_ms ready_at_ms"
            " started_at_ms ended_at_ms error",
        )
    )
    .where(same(WORKERS.job))
    .order_by(WORKERS.number, WORKERS.rank)
)


def list_jobs(database: Database, wanted: JobFilter = ALL_JOBS) -> list[JobRow]:
    """Give the newest jobs of those that are wanted."""
    _check_limit(wanted.limit)
    return [_job(row) for row in database.rows(_wanted(wanted))]


def get_job(database: Database, job: str) -> JobRow:
    """Give one job."""
    rows = database.rows(NEWEST_JOBS.where(THE_JOB), {"id": job})
    if not rows:
        raise NotFound(f"there is no job {job!r}")
    return _job(rows[0])


def list_attempts(database: Database, job: str) -> list[AttemptRow]:
    """Give every attempt of a job, the first one first, each with its workers."""
    with database.reading():
        rows = database.rows(OF_JOB, {"job": job})
        workers: dict[int, list[WorkerRow]] = {}
        for row in database.rows(WORKERS_OF_JOB, {"job": job}):
            workers.setdefault(row[1], []).append(_worker(row))
    return [_attempt(row, tuple(workers.get(row[1], ()))) for row in rows]


def last_samples(database: Database, job: str) -> list[Series]:
    """Give every series of the latest attempt that measured anything; `last` is its last value."""
    series = list_series(database, job)
    number = max((one.number for one in series), default=0)
    return [one for one in series if one.number == number]


def _wanted(wanted: JobFilter) -> sa.Select[Any]:
    query = NEWEST_JOBS
    if wanted.phases:
        if not any(phase.final for phase in wanted.phases):
            # Only so does SQLite see that it may use the index of the open jobs.
            query = query.where(schema.JOB_OPEN)
        query = query.where(JOBS.phase.in_([phase.value for phase in wanted.phases]))
    if wanted.queue:
        below = wanted.queue + "/"
        beginning = sa.func.substr(JOBS.queue, 1, len(below))
        query = query.where((JOBS.queue == wanted.queue) | (beginning == below))
    if wanted.user is not None:
        query = query.where(JOBS.user == wanted.user)
    if wanted.name is not None:
        query = query.where(JOBS.name == wanted.name)
    if wanted.run is not None:
        query = query.where(JOBS.run == wanted.run)
    if wanted.before is not None:
        query = query.where(OLDER_JOBS).params(before=wanted.before)
    return query.limit(wanted.limit)


# ── from rows to values ───────────────────────────────────────────────────────────────────────────


def _job(row: Row) -> JobRow:
    return JobRow(
        id=row[0], spec=decode(row[1], JobSpec, f"spec of job {row[0]}"), phase=JobPhase(row[2]),
        text=row[3], attempts=row[4], not_before_ms=row[5], submitted_at_ms=row[6],
        started_at_ms=row[7], ended_at_ms=row[8], wait=_wait(row[9:13]),
        held=bool(row[13]), workers=row[14],
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


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= ROWS_MAX:
        raise InvalidInput(f"{limit} is not between 1 and {ROWS_MAX}", where="limit")
