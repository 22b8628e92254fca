"""Conclude what follows from an event that has just been applied: more events, and orders.

The life cycle of everything stands here, one short function an event. It reads the state and never
changes it: what it concludes is logged and applied like any other fact, so nothing is believed
that is not written down. An order is written down as intent before it goes out (`AttemptStopped`
before `StopWorkers`), so that after a crash the cause of a signal is still known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from makeway.engine import overriding, wishes, worth
from makeway.engine.attempts import REPLACE, before_node, enough, place_of, staying
from makeway.engine.dependencies import behind, broken, broken_wait, pending_wait, still_open
from makeway.engine.orders import shrink, stop
from makeway.engine.remake import after_it_ended, with_inputs
from makeway.engine.state import State
from makeway.engine.verdict import again, ended
from makeway.engine.waiting import wake
from makeway.model import event as ev
from makeway.model.effect import (
    Effect,
    LaunchWorkers,
    ReleaseWorkers,
    ResizeWorkers,
    StopWorkers,
)
from makeway.model.job import Attempt, OnHang
from makeway.model.phase import AttemptPhase, ExecutionPhase, JobPhase
from makeway.model.record import NOT_READY, SLOW, Cause, Exit, Report

Consequence = ev.Event | Effect

NO_REPORT = Report()


def react(state: State, entry: ev.Entry) -> Iterable[Consequence]:
    """Give what follows from the entry, in the order in which it is to be believed."""
    rule = RULES.get(type(entry.event))
    return () if rule is None else rule(state, entry.event, entry.at_ms)


def due(state: State, now_ms: int) -> Iterator[ev.Event]:
    """Give the facts that only the passing of time brings about."""
    wake(state, now_ms)  # a backoff is over: the policy may start the job
    for job in state.pop_due(now_ms):
        attempt = state.attempts.get(job)
        if attempt is None:  # two of one instant may have been due
            continue
        limit_at_ms = state.limit_at_ms(attempt)
        if attempt.phase is AttemptPhase.PREPARING:
            yield stop(state, attempt, "barrier")
        elif limit_at_ms is not None and limit_at_ms <= now_ms:
            limit_ms = state.jobs[job].spec.time_limit_ms or 0
            yield stop(state, attempt, "timeout", f"its limit is {limit_ms / 1000:g} s")


# ── machines ──────────────────────────────────────────────────────────────────────────────────────


def _node_drained(state: State, event: ev.NodeDrained, _at_ms: int) -> Iterator[Consequence]:
    for attempt in state.attempts.values() if event.evict else ():
        stays = staying(attempt)
        there = any(row.node == event.name for row in stays.placements)
        if there and attempt.phase is not AttemptPhase.STOPPING:
            rest = before_node(attempt, event.name)
            if enough(rest, state.jobs[attempt.job].spec):
                yield shrink(state, attempt, rest, "drained")
            else:
                yield stop(state, attempt, "drained", f"node {event.name} is being drained")
    yield from _nothing_kept(state, event.name, "is being drained")


def _node_lost(
    state: State, event: ev.NodeLost | ev.NodeRemoved, at_ms: int
) -> Iterator[Consequence]:
    for attempt in state.attempts.values():
        for worker in attempt.workers:
            if worker.node == event.name and worker.exit is None:
                # Once it was let go nobody can know how far it came, whether it said so or not.
                started = worker.started or attempt.released_at_ms is not None
                gone = Exit(at_ms=at_ms, lost=f"node {event.name} is gone", started=started)
                yield ev.WorkerExited(
                    job=attempt.job, fence=attempt.fence, rank=worker.rank, exit=gone
                )
    yield from _nothing_kept(state, event.name, "is gone")


def _nothing_kept(state: State, node: str, why: str) -> Iterator[Consequence]:
    for job, allocation in state.reserved.items():
        if any(row.node == node for row in allocation.placements):
            yield ev.ReservationDropped(job=job, text=f"node {node} {why}")


# ── jobs that wait for others ─────────────────────────────────────────────────────────────────────


def _submitted(state: State, event: ev.JobSubmitted, _at_ms: int) -> Iterator[Consequence]:
    if event.job not in state.pending:
        return
    if broken(state, event.spec):
        yield from _never(state, event.job)
    else:
        yield ev.JobWaiting(job=event.job, wait=pending_wait(state, event.spec))


def _dependents(state: State, ended: str) -> Iterator[Consequence]:
    for job in state.dependents.get(ended, ()):
        spec = state.jobs[job].spec
        never = broken(state, spec)
        if never:
            # Whoever ended so before has brought this about already.
            if all(after.job == ended for after in never):
                yield from _never(state, job)
        elif not still_open(state, spec):
            yield ev.JobEligible(job=job)


def _never(state: State, job: str) -> Iterator[Consequence]:
    wait = broken_wait(state, state.jobs[job].spec)
    yield ev.JobWaiting(job=job, wait=wait)
    yield ev.JobFinished(job=job, phase=JobPhase.CANCELLED, text=wait.text)


# ── jobs and their attempts ───────────────────────────────────────────────────────────────────────


def _cancel_requested(
    state: State, event: ev.JobCancelRequested, _at_ms: int
) -> Iterator[Consequence]:
    attempt = state.attempts.get(event.job)
    if attempt is None:
        yield ev.JobFinished(job=event.job, phase=JobPhase.CANCELLED, text=event.text)
    elif attempt.phase is not AttemptPhase.STOPPING:
        yield stop(state, attempt, "cancel")


def _rejected(_state: State, event: ev.JobRejected, _at_ms: int) -> Iterator[Consequence]:
    yield ev.JobFinished(job=event.job, phase=JobPhase.FAILED, text=event.wait.text)


def _started(state: State, event: ev.AttemptStarted, _at_ms: int) -> Iterator[Consequence]:
    yield LaunchWorkers(
        job=event.job,
        number=event.number,
        fence=event.fence,
        spec=state.jobs[event.job].spec,
        allocation=event.allocation,
    )


def _adopted(state: State, event: ev.AttemptAdopted, _at_ms: int) -> Iterator[Consequence]:
    attempt = state.attempts[event.job]
    job, number, fence = attempt.job, attempt.number, attempt.fence
    spec, allocation = state.jobs[job].spec, event.allocation
    yield LaunchWorkers(job=job, number=number, fence=fence, spec=spec, allocation=allocation)
    yield ReleaseWorkers(job=job, number=number, fence=fence, address="", port=0)


def _resized(state: State, event: ev.AttemptResized, _at_ms: int) -> Iterator[Consequence]:
    yield ResizeWorkers(
        job=event.job,
        number=event.number,
        fence=event.fence,
        generation=event.generation,
        spec=state.jobs[event.job].spec,
        allocation=event.allocation,
        grace_ms=event.grace_ms,
    )
    yield from _all_ready(state.attempts[event.job])  # those it waited for may be on their way out


def _ready(state: State, event: ev.WorkerReady, _at_ms: int) -> Iterator[Consequence]:
    yield from _all_ready(state.attempts[event.job])


def _all_ready(attempt: Attempt) -> Iterator[Consequence]:
    ready = all(worker.ready or worker.leaving for worker in attempt.workers)
    if attempt.phase is AttemptPhase.PREPARING and ready:
        first = attempt.workers[0]
        yield ev.AttemptReleased(
            job=attempt.job,
            number=attempt.number,
            fence=attempt.fence,
            address=first.address,
            port=first.port,
        )


def _released(_state: State, event: ev.AttemptReleased, _at_ms: int) -> Iterator[Consequence]:
    yield ReleaseWorkers(
        job=event.job,
        number=event.number,
        fence=event.fence,
        address=event.address,
        port=event.port,
    )


def _stopped(_state: State, event: ev.AttemptStopped, _at_ms: int) -> Iterator[Consequence]:
    yield StopWorkers(
        job=event.job,
        number=event.number,
        fence=event.fence,
        cause=event.cause,
        grace_ms=event.grace_ms,
    )


def _exited(state: State, event: ev.WorkerExited, _at_ms: int) -> Iterator[Consequence]:
    attempt = state.attempts[event.job]
    if any(worker.exit is None for worker in attempt.workers):
        # Before the barrier opened even a good end is one too early: the gang can never be whole.
        early = attempt.phase is AttemptPhase.PREPARING
        missed = place_of(attempt, event.rank) is not None  # whoever was to go is out of it already
        failed = attempt.phase is AttemptPhase.RUNNING and not event.exit.good
        if missed and (early or failed):
            yield stop(state, attempt, "peer")
        return
    yield ended(state, attempt)


def _judged(state: State, event: ev.AttemptJudged, _at_ms: int) -> Iterator[Consequence]:
    yield from _told_again(state, event.job)
    found = event.symptom
    if found is None or found.name == NOT_READY:  # a meeting has a deadline of its own
        return
    if found.name in worth.WORTH:
        yield from worth.follows(state, event)
        return
    if found.name == SLOW:
        if event.decision is not None and event.decision.action == REPLACE:
            yield stop(state, state.attempts[event.job], "restarted", event.decision.text)
        return
    if state.jobs[event.job].spec.on_hang is OnHang.RESTART:
        yield stop(state, state.attempts[event.job], "hang", found.text)


def _requeued(state: State, event: ev.JobRequeued, _at_ms: int) -> Iterator[Consequence]:
    yield from _told_again(state, event.job)  # it may have been stuck, and is so no longer


def _told_again(state: State, awaited: str) -> Iterator[Consequence]:
    """Say to all who wait for a job, and to who waits for those, what they wait for now."""
    for name in behind(state, awaited):
        job = state.jobs[name]
        wait, before = pending_wait(state, job.spec), state.waits.get(name)
        if job.held is None and before is not None and before.detail != wait.detail:
            yield ev.JobWaiting(job=name, wait=wait)


def _ended(state: State, event: ev.AttemptEnded, at_ms: int) -> Iterator[Consequence]:
    job = state.jobs[event.job]
    if event.diagnosis.cause is Cause.NONE:
        yield ev.JobFinished(job=job.id, phase=JobPhase.SUCCEEDED, report=event.report)
        return
    if job.cancel_wanted:
        text = job.stop_wanted or event.diagnosis.text
        stopped = job.stop_wanted is not None
        yield ev.JobFinished(job=job.id, phase=JobPhase.CANCELLED, text=text, stopped=stopped)
        return
    yield from again(state, event, at_ms)


# ── runs and their executions ─────────────────────────────────────────────────────────────────────

EXECUTION_OF = {
    JobPhase.SUCCEEDED: ExecutionPhase.SUCCEEDED,
    JobPhase.CANCELLED: ExecutionPhase.CANCELLED,
    JobPhase.FAILED: ExecutionPhase.FAILED,
}


def _finished(state: State, event: ev.JobFinished, at_ms: int) -> Iterator[Consequence]:
    execution = state.execution(event.job)
    if execution is not None:
        report = event.report or NO_REPORT
        yield ev.ExecutionEnded(
            execution=execution.id,
            phase=ExecutionPhase.STOPPED
            if event.stopped or _hopeless(event)
            else EXECUTION_OF[event.phase],
            text=event.text,
            output=report.output,
            metrics=report.metrics,
        )
    yield from _dependents(state, event.job)
    yield from _past(state, at_ms)


def _hopeless(event: ev.JobFinished) -> bool:
    """Say whether a job ended because going on was not worth it, and not because it failed."""
    why = None if event.decision is None else event.decision.cause
    return why in (Cause.NOT_IMPROVING, Cause.TOO_SLOW) and event.phase is JobPhase.FAILED


def _past(state: State, at_ms: int) -> Iterator[Consequence]:
    """Write down what queues used, since who has ended is not looked at after a restart."""
    past, every_ms, spent = state.past, state.rules.usage.told_every_ms, state.spent
    if not every_ms or (past is None and not spent.purses):
        return
    told_at_ms = spent.told_at_ms if past is None else past.told_at_ms
    if told_at_ms is None or at_ms - told_at_ms >= every_ms:
        amounts = {} if past is None else past.tell(at_ms)
        yield ev.PastUsageTold(amounts=amounts, spent=spent.read(at_ms))


def _execution_ended(state: State, event: ev.ExecutionEnded, _at_ms: int) -> Iterator[Consequence]:
    yield from after_it_ended(state, event)


def _restored(state: State, event: ev.InputsRestored, _at_ms: int) -> Iterator[Consequence]:
    yield ev.JobChanged(job=event.job, spec=with_inputs(state.jobs[event.job].spec, event))


def _run_cancel_requested(
    state: State, event: ev.RunCancelRequested, _at_ms: int
) -> Iterator[Consequence]:
    for execution in state.executions[event.run].values():
        job = state.jobs.get(execution.id)
        if execution.phase is ExecutionPhase.PENDING:
            yield ev.ExecutionEnded(
                execution=execution.id, phase=ExecutionPhase.CANCELLED, text=event.text
            )
        elif job is not None and not job.cancel_wanted:
            yield ev.JobCancelRequested(job=job.id, text=event.text)


# Any: each rule takes the one type that it is filed under, which a dict cannot express.
RULES: dict[type, Callable[[State, Any, int], Iterator[Consequence]]] = {
    **wishes.RULES,
    **overriding.RULES,
    ev.NodeLost: _node_lost,
    ev.NodeRemoved: _node_lost,
    ev.NodeDrained: _node_drained,
    ev.JobSubmitted: _submitted,
    ev.JobCancelRequested: _cancel_requested,
    ev.RunCancelRequested: _run_cancel_requested,
    ev.WorkerReady: _ready,
    ev.WorkerExited: _exited,
    ev.JobRejected: _rejected,
    ev.AttemptStarted: _started,
    ev.AttemptAdopted: _adopted,
    ev.AttemptResized: _resized,
    ev.AttemptReleased: _released,
    ev.AttemptStopped: _stopped,
    ev.AttemptEnded: _ended,
    ev.AttemptJudged: _judged,
    ev.JobRequeued: _requeued,
    ev.JobFinished: _finished,
    ev.ExecutionEnded: _execution_ended,
    ev.InputsRestored: _restored,
}
