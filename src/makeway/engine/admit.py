"""Refuse what the world says too late, twice, or about nothing that is known.

Agents repeat themselves after a lost connection, a paused process wakes up an attempt later, two
people cancel at once: all of that is normal and changes nothing. The fence of a worker's message
must be the fence of the attempt that is alive (elastic.md b1, reliability.md promise 3).

What has ended has left the state, and with it the memory of its id: that no id of a job or run is
ever used twice is the promise of whoever makes ids.
"""

from __future__ import annotations

from collections import Counter

from makeway.engine import overriding, wishes
from makeway.engine.attempts import place_of
from makeway.engine.dependencies import circle
from makeway.engine.holding import over
from makeway.engine.state import State
from makeway.engine.worth import WORTH
from makeway.model import event as ev
from makeway.model.job import Worker
from makeway.model.phase import AttemptPhase, RunPhase
from makeway.model.record import NOT_READY, SLOW


def refusal(state: State, event: ev.Event) -> str | None:
    """Say why the event is not to be believed, or None if it is."""
    match event:
        case ev.WorkerReady() | ev.WorkerStarted() | ev.WorkerExited():
            return _worker_refusal(state, event)
        case ev.AttemptSeen():
            return _seen_refusal(state, event)
        case ev.DataFound():
            job = state.jobs.get(event.job)
            return None if job is not None and job.lacks else "it does not wait for data"
        case ev.AttemptJudged():
            return _judgement_refusal(state, event)
        case ev.NodeLost() | ev.NodeDrained() | ev.NodeUndrained() | ev.NodeRemoved():
            return _node_refusal(state, event)
        case (
            ev.JobHoldRequested()
            | ev.JobReleaseRequested()
            | ev.JobRetryRequested()
            | ev.JobKeepRequested()
        ):
            return wishes.refusal(state, event)
        case ev.StepOverridden():
            return overriding.refusal(state, event)
        case ev.JobResizeRequested():
            return wishes.resize_refusal(state, event)
        case ev.JobSubmitted():
            return _job_refusal(state, event)
        case ev.AttemptAdopted():
            return _adoption_refusal(state, event)
        case ev.RunSubmitted():
            return "the run is known" if event.run in state.runs else None
        case ev.JobCancelRequested():
            job = state.jobs.get(event.job)
            if job is None:
                return "no such job, or it has ended"
            return "it is being cancelled" if job.cancel_wanted else None
        case ev.RunCancelRequested():
            run = state.runs.get(event.run)
            if run is None:
                return "no such run, or it has ended"
            return "it is being cancelled" if run.phase is RunPhase.CANCELLING else None
        case _:
            return None


def _node_refusal(
    state: State, event: ev.NodeLost | ev.NodeDrained | ev.NodeUndrained | ev.NodeRemoved
) -> str | None:
    up = state.nodes.get(event.name) or state.draining.get(event.name)
    node = up or state.lost.get(event.name)
    match event:
        case ev.NodeLost():
            return None if up else "no such node"
        case _ if node is None:
            return f"no such node: {event.name}"
        case ev.NodeDrained(evict=evict) if node.draining and not evict:
            return f"{event.name} is being drained already"
        case ev.NodeUndrained() if not node.draining:
            return f"{event.name} is not being drained"
        case _:
            return None


def _job_refusal(state: State, event: ev.JobSubmitted) -> str | None:
    if event.job in state.jobs:
        return "the job is known"
    way = circle(state, event.job, event.spec) if event.spec.after else None
    return f"its dependencies go in a circle: {' -> '.join(way)}" if way else None


def _adoption_refusal(state: State, event: ev.AttemptAdopted) -> str | None:
    job = state.jobs.get(event.job)
    if job is None:
        return "no such job, or it has ended"
    if job.attempts:
        return "it was started here"
    placed = Counter(row.group for row in event.allocation.placements for _ in range(row.count))
    for group in job.spec.groups:
        if placed[group.name] < group.count_min:
            return f"it has {placed[group.name]} of {group.count_min} workers"
    strange = placed.keys() - {group.name for group in job.spec.groups}
    if strange:
        return f"the job has no group {min(strange)}"
    node = over(state, job.spec, event.allocation.placements)
    return None if node is None else f"it does not fit on {node}"


def _worker_refusal(
    state: State, event: ev.WorkerReady | ev.WorkerStarted | ev.WorkerExited
) -> str | None:
    attempt = state.attempts.get(event.job)
    if attempt is None:
        return f"no attempt of {event.job} is alive"
    if event.fence != attempt.fence:
        return f"stale: fence {event.fence}, the living attempt has {attempt.fence}"
    place = place_of(attempt, event.rank)
    if place is None:
        return f"no rank {event.rank} in an attempt of {len(attempt.workers)}"
    worker = attempt.workers[place]
    if isinstance(event, ev.WorkerExited) and event.exit.at_ms < worker.since_ms:
        return f"stale: rank {event.rank} is another worker since then"
    if _said(worker, event):
        return "said already"
    if isinstance(event, ev.WorkerReady) and attempt.phase is not AttemptPhase.PREPARING:
        return "too late: the barrier was called off"
    return None


def _seen_refusal(state: State, event: ev.AttemptSeen) -> str | None:
    attempt = state.attempts.get(event.job)
    if attempt is None:
        return f"no attempt of {event.job} is alive"
    if event.fence != attempt.fence:
        return f"stale: fence {event.fence}, the living attempt has {attempt.fence}"
    return None if attempt.seen is None else "it was looked at already"


SAID_ANEW = (NOT_READY, SLOW, *WORTH)  # these may name other workers, or lead to something new


def _judgement_refusal(state: State, event: ev.AttemptJudged) -> str | None:
    attempt = state.attempts.get(event.job)
    if attempt is None:
        return f"no attempt of {event.job} is alive"
    if event.fence != attempt.fence:
        return f"stale: fence {event.fence}, the living attempt has {attempt.fence}"
    if attempt.phase is not AttemptPhase.RUNNING:
        return f"its workers are not at work: it is {attempt.phase.value}"
    before, now = attempt.symptom, event.symptom
    if before == now:
        return "said already"
    if before is not None and now is not None and now.name == before.name not in SAID_ANEW:
        return "said already"
    return None


def _said(worker: Worker, event: ev.WorkerReady | ev.WorkerStarted | ev.WorkerExited) -> bool:
    if worker.exit is not None:
        return True
    match event:
        case ev.WorkerReady():
            return worker.ready
        case ev.WorkerStarted():
            return worker.started
        case ev.WorkerExited():
            return False
