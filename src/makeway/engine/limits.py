"""Say which submissions are refused: the hard limits of queues, looked at once, when a job comes.

A limit of a queue holds for it and for all queues below it, so every queue from the job's own up to
the root is asked. What may *run* at a time is no matter of submission: `policy.limits` decides that.

Takes:   state   without the job, but with all that came before it
Gives:   Wait with Reason.EXCEEDS_LIMIT that names limit, queue and count, or None: it may come
Cost:    O(depth)
"""

from __future__ import annotations

from collections import deque

from makeway.engine.state import State
from makeway.model.cluster import Queue, lineage_of
from makeway.model.job import JobSpec
from makeway.model.wait import Reason, Wait
from makeway.policy.limits import NORMAL
from makeway.policy.say import class_named, count_of, days_of

MINUTE_MS = 60_000


def excess(state: State, spec: JobSpec, at_ms: int, *, held_back: bool) -> Wait | None:
    """Find the limit that the job would exceed; one that is held back queues for nothing yet."""
    for path in lineage_of(spec.queue):
        queue = state.queues.get(path)
        if queue is not None:
            wait = _of_queue(state, queue, spec, at_ms, held_back=held_back)
            if wait is not None:
                return wait
    return None


def submitted(state: State, job: str, spec: JobSpec, at_ms: int) -> None:
    """Count a submission wherever they are limited."""
    state.spent.submit(spec, at_ms)
    for path in lineage_of(spec.queue):
        above = state.queues.get(path)
        if above is not None and above.submits_per_minute is not None:
            recent = state.submits.setdefault(path, deque())
            recent.append((at_ms, job))
            while recent[0][0] <= at_ms - MINUTE_MS:
                recent.popleft()


def forget(state: State, job: str, spec: JobSpec, at_ms: int) -> None:
    """Count a submission out that was none: the job was at work elsewhere before."""
    state.spent.submit(spec, at_ms, -1)
    for path in lineage_of(spec.queue):
        left = deque(one for one in state.submits.pop(path, ()) if one[1] != job)
        if left:
            state.submits[path] = left


def _of_queue(
    state: State, queue: Queue, spec: JobSpec, at_ms: int, *, held_back: bool
) -> Wait | None:
    if queue.max_class is not None and spec.priority > queue.max_class:
        named = [class_named(one, state.rules.classes) for one in (queue.max_class, spec.priority)]
        what = f"allows classes up to {named[0]}, and this job's is {named[1]}"
        return _wait(queue, what, queue.max_class, spec.priority)
    queued = state.queued.get(queue.path, 0)
    if queue.max_queued is not None and not held_back and queued >= queue.max_queued:
        are = "is" if queued == 1 else "are"
        what = f"allows {count_of(queue.max_queued, 'queued job')}, and {queued} {are} queued"
        return _wait(queue, what, queue.max_queued, queued)
    if queue.submits_per_minute is not None:
        recent = state.submits.get(queue.path, ())
        made = sum(at > at_ms - MINUTE_MS for at, _ in recent)
        if made >= queue.submits_per_minute:
            most = queue.submits_per_minute
            what = (
                f"allows {count_of(most, 'submission')} a minute, and {made} came in the last one"
            )
            return _wait(queue, what, most, made)
    return _over_budget(state, queue, spec, at_ms)


def _over_budget(state: State, queue: Queue, spec: JobSpec, at_ms: int) -> Wait | None:
    budget, purse = queue.budget, state.spent.purses.get(queue.path)
    if budget is None or budget.jobs is None or purse is None or spec.priority <= NORMAL:
        return None
    made = purse.read(at_ms).jobs
    if made < budget.jobs:
        return None
    normal = class_named(NORMAL, state.rules.classes)
    what = (
        f"has a budget of {count_of(budget.jobs, 'job')} above class {normal} in "
        f"{days_of(budget.per_ms)}, and {made} came"
    )
    return _wait(queue, what, budget.jobs, made)


def _wait(queue: Queue, what: str, limit: int, count: int) -> Wait:
    name = f"queue {queue.path}" if queue.path else "the root queue"
    detail: dict[str, object] = {"limit": limit, "count": count, "queue": queue.path}
    return Wait(reason=Reason.EXCEEDS_LIMIT, text=f"{name} {what}", detail=detail)
