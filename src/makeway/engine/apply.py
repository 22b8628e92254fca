"""Change the state by one event; the only place where anything believed changes.

Every event is handled here, one short function each, found by its type. Nothing is decided: what
follows from an event is concluded in `react`, logged, and comes through here as well. So replaying
a log through `apply` alone gives the state again, under whatever policy it was written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from makeway.engine.state import State
from makeway.model import event as ev
from makeway.model.cluster import ROOT, Queue, with_parents
from makeway.model.job import Attempt, Job, Worker
from makeway.model.phase import (
    ATTEMPT_CHANGES,
    EXECUTION_CHANGES,
    JOB_CHANGES,
    RUN_CHANGES,
    AttemptPhase,
    ExecutionPhase,
    JobPhase,
    RunPhase,
    changed,
)
from makeway.model.resources import NOTHING, Resources
from makeway.model.workflow import Execution, Run, execution_id, run_of
from makeway.policy.snapshot import Running


def apply(state: State, entry: ev.Entry) -> None:
    """Believe one entry. An illegal change of phase raises before anything is changed."""
    assert entry.seq == state.seq + 1, f"entry {entry.seq} cannot follow entry {state.seq}"
    HANDLERS[type(entry.event)](state, entry.event, entry.at_ms)
    state.seq = entry.seq


# ── machines and queues ───────────────────────────────────────────────────────────────────────────


def _node_joined(state: State, event: ev.NodeJoined, _at_ms: int) -> None:
    node = event.node
    used = NOTHING  # counted afresh: a node may come back while workers it lost still hold a place
    for running in state.running.values():
        for placement in running.allocation.placements:
            if placement.node == node.name:
                shape = running.job.spec.shape()
                used = used + shape[placement.group].times(placement.count)
    state.nodes[node.name] = node
    state.free[node.name] = node.capacity - used
    state.changed = True


def _node_lost(state: State, event: ev.NodeLost, _at_ms: int) -> None:
    del state.nodes[event.name], state.free[event.name]
    state.changed = True


def _queues_configured(state: State, event: ev.QueuesConfigured, _at_ms: int) -> None:
    state.queues = {ROOT: Queue(path=ROOT)} | {queue.path: queue for queue in event.queues}
    for path in [*state.queues, *(job.spec.queue for job in state.jobs.values())]:
        state.queues |= with_parents(state.queues, path)
    state.changed = True


# ── jobs and their attempts ───────────────────────────────────────────────────────────────────────


def _job_submitted(state: State, event: ev.JobSubmitted, at_ms: int) -> None:
    state.order += 1
    job = Job(id=event.job, spec=event.spec, order=state.order, submitted_at_ms=at_ms)
    if job.spec.queue not in state.queues:
        state.queues |= with_parents(state.queues, job.spec.queue)
    state.jobs[job.id] = state.waiting[job.id] = job
    state.changed = True


def _job_cancel_requested(state: State, event: ev.JobCancelRequested, _at_ms: int) -> None:
    job = replace(state.jobs[event.job], cancel_wanted=True)
    state.jobs[job.id] = job
    if job.id in state.waiting:
        state.waiting[job.id] = job
    else:
        state.running[job.id] = replace(state.running[job.id], job=job)


def _job_waiting(state: State, event: ev.JobWaiting, _at_ms: int) -> None:
    state.waits[event.job] = event.wait


def _job_rejected(state: State, event: ev.JobRejected, _at_ms: int) -> None:
    state.waits[event.job] = event.wait


def _attempt_started(state: State, event: ev.AttemptStarted, at_ms: int) -> None:
    before = state.jobs[event.job]
    job = replace(
        before,
        phase=changed(JOB_CHANGES, before.phase, JobPhase.RUNNING),
        attempts=event.number,
        fence=event.fence,
    )
    shape, usage = job.spec.shape(), NOTHING
    room = {placement.node: state.free[placement.node] for placement in event.allocation.placements}
    for placement in event.allocation.placements:
        taken, free = shape[placement.group].times(placement.count), room[placement.node]
        assert taken.fits(free), f"{job.id} does not fit on {placement.node}: a bug of the policy"
        room[placement.node] = free - taken
        usage = usage + taken
    _move(state, job.id, ExecutionPhase.STARTING)
    state.free |= room
    _hold(state, job.spec.queue, state.held.get(job.spec.queue, NOTHING) + usage)
    state.jobs[job.id] = job
    del state.waiting[job.id]
    state.waits.pop(job.id, None)
    state.running[job.id] = Running(
        job=job, allocation=event.allocation, usage=usage, started_at_ms=at_ms
    )
    state.attempts[job.id] = Attempt(
        job=job.id,
        number=event.number,
        fence=event.fence,
        allocation=event.allocation,
        phase=AttemptPhase.PREPARING,
        started_at_ms=at_ms,
        barrier_at_ms=event.barrier_at_ms,
        workers=tuple(
            Worker(rank=rank, node=placement.node)
            for rank, placement, _ in event.allocation.ranks()
        ),
    )
    state.wake_at(event.barrier_at_ms, job.id)


def _worker_ready(state: State, event: ev.WorkerReady, _at_ms: int) -> None:
    _worker(state, event, pid=event.pid, address=event.address, port=event.port, ready=True)


def _worker_started(state: State, event: ev.WorkerStarted, _at_ms: int) -> None:
    _worker(state, event, pid=event.pid, started=True)


def _worker_exited(state: State, event: ev.WorkerExited, _at_ms: int) -> None:
    _worker(state, event, exit=event.exit)


def _worker(
    state: State, event: ev.WorkerReady | ev.WorkerStarted | ev.WorkerExited, **facts: object
) -> None:
    attempt = state.attempts[event.job]
    workers = list(attempt.workers)
    workers[event.rank] = replace(workers[event.rank], **facts)
    state.attempts[event.job] = replace(attempt, workers=tuple(workers))


def _attempt_released(state: State, event: ev.AttemptReleased, at_ms: int) -> None:
    attempt = state.attempts[event.job]
    phase = changed(ATTEMPT_CHANGES, attempt.phase, AttemptPhase.RUNNING)
    _move(state, event.job, ExecutionPhase.RUNNING)
    state.attempts[event.job] = replace(attempt, phase=phase, released_at_ms=at_ms)


def _attempt_stopped(state: State, event: ev.AttemptStopped, _at_ms: int) -> None:
    attempt, before = state.attempts[event.job], state.jobs[event.job]
    phase = changed(ATTEMPT_CHANGES, attempt.phase, AttemptPhase.STOPPING)
    job = replace(before, phase=changed(JOB_CHANGES, before.phase, JobPhase.EVICTING))
    state.attempts[job.id] = replace(attempt, phase=phase, stop_cause=event.cause)
    state.jobs[job.id] = job
    state.running[job.id] = replace(state.running[job.id], job=job)


def _attempt_ended(state: State, event: ev.AttemptEnded, _at_ms: int) -> None:
    attempt, job = state.attempts[event.job], state.jobs[event.job]
    changed(ATTEMPT_CHANGES, attempt.phase, AttemptPhase.ENDED)
    del state.attempts[job.id]
    shape = job.spec.shape()
    for placement in attempt.allocation.placements:
        if placement.node in state.free:  # a lost node took its room with it
            given = shape[placement.group].times(placement.count)
            state.free[placement.node] = state.free[placement.node] + given
    held = state.held.get(job.spec.queue, NOTHING)
    _hold(state, job.spec.queue, held - state.running.pop(job.id).usage)
    state.changed = True


def _hold(state: State, queue: str, amount: Resources) -> None:
    """Keep what the jobs of a queue hold; a queue whose jobs hold nothing is not named."""
    if amount:
        state.held[queue] = amount
    else:
        state.held.pop(queue, None)


def _job_requeued(state: State, event: ev.JobRequeued, at_ms: int) -> None:
    _assert_left(state, event.job)
    before = state.jobs[event.job]
    job = replace(
        before,
        phase=changed(JOB_CHANGES, before.phase, JobPhase.QUEUED),
        not_before_ms=event.not_before_ms,
        history=(*before.history, event.decision),
    )
    later = event.not_before_ms > at_ms
    _move(state, job.id, ExecutionPhase.BACKOFF if later else ExecutionPhase.QUEUED)
    state.jobs[job.id] = state.waiting[job.id] = job
    if later:
        state.wake_at(event.not_before_ms, job.id)
    state.changed = True


def _job_finished(state: State, event: ev.JobFinished, _at_ms: int) -> None:
    _assert_left(state, event.job)
    _assert_final(event.phase)
    changed(JOB_CHANGES, state.jobs[event.job].phase, event.phase)
    del state.jobs[event.job]
    state.waiting.pop(event.job, None)
    state.waits.pop(event.job, None)
    state.changed = True


# ── runs and their executions ─────────────────────────────────────────────────────────────────────


def _run_submitted(state: State, event: ev.RunSubmitted, at_ms: int) -> None:
    state.runs[event.run] = Run(
        id=event.run,
        workflow=event.workflow,
        user=event.user,
        queue=event.queue,
        priority=event.priority,
        resumed_from=event.resumed_from,
        reusable={reusable.cache_key: reusable for reusable in event.reusable},
        submitted_at_ms=at_ms,
    )
    _touch(state, event.run)
    state.executions[event.run] = {
        execution_id(event.run, step.key): Execution(
            id=execution_id(event.run, step.key), run=event.run, key=step.key
        )
        for step in event.workflow.steps
    }


def _run_cancel_requested(state: State, event: ev.RunCancelRequested, _at_ms: int) -> None:
    run = state.runs[event.run]
    phase = changed(RUN_CHANGES, run.phase, RunPhase.CANCELLING)
    state.runs[run.id] = replace(run, phase=phase)
    _touch(state, run.id)


def _execution_submitted(state: State, event: ev.ExecutionSubmitted, _at_ms: int) -> None:
    executions = state.executions[run_of(event.execution)]
    before = executions[event.execution]
    # A step is queued again when an attempt has ended, but it is submitted once.
    assert before.phase is ExecutionPhase.PENDING, f"illegal: {before.id} was submitted before"
    phase = changed(EXECUTION_CHANGES, before.phase, ExecutionPhase.QUEUED)
    executions[before.id] = replace(before, phase=phase, cache_key=event.cache_key)


def _execution_ended(state: State, event: ev.ExecutionEnded, _at_ms: int) -> None:
    executions = state.executions[run_of(event.execution)]
    before = executions[event.execution]
    _assert_final(event.phase)
    executions[before.id] = replace(
        before,
        phase=changed(EXECUTION_CHANGES, before.phase, event.phase),
        text=event.text,
        output=event.output,
        metrics=event.metrics,
        cache_key=event.cache_key or before.cache_key,
        selection=event.selection,
    )
    _touch(state, before.run)


def _run_finished(state: State, event: ev.RunFinished, _at_ms: int) -> None:
    _assert_final(event.phase)
    changed(RUN_CHANGES, state.runs[event.run].phase, event.phase)
    del state.runs[event.run], state.executions[event.run]
    state.touched.pop(event.run, None)


def _assert_left(state: State, job: str) -> None:
    assert job not in state.attempts, f"illegal: an attempt of {job} is still alive"


def _assert_final(phase: JobPhase | ExecutionPhase | RunPhase) -> None:
    assert phase.final, f"illegal: nothing ends as {phase.value}"


def _touch(state: State, run: str) -> None:
    """Let the engine look at the run again, because of the entry that is being applied."""
    state.touched[run] = state.seq + 1


def _move(state: State, job: str, phase: ExecutionPhase) -> None:
    """Let the execution, if the job stands for one, follow its job."""
    execution = state.execution(job)
    if execution is not None:
        state.executions[execution.run][execution.id] = replace(
            execution, phase=changed(EXECUTION_CHANGES, execution.phase, phase)
        )


# Any: each handler takes the one type that it is filed under, which a dict cannot express.
HANDLERS: dict[type, Callable[[State, Any, int], None]] = {
    ev.NodeJoined: _node_joined,
    ev.NodeLost: _node_lost,
    ev.QueuesConfigured: _queues_configured,
    ev.JobSubmitted: _job_submitted,
    ev.JobCancelRequested: _job_cancel_requested,
    ev.RunSubmitted: _run_submitted,
    ev.RunCancelRequested: _run_cancel_requested,
    ev.WorkerReady: _worker_ready,
    ev.WorkerStarted: _worker_started,
    ev.WorkerExited: _worker_exited,
    ev.JobRejected: _job_rejected,
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
}
