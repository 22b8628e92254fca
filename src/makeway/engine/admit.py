"""Refuse what the world says too late, twice, or about nothing that is known.

Agents repeat themselves after a lost connection, a paused process wakes up an attempt later, two
people cancel at once: all of that is normal and changes nothing. The fence of a worker's message
must be the fence of the attempt that is alive (elastic.md b1, reliability.md promise 3).

What has ended has left the state, and with it the memory of its id: that no id of a job or run is
ever used twice is the promise of whoever makes ids.
"""

from __future__ import annotations

from makeway.engine.state import State
from makeway.model import event as ev
from makeway.model.job import Worker
from makeway.model.phase import AttemptPhase, RunPhase


def refusal(state: State, event: ev.Event) -> str | None:
    """Say why the event is not to be believed, or None if it is."""
    match event:
        case ev.WorkerReady() | ev.WorkerStarted() | ev.WorkerExited():
            return _worker_refusal(state, event)
        case ev.NodeLost():
            return None if event.name in state.nodes else "no such node"
        case ev.JobSubmitted():
            return "the job is known" if event.job in state.jobs else None
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


def _worker_refusal(
    state: State, event: ev.WorkerReady | ev.WorkerStarted | ev.WorkerExited
) -> str | None:
    attempt = state.attempts.get(event.job)
    if attempt is None:
        return f"no attempt of {event.job} is alive"
    if event.fence != attempt.fence:
        return f"stale: fence {event.fence}, the living attempt has {attempt.fence}"
    if not 0 <= event.rank < len(attempt.workers):
        return f"no rank {event.rank} in an attempt of {len(attempt.workers)}"
    if _said(attempt.workers[event.rank], event):
        return "said already"
    if isinstance(event, ev.WorkerReady) and attempt.phase is not AttemptPhase.PREPARING:
        return "too late: the barrier was called off"
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
