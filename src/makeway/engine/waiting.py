"""Keep who waits, in lanes: the jobs of one kind, in the order of their age.

Jobs that are alike in all that a decision looks at stand in one lane, so that a cycle looks at the
heads of lanes and not at every job. A lane is never empty; its kind is one object as long as the
lane is there. A job whose backoff is not over stands beside the lanes, and gets into its own when
the log, or the clock, has come to that instant; one that is held stands there until its release.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Collection

from makeway.engine.presence import count
from makeway.engine.state import State
from makeway.model.job import Job
from makeway.policy.snapshot import kind_key, kind_of


def enter(state: State, job: Job, at_ms: int) -> None:
    """Let a job wait; it may start as soon as its backoff is over and nobody holds it."""
    state.waiting[job.id] = job
    state.untold[job.id] = None
    count(state.queued, job.spec.queue, 1)
    _stand(state, job, at_ms)


def hold(state: State, job: Job) -> None:
    """Let a job that waits stand aside: `job` is what it is then."""
    before, state.waiting[job.id] = state.waiting[job.id], job
    state.untold[job.id] = None
    if job.id not in state.paused:
        _step_out(state, before)
    state.paused[job.id] = job


def resume(state: State, job: Job, at_ms: int) -> None:
    """Let a job that stands aside in again, unless something else still keeps it there."""
    del state.paused[job.id]
    state.waiting[job.id] = job
    state.untold[job.id] = None
    _stand(state, job, at_ms)


def leave(state: State, name: str) -> None:
    """Let a job wait no longer, whatever becomes of it."""
    job = state.waiting.pop(name)
    state.untold.pop(name, None)
    count(state.queued, job.spec.queue, -1)
    if state.paused.pop(name, None) is None:
        _step_out(state, job)


def exchange(state: State, job: Job) -> None:
    """Put a changed job in the place of what it was; its class may be another one now."""
    before, state.waiting[job.id] = state.waiting[job.id], job
    if job.id in state.paused:
        state.paused[job.id] = job
    elif _stands_as(state, before, job):
        lane = state.lanes[state.kind_of[job.id]]
        lane[_place(lane, job)] = job
    else:
        _step_out(state, before)
        _line_up(state, job)


def places(state: State, names: Collection[str]) -> dict[str, int]:
    """Say as which in line these jobs wait, from 1 on; those that do not wait are left out.

    Lanes are in order already: only those that stand aside have to be looked at one by one.
    """
    aside = sorted(map(_rank, state.paused.values())) if names else []
    found = {}
    for job in (state.waiting[name] for name in names if name in state.waiting):
        rank = _rank(job)
        lanes = (bisect_left(lane, rank, key=_rank) for lane in state.lanes.values())
        found[job.id] = 1 + bisect_left(aside, rank) + sum(lanes)
    return found


def _stands_as(state: State, before: Job, job: Job) -> bool:
    """Say whether a job that was changed has the place that it had."""
    same = before.order == job.order and before.spec is job.spec and before.only == job.only
    return same and state.kind_of[job.id].priority == job.priority


def wake(state: State, now_ms: int) -> None:
    """Let those into their lanes whose backoff is over; why they wait is to be said anew."""
    while state.pauses and state.pauses[0][0] <= now_ms:
        at_ms, name = heapq.heappop(state.pauses)
        job = state.paused.get(name)
        if job is not None and job.not_before_ms == at_ms and not stands_aside(job):
            del state.paused[name]
            state.untold[name] = None
            state.changed = True
            _line_up(state, job)


def stands_aside(job: Job) -> bool:
    """Say whether a job may not start, however late it is: somebody holds it, or its data are away."""
    return job.held is not None or bool(job.lacks or job.awaits)


def _stand(state: State, job: Job, at_ms: int) -> None:
    later = job.not_before_ms > at_ms
    if later:
        heapq.heappush(state.pauses, (job.not_before_ms, job.id))
    if later or stands_aside(job):
        state.paused[job.id] = job
    else:
        _line_up(state, job)


def _line_up(state: State, job: Job) -> None:
    key = kind_key(job)
    kind = state.kinds.get(key)
    if kind is None:
        kind = state.kinds[key] = kind_of(job)
        state.lanes[kind] = [job]
    else:
        lane = state.lanes[kind]
        lane.insert(_place(lane, job), job)
    state.kind_of[job.id] = kind


def _step_out(state: State, job: Job) -> None:
    kind = state.kind_of.pop(job.id)
    lane = state.lanes[kind]
    del lane[_place(lane, job)]
    if not lane:
        del state.lanes[kind], state.kinds[kind_key(job)]


def _place(lane: list[Job], job: Job) -> int:
    if lane[0].order >= job.order:
        return 0
    if lane[-1].order < job.order:
        return len(lane)
    return bisect_left(lane, (job.order, job.id), key=_age)


def _rank(job: Job) -> tuple[int, int, str]:
    return -job.priority, job.order, job.id


def _age(job: Job) -> tuple[int, str]:
    return job.order, job.id
