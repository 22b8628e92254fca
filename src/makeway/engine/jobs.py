"""Change what is believed of jobs while no attempt of theirs is alive, by one event each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from makeway.engine import avoiding, dependencies, limits, presence, waiting
from makeway.engine.runs import assert_final, await_makers, move
from makeway.engine.state import State
from makeway.model import event as ev
from makeway.model.job import Job
from makeway.model.phase import JOB_CHANGES, ExecutionPhase, JobPhase, changed

RERUN = "rerun_upstream"


def step_forward(state: State, name: str) -> None:
    """Let a job wait no longer, wherever it does, and keep nothing for it."""
    if name in state.waiting:
        waiting.leave(state, name)
    elif name in state.pending:
        dependencies.let_go(state, state.jobs[name])
    state.refused.pop(name, None)
    state.waits.pop(name, None)
    state.reserved.pop(name, None)
    state.planned.pop(name, None)


def _submitted(state: State, event: ev.JobSubmitted, at_ms: int) -> None:
    state.order += 1
    spec = event.spec
    since_ms = at_ms if event.since_ms is None else event.since_ms
    job = Job(id=event.job, spec=spec, order=state.order, submitted_at_ms=since_ms)
    held_back = dependencies.holds_back(state, spec)
    excess = limits.excess(state, spec, at_ms, held_back=held_back)
    presence.come(state, spec.queue)
    state.jobs[job.id] = job
    # Those may have waited for it that were submitted before.
    job = replace(job, inherited=dependencies.inherited_by(state, job))
    state.jobs[job.id] = job
    if excess is not None:
        state.refused[job.id] = (state.seq + 1, excess)
        return
    limits.submitted(state, job.id, spec, at_ms)
    if held_back:
        dependencies.hold_back(state, job)
    else:
        waiting.enter(state, job, at_ms)
    state.changed = True


def _eligible(state: State, event: ev.JobEligible, at_ms: int) -> None:
    assert event.job in state.pending, f"illegal: {event.job} is not held back"
    dependencies.let_go(state, state.jobs[event.job])
    state.order += 1
    job = replace(state.jobs[event.job], order=state.order)
    state.jobs[job.id] = job
    state.waits.pop(job.id, None)
    waiting.enter(state, job, at_ms)
    state.changed = True


def _cancel_requested(state: State, event: ev.JobCancelRequested, _at_ms: int) -> None:
    dependencies.put(state, replace(state.jobs[event.job], cancel_wanted=True))


def _told(state: State, event: ev.JobWaiting | ev.JobRejected, _at_ms: int) -> None:
    state.waits[event.job] = event.wait
    state.untold.pop(event.job, None)


def _reserved(state: State, event: ev.SlotsReserved, _at_ms: int) -> None:
    moved = state.jobs[event.job].phase is JobPhase.EVICTING  # its new place is kept meanwhile
    assert moved or event.job in state.waiting, f"illegal: {event.job} does not wait for slots"
    state.reserved[event.job] = event.allocation
    if not moved:
        state.planned.setdefault(event.job, state.seq + 1)


def _dropped(state: State, event: ev.ReservationDropped, _at_ms: int) -> None:
    del state.reserved[event.job]
    state.changed = True


def _planned(state: State, event: ev.StartPlanned, _at_ms: int) -> None:
    assert event.job in state.waiting, f"illegal: {event.job} does not wait for room"
    state.planned[event.job] = state.seq + 1


def _requeued(state: State, event: ev.JobRequeued, at_ms: int) -> None:
    _assert_left(state, event.job)
    before = state.jobs[event.job]
    job = replace(
        before,
        phase=changed(JOB_CHANGES, before.phase, JobPhase.QUEUED),
        not_before_ms=event.not_before_ms,
        history=(*before.history, event.decision),
        lacks=event.decision.lacks if event.decision.action == "wait" else (),
        awaits=event.decision.rerun if event.decision.action == RERUN else (),
    )
    job = avoiding.ill_of(state, job, event.decision.exclude_nodes)
    await_makers(state, job.id, job.awaits)
    later = event.not_before_ms > at_ms
    move(state, job.id, ExecutionPhase.BACKOFF if later else ExecutionPhase.QUEUED)
    state.jobs[job.id] = job
    waiting.enter(state, job, at_ms)
    if later:
        state.reserved.pop(
            job.id, None
        )  # who failed while it was being moved does not go on at once
        state.wake_at(event.not_before_ms, job.id)
    state.changed = True


def _found(state: State, event: ev.DataFound, at_ms: int) -> None:
    job = state.jobs[event.job] = replace(state.jobs[event.job], lacks=())
    if job.id in state.waiting:
        waiting.resume(state, job, at_ms)
    state.changed = True


def _restored(state: State, event: ev.InputsRestored, at_ms: int) -> None:
    job = state.jobs[event.job] = replace(state.jobs[event.job], awaits=())
    await_makers(state, job.id, ())
    if job.id in state.waiting:
        waiting.resume(state, job, at_ms)
    state.changed = True


def _finished(state: State, event: ev.JobFinished, _at_ms: int) -> None:
    _assert_left(state, event.job)
    assert_final(event.phase)
    job = state.jobs[event.job]
    changed(JOB_CHANGES, job.phase, event.phase)
    step_forward(state, job.id)
    state.avoiding.pop(job.id, None)
    del state.jobs[job.id]
    state.ended[job.id] = event.phase
    presence.go(state, job.spec.queue)
    state.changed = True


def _assert_left(state: State, job: str) -> None:
    assert job not in state.attempts, f"illegal: an attempt of {job} is still alive"


# Any: each handler takes the one type that it is filed under, which a dict cannot express.
HANDLERS: dict[type, Callable[[State, Any, int], None]] = {
    ev.JobSubmitted: _submitted,
    ev.JobEligible: _eligible,
    ev.JobCancelRequested: _cancel_requested,
    ev.JobWaiting: _told,
    ev.JobRejected: _told,
    ev.SlotsReserved: _reserved,
    ev.ReservationDropped: _dropped,
    ev.StartPlanned: _planned,
    ev.JobRequeued: _requeued,
    ev.DataFound: _found,
    ev.InputsRestored: _restored,
    ev.JobFinished: _finished,
}
