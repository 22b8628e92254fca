"""Fold events into the tables that lists and pages are read from.

One short function an event says which rows change; it looks at the event alone, never at the
tables. So folding a log in one go, entry by entry, or again from the start gives the same rows.
The phases follow `engine.apply`; what leaves the engine's state when it is final stays here.

Artifacts, their uses and parameters come from three events: what a job reads and is given from
`JobSubmitted`, what rank 0 leaves behind from `WorkerExited`, what a step gives from
`ExecutionEnded`. The first execution that makes an artifact is its producer; a reused one makes
nothing, but gives it all the same.

Holds:   every event has its line in FOLDS · the statements depend on the kind of event alone
Cost:    10 to 60 µs an event with its statements, in a batch of ten
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from msgspec.structs import astuple

from makeway.codec import encode
from makeway.model import event as ev
from makeway.model.phase import AttemptPhase, ExecutionPhase, JobPhase, RunPhase
from makeway.model.record import Decision
from makeway.model.workflow import Constant, execution_id
from makeway.store import remade, reopening, schema
from makeway.store.database import Database
from makeway.store.decisions import DECISION, decided
from makeway.store.finals import GIVEN, REPORTED, given, reported
from makeway.store.produced import (
    ARTIFACT,
    PARAM,
    TAG,
    USE,
    artifact,
    inputs,
    json_of,
    typed,
)
from makeway.store.statement import Upsert, insert, same, update
from makeway.workflows.graph import upstream

Values = tuple[object, ...]
Write = tuple[sa.Insert | sa.Update | Upsert, Values]
Fold = Callable[[Any, int], Iterable[Write]]  # Any: each takes the event that it is filed under

TURNS: dict[sa.FromClause, int] = {
    table: turn for turn, table in enumerate(schema.metadata.sorted_tables)
}

JOBS, ATTEMPTS, WORKERS = schema.job.c, schema.attempt.c, schema.worker.c
RUNS, EXECUTIONS = schema.run.c, schema.execution.c
THE_JOB, THE_RUN, THE_EXECUTION = same(JOBS.id), same(RUNS.id), same(EXECUTIONS.id)
THE_ATTEMPT = same(ATTEMPTS.job, ATTEMPTS.number)


def fold(database: Database, entries: Iterable[ev.Entry]) -> None:
    """Bring the views from before these entries to after them, within the caller's transaction."""
    writes = (write for entry in entries for write in _writes(entry))
    # Table by table, what others refer to first: a statement looks at no table but its own, and at
    # what never changes of an attempt. So neighbours of one kind go out as one: the thousand workers
    # of a gang, the steps of a run.
    in_turn = sorted(writes, key=lambda write: TURNS[write[0].table])
    for statement, group in groupby(in_turn, itemgetter(0)):
        database.write(statement, [values for _, values in group])


def _writes(entry: ev.Entry) -> Iterator[Write]:
    yield from FOLDS[type(entry.event)](entry.event, entry.at_ms)
    if row := decided(entry):
        yield DECISION, astuple(row)


def _worker_of(*columns: str) -> sa.Update:
    # A worker's messages carry the fence; its attempt has the number.
    own = same(ATTEMPTS.fence) & (ATTEMPTS.job == WORKERS.job)
    number = sa.select(ATTEMPTS.number).where(own).correlate(schema.worker).scalar_subquery()
    which = same(WORKERS.job, WORKERS.rank) & (WORKERS.number == number)
    return update(schema.worker, which, *columns)


# ── jobs and their attempts ───────────────────────────────────────────────────────────────────────

JOB = insert(
    schema.job, "id", "name", "user", "queue", "priority", "phase", "text", "attempts",
    "submitted_at_ms", "run", "spec",
)  # fmt: skip
WAIT = ("wait_reason", "wait_text", "wait_detail", "wait_blocked_by")
JOB_WAITS = update(schema.job, THE_JOB, *WAIT)
JOB_STARTS = update(
    schema.job, THE_JOB, "phase", "attempts", "workers",
    started_at_ms=sa.func.coalesce(JOBS.started_at_ms, sa.bindparam("at_ms")),
    not_before_ms=sa.null(), **dict.fromkeys(WAIT, sa.null()),
)  # fmt: skip
JOB_EVICTS = update(schema.job, THE_JOB, "phase")
JOB_QUEUES = update(schema.job, THE_JOB, "phase", "not_before_ms")
JOB_CHANGES = update(schema.job, THE_JOB, "spec")
JOB_ENDS = update(schema.job, THE_JOB, "phase", "text", "ended_at_ms")
JOB_RESIZES = update(schema.job, THE_JOB, "workers")
ATTEMPT = insert(schema.attempt, "job", "number", "fence", "phase", "placements", "started_at_ms")
ATTEMPT_RELEASED = update(schema.attempt, THE_ATTEMPT, "phase", "released_at_ms")
ATTEMPT_STOPS = update(schema.attempt, THE_ATTEMPT, "phase", "stop_cause")
ATTEMPT_ENDS = update(
    schema.attempt, THE_ATTEMPT, "phase", "ended_at_ms", "cause", "cause_class", "confidence",
    "text", "hint", "fingerprint", "rank", "evidence",
)  # fmt: skip
OTHERS = schema.attempt.alias("other").c
LATEST = sa.select(sa.func.max(OTHERS.number)).where(OTHERS.job == sa.bindparam("job"))
ATTEMPT_DECIDED = update(
    schema.attempt,
    same(ATTEMPTS.job) & (ATTEMPTS.number == LATEST.scalar_subquery()),
    *("decision", "ledger"),
)
ATTEMPT_RESIZED = update(schema.attempt, THE_ATTEMPT, "placements")
WORKER = insert(schema.worker, "job", "number", "rank", "node")
# Those that stay are there already; one that comes may have the rank of one that left.
WORKER_STAYS = Upsert(
    schema.worker,
    ("job", "number", "rank", "node"),
    key=("job", "number", "rank"),
    replace=("node",),
)
WORKER_READY = _worker_of("pid", "ready_at_ms")
WORKER_STARTED = _worker_of("pid", "started_at_ms")
WORKER_EXITED = _worker_of(
    "ended_at_ms", "code", "signal", "lost", "memory_peak_bytes", "cpu_ms", "error"
)


def _job_submitted(event: ev.JobSubmitted, at_ms: int) -> Iterator[Write]:
    spec, job = event.spec, event.job
    since_ms = at_ms if event.since_ms is None else event.since_ms
    yield (
        JOB,
        (job, spec.name, spec.user, spec.queue, spec.priority, JobPhase.QUEUED.value, "", 0,
         since_ms, spec.run, encode(spec).decode()),
    )  # fmt: skip
    call = spec.program.call
    if call is None:
        return
    for name, binding in call.arguments.items():
        if isinstance(binding, Constant):
            yield PARAM, (job, name, *typed(binding.value))
        else:
            for key, output in inputs(name, binding):
                yield ARTIFACT, artifact(output, at_ms, None)
                yield USE, (job, "input", key, output.digest)


def _job_waiting(event: ev.JobWaiting | ev.JobRejected, _at_ms: int) -> Iterator[Write]:
    wait = event.wait
    detail, blocked_by = json_of(wait.detail), json_of(wait.blocked_by)
    yield JOB_WAITS, (wait.reason.value, wait.text, detail, blocked_by, event.job)


def _attempt_started(event: ev.AttemptStarted, at_ms: int) -> Iterator[Write]:
    job, number = event.job, event.number
    workers = event.allocation.workers
    yield JOB_STARTS, (JobPhase.RUNNING.value, number, workers, at_ms, job)
    placements = encode(event.allocation.placements).decode()
    phase = AttemptPhase.PREPARING.value
    yield ATTEMPT, (job, number, event.fence, phase, placements, at_ms)
    yield EXECUTION_STARTS, (ExecutionPhase.STARTING.value, at_ms, job)
    for rank, placement, _ in event.allocation.ranks():
        yield WORKER, (job, number, rank, placement.node)


def _attempt_adopted(event: ev.AttemptAdopted, at_ms: int) -> Iterator[Write]:
    first = ev.AttemptStarted(
        job=event.job, number=1, fence=1, allocation=event.allocation, barrier_at_ms=at_ms
    )
    yield from _attempt_started(first, event.started_at_ms)
    yield ATTEMPT_RELEASED, (AttemptPhase.RUNNING.value, event.started_at_ms, event.job, 1)
    yield EXECUTION_MOVES, (ExecutionPhase.RUNNING.value, event.job)


def _attempt_resized(event: ev.AttemptResized, _at_ms: int) -> Iterator[Write]:
    placements = encode(event.allocation.placements).decode()
    yield JOB_RESIZES, (event.allocation.workers, event.job)
    yield ATTEMPT_RESIZED, (placements, event.job, event.number)
    for rank, placement, _ in event.allocation.ranks():
        yield WORKER_STAYS, (event.job, event.number, rank, placement.node)


def _job_eligible(event: ev.JobEligible, _at_ms: int) -> Iterator[Write]:
    yield JOB_WAITS, (None, None, None, None, event.job)


def _job_retried(event: ev.JobRetryRequested, _at_ms: int) -> Iterator[Write]:
    yield JOB_QUEUES, (JobPhase.QUEUED.value, None, event.job)


def _data_found(event: ev.DataFound, _at_ms: int) -> Iterator[Write]:
    yield JOB_WAITS, (None, None, None, None, event.job)


def _job_changed(event: ev.JobChanged, _at_ms: int) -> Iterator[Write]:
    yield JOB_CHANGES, (encode(event.spec).decode(), event.job)


def _worker_ready(event: ev.WorkerReady, at_ms: int) -> Iterator[Write]:
    yield WORKER_READY, (event.pid, at_ms, event.job, event.rank, event.fence)


def _worker_started(event: ev.WorkerStarted, at_ms: int) -> Iterator[Write]:
    yield WORKER_STARTED, (event.pid, at_ms, event.job, event.rank, event.fence)


def _worker_exited(event: ev.WorkerExited, at_ms: int) -> Iterator[Write]:
    end, job = event.exit, event.job
    yield (
        WORKER_EXITED,
        (end.at_ms, end.code, end.signal, end.lost, end.memory_peak_bytes, end.cpu_ms,
         json_of(end.error), job, event.rank, event.fence),
    )  # fmt: skip
    if event.rank != 0 or not end.good or end.report is None:
        return
    for output in filter(None, (end.report.output, *end.report.artifacts)):
        yield ARTIFACT, artifact(output, at_ms, job)
        yield from ((GIVEN, row) for row in given(output))
        yield USE, (job, "output", output.name, output.digest)
    for name, value in end.report.params.items():
        yield PARAM, (job, name, *typed(value))
    yield from ((REPORTED, row) for row in reported(job, end.report.metrics))


def _attempt_released(event: ev.AttemptReleased, at_ms: int) -> Iterator[Write]:
    yield ATTEMPT_RELEASED, (AttemptPhase.RUNNING.value, at_ms, event.job, event.number)
    yield EXECUTION_MOVES, (ExecutionPhase.RUNNING.value, event.job)


def _attempt_stopped(event: ev.AttemptStopped, _at_ms: int) -> Iterator[Write]:
    yield ATTEMPT_STOPS, (AttemptPhase.STOPPING.value, event.cause, event.job, event.number)
    yield JOB_EVICTS, (JobPhase.EVICTING.value, event.job)


def _attempt_ended(event: ev.AttemptEnded, at_ms: int) -> Iterator[Write]:
    said = event.diagnosis
    yield JOB_RESIZES, (None, event.job)
    yield (
        ATTEMPT_ENDS,
        (AttemptPhase.ENDED.value, at_ms, said.cause.value, said.cause_class.value,
         said.confidence, said.text, said.hint, said.fingerprint, said.rank,
         json_of(said.evidence), event.job, event.number),
    )  # fmt: skip


def _job_requeued(event: ev.JobRequeued, at_ms: int) -> Iterator[Write]:
    later = event.not_before_ms > at_ms
    phase = ExecutionPhase.BACKOFF if later else ExecutionPhase.QUEUED
    yield JOB_QUEUES, (JobPhase.QUEUED.value, event.not_before_ms if later else None, event.job)
    yield EXECUTION_MOVES, (phase.value, event.job)
    yield ATTEMPT_DECIDED, _decided(event.job, event.decision)


def _job_finished(event: ev.JobFinished, at_ms: int) -> Iterator[Write]:
    yield JOB_ENDS, (event.phase.value, event.text, at_ms, event.job)
    if event.phase is JobPhase.CANCELLED:  # a refused job keeps its reason, and only that one
        yield JOB_WAITS, (None, None, None, None, event.job)
    if event.decision is not None:
        yield ATTEMPT_DECIDED, _decided(event.job, event.decision)


def _decided(job: str, decision: Decision) -> Values:
    return (json_of(decision), decision.ledger, job, job)


# ── runs and their executions ─────────────────────────────────────────────────────────────────────

RUN = insert(
    schema.run, "id", "workflow", "user", "queue", "phase", "text", "params", "resumed_from",
    "definition", "submitted_at_ms",
)  # fmt: skip
RUN_CANCELS = update(schema.run, THE_RUN, "phase", "text")
RUN_ENDS = update(schema.run, THE_RUN, "phase", "text", "ended_at_ms")
EXECUTION = insert(schema.execution, "id", "run", "key", "position", "phase", "text")
EXECUTION_QUEUES = update(schema.execution, THE_EXECUTION, "phase", "cache_key", "key_parts")
EXECUTION_STARTS = update(
    schema.execution, THE_EXECUTION, "phase",
    started_at_ms=sa.func.coalesce(EXECUTIONS.started_at_ms, sa.bindparam("at_ms")),
)  # fmt: skip
EXECUTION_MOVES = update(schema.execution, THE_EXECUTION, "phase")
EXECUTION_ENDS = update(
    schema.execution, THE_EXECUTION, "phase", "output", "digest", "metrics", "selection",
    "ended_at_ms", text=sa.func.coalesce(sa.bindparam("said"), EXECUTIONS.text),
    cache_key=sa.func.coalesce(sa.bindparam("new_key"), EXECUTIONS.cache_key),
    key_parts=sa.func.coalesce(sa.bindparam("new_parts"), EXECUTIONS.key_parts),
)  # fmt: skip
EXECUTION_RESELECTS = update(schema.execution, THE_EXECUTION, "selection", "text")
EDGE = insert(schema.execution_edge, "run", "up", "down")


def _run_submitted(event: ev.RunSubmitted, at_ms: int) -> Iterator[Write]:
    workflow, run = event.workflow, event.run
    yield (
        RUN,
        (run, workflow.name, event.user, event.queue, RunPhase.RUNNING.value, "",
         encode(workflow.params).decode(), event.resumed_from, encode(workflow).decode(), at_ms),
    )  # fmt: skip
    for name, value in workflow.params.items():
        yield PARAM, (run, name, *typed(value))
    pending = ExecutionPhase.PENDING.value
    for position, step in enumerate(workflow.steps):
        execution = execution_id(run, step.key)
        yield EXECUTION, (execution, run, step.key, position, pending, "")
        for name, said in step.tags.items():
            yield TAG, (execution, name, said)
    for step in workflow.steps:
        for key in upstream(step):
            yield EDGE, (run, key, step.key)


def _run_cancel_requested(event: ev.RunCancelRequested, _at_ms: int) -> Iterator[Write]:
    yield RUN_CANCELS, (RunPhase.CANCELLING.value, event.text, event.run)


def _execution_submitted(event: ev.ExecutionSubmitted, _at_ms: int) -> Iterator[Write]:
    phase, parts = ExecutionPhase.QUEUED.value, json_of(event.key_parts)
    yield EXECUTION_QUEUES, (phase, event.cache_key, parts, event.execution)


def _execution_ended(event: ev.ExecutionEnded, at_ms: int) -> Iterator[Write]:
    output, execution = event.output, event.execution
    yield (
        EXECUTION_ENDS,
        (event.phase.value, json_of(output), output.digest if output else None,
         json_of(event.metrics), json_of(event.selection), at_ms, event.text or None,
         event.cache_key or None,
         json_of(event.key_parts), execution),
    )  # fmt: skip
    yield from ((REPORTED, row) for row in reported(execution, event.metrics))
    if output is not None:
        made = event.phase is not ExecutionPhase.CACHED
        yield ARTIFACT, artifact(output, at_ms, execution if made else None)
        yield USE, (execution, "output", output.name, output.digest)


def _late_result(event: ev.LateResult, _at_ms: int) -> Iterator[Write]:
    yield EXECUTION_RESELECTS, (json_of(event.selection), event.text, event.execution)


def _run_finished(event: ev.RunFinished, at_ms: int) -> Iterator[Write]:
    yield RUN_ENDS, (event.phase.value, event.text, at_ms, event.run)


UNSEEN = (
    *(ev.NodeJoined, ev.NodeLost, ev.NodeDrained, ev.NodeUndrained, ev.NodeRemoved),
    *(ev.RulesConfigured, ev.QueuesConfigured, ev.FailuresConfigured),
    *(ev.JobCancelRequested, ev.JobHoldRequested, ev.JobReleaseRequested, ev.JobResizeRequested),
    ev.JobKeepRequested,
    *(ev.SlotsReserved, ev.ReservationDropped, ev.StartPlanned, ev.PastUsageTold),
    *(ev.AttemptJudged, ev.AttemptSeen),
)

FOLDS: dict[type, Fold] = {
    **reopening.FOLDS,
    **dict.fromkeys(UNSEEN, lambda _event, _at_ms: ()),
    ev.AttemptAdopted: _attempt_adopted,
    ev.AttemptResized: _attempt_resized,
    ev.JobEligible: _job_eligible,
    ev.JobRetryRequested: _job_retried,
    ev.DataFound: _data_found,
    ev.JobChanged: _job_changed,
    ev.JobSubmitted: _job_submitted,
    ev.RunSubmitted: _run_submitted,
    ev.RunCancelRequested: _run_cancel_requested,
    ev.WorkerReady: _worker_ready,
    ev.WorkerStarted: _worker_started,
    ev.WorkerExited: _worker_exited,
    ev.JobRejected: _job_waiting,
    ev.JobWaiting: _job_waiting,
    ev.AttemptStarted: _attempt_started,
    ev.AttemptReleased: _attempt_released,
    ev.AttemptStopped: _attempt_stopped,
    ev.AttemptEnded: _attempt_ended,
    ev.JobRequeued: _job_requeued,
    ev.JobFinished: _job_finished,
    ev.ExecutionSubmitted: _execution_submitted,
    ev.ExecutionEnded: _execution_ended,
    ev.RunFinished: _run_finished,
    ev.LateResult: _late_result,
    **remade.FOLDS,
}
