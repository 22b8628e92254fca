"""Turn a plan into facts: an event for each decision, and the waits that are worth a line.

The numbers in the sentence of a wait change all the time; what is written down is the first reason
of a job, and for each kind of jobs a change of its family, told by the head of the lane: those
behind it wait for the same.
"""

from __future__ import annotations

from collections.abc import Collection

from makeway.engine.dependencies import with_symptoms
from makeway.engine.orders import grace_ms
from makeway.engine.state import State
from makeway.model import event as ev
from makeway.model.job import Job
from makeway.model.wait import Reason, Wait, family
from makeway.policy.explain import aside
from makeway.policy.plan import (
    Decided,
    Hold,
    Plan,
    Preempt,
    Promise,
    Reject,
    Release,
    Reserve,
    Resize,
    Start,
)


def carried_out(state: State, decision: Decided, now_ms: int) -> ev.Event:
    """Give the event that a decision becomes."""
    match decision:
        case Start():
            return _started(state, decision, now_ms)
        case Resize():
            return _resized(state, decision)
        case Preempt():
            return _stopped(state, decision)
        case Reserve(job=job, allocation=allocation, rule=rule, victims=victims):
            return ev.SlotsReserved(job=job, allocation=allocation, rule=rule, victims=victims)
        case Promise(job=job, at_ms=at_ms):
            return ev.StartPlanned(job=job, at_ms=at_ms)
        case Release(job=job, text=text):
            return ev.ReservationDropped(job=job, text=text)
        case Reject(job=job, wait=wait):
            return ev.JobRejected(job=job, wait=wait)


def waits(state: State, plan: Plan) -> list[tuple[str, Wait]]:
    """Give the waits that are to be written down, before anything of the plan is carried out."""
    over = {one.job for one in plan.decisions if isinstance(one, Start | Reject)}
    # In the order of the plan: the order of what is told must not come from a set.
    kept = {
        one.job: None
        for one in plan.decisions
        if isinstance(one, Reserve) and one.job in state.waiting
    }
    heads = (_head(state, hold, over, kept.keys()) for hold in plan.holds)
    asked = dict.fromkeys([*state.untold, *kept, *filter(None, heads)])
    found = []
    for name in asked:
        wait = None if name in over else _explained(state, plan, name)
        before = None if name in state.untold else state.waits.get(name)
        if wait is not None and (before is None or not _alike(before.reason, wait.reason)):
            found.append((name, wait))
    return found


def _head(state: State, hold: Hold, over: Collection[str], kept: Collection[str]) -> str | None:
    """Name the first job of a lane that goes on waiting for a reason of another family."""
    job = _first(state, hold, over, kept)
    if job is None:
        return None
    before = state.waits.get(job.id)
    told = before is not None and _alike(before.reason, hold.reason)
    return None if told else job.id


def _first(state: State, hold: Hold, over: Collection[str], kept: Collection[str]) -> Job | None:
    waits_on = (job for job in state.lanes[hold.kind] if job.id not in over)
    first = None
    for job in waits_on:
        # One for which slots are kept waits for them alone, and does not speak for the others.
        if job.id not in state.reserved and job.id not in kept:
            return job
        first = first or job
    return first


def _explained(state: State, plan: Plan, name: str) -> Wait | None:
    if name in state.paused:
        return aside(state.paused[name])
    wait = None if plan.explain is None else plan.explain(state.kind_of[name], name)
    return None if wait is None else with_symptoms(state, wait)


def _alike(one: Reason, other: Reason) -> bool:
    return family(one) is family(other)


def _started(state: State, start: Start, now_ms: int) -> ev.AttemptStarted:
    job = state.jobs[start.job]
    return ev.AttemptStarted(
        job=job.id,
        number=job.attempts + 1,
        fence=job.fence + 1,
        allocation=start.allocation,
        barrier_at_ms=now_ms + job.spec.barrier_ms,
    )


def _resized(state: State, resize: Resize) -> ev.AttemptResized:
    attempt = state.attempts[resize.job]
    return ev.AttemptResized(
        job=attempt.job,
        number=attempt.number,
        fence=attempt.fence,
        generation=attempt.generation + 1,
        allocation=resize.allocation,
        grace_ms=grace_ms("preempted", state.jobs[attempt.job].spec, state.rules),
        beneficiary=resize.beneficiary,
        rule=resize.rule,
    )


def _stopped(state: State, preempt: Preempt) -> ev.AttemptStopped:
    attempt = state.attempts[preempt.job]
    return ev.AttemptStopped(
        job=attempt.job,
        number=attempt.number,
        fence=attempt.fence,
        cause="preempted",
        grace_ms=grace_ms("preempted", state.jobs[attempt.job].spec, state.rules),
        beneficiary=preempt.beneficiary,
        rule=preempt.rule,
        text=preempt.text,
        lost_worker_ms=preempt.lost_worker_ms,
    )
