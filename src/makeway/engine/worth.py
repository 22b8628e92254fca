"""Let who is not worth it make room while it runs, or end it, as was asked.

Who watches a running attempt judges it by the rules that judge any incident, and says what they say.
Here stands what follows: it gets the lowest priority and goes on; it leaves, with its work saved and
nothing charged, as soon as somebody wants the room that it holds; or it ends, where `on_hopeless`
says so. Nothing follows for whom somebody keeps.

Takes:   the state, an AttemptJudged that says `not_improving`, `too_slow` or `converged`
Gives:   JobChanged, AttemptStopped
Holds:   who yields leaves only where its room lets somebody start or grow who yields to nobody · who
         must not be repeated is not made to leave
Cost:    O(LOOKED_AT_MAX x nodes) where a verdict is said, which is seldom
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from msgspec.structs import replace

from makeway.engine.orders import stop
from makeway.engine.state import State
from makeway.model import event as ev
from makeway.model.cluster import Allocation
from makeway.model.job import Attempt, Job, JobSpec, OnHopeless
from makeway.model.phase import AttemptPhase
from makeway.model.record import CONVERGED, NOT_IMPROVING, TOO_SLOW
from makeway.model.resources import NOTHING, Resources
from makeway.model.wait import BEHIND, ROOM, Reason

WORTH = (NOT_IMPROVING, TOO_SLOW, CONVERGED)
HOPELESS, YIELDED = "hopeless", "yielded"  # why an attempt is told to leave
LOOKED_AT_MAX = 200
FOR_ROOM = (*ROOM, *BEHIND, Reason.OVER_SHARE)


def yielding(state: State, spec: JobSpec) -> JobSpec:
    """Give what a job asks for once it takes only what nobody else wants."""
    lowest = min(spec.priority, *state.rules.classes.values())
    before = spec.priority if spec.yielded_from is None else spec.yielded_from
    return replace(spec, priority=lowest, preemptible=True, yielded_from=before)


def follows(state: State, event: ev.AttemptJudged) -> Iterator[ev.Event]:
    """Carry out what was decided about a running attempt that is not worth it."""
    decision, spec = event.decision, state.jobs[event.job].spec
    if decision is None or spec.on_hopeless is OnHopeless.FLAG:
        return
    attempt = state.attempts[event.job]
    if decision.action == "stop":
        yield stop(state, attempt, HOPELESS, decision.text)
    elif decision.action == "yield":
        changed = yielding(state, spec)
        if changed != spec:
            yield ev.JobChanged(job=event.job, spec=changed)
        if spec.idempotent and wanted(state, attempt):
            yield stop(state, attempt, YIELDED, decision.text)


def wanted(state: State, attempt: Attempt) -> bool:
    """Say whether somebody could start, or grow, if the attempt left."""
    given = _given(state, attempt)
    after = {name: room + given.get(name, NOTHING) for name, room in state.free.items()}
    for job in islice(state.waiting.values(), LOOKED_AT_MAX):
        if _waits_for_room(state, job) and not _fits(job, state.free) and _fits(job, after):
            return True
    return any(
        _grows(state, state.jobs[name], after)
        for name in islice(state.elastic, LOOKED_AT_MAX)
        if name != attempt.job and name in state.attempts
    )


def _given(state: State, attempt: Attempt) -> dict[str, Resources]:
    """Add up what would be free: its own room, and that of all others who yield."""
    found: dict[str, Resources] = {}
    for name, other in state.attempts.items():
        spec = state.jobs[name].spec
        if name == attempt.job or spec.yielded_from is not None:
            for node, held in _held(other.allocation, spec).items():
                found[node] = found.get(node, NOTHING) + held
    return found


def _held(allocation: Allocation, spec: JobSpec) -> dict[str, Resources]:
    shape, found = spec.shape(), dict[str, Resources]()
    for row in allocation.placements:
        found[row.node] = found.get(row.node, NOTHING) + shape[row.group].times(row.count)
    return found


def _waits_for_room(state: State, job: Job) -> bool:
    if job.spec.yielded_from is not None or job.id in state.paused or job.id in state.refused:
        return False
    wait = state.waits.get(job.id)
    return wait is None or wait.reason in FOR_ROOM


def _fits(job: Job, rooms: Mapping[str, Resources]) -> bool:
    """Say whether its smallest gang has room, each group looked at by itself."""
    return all(
        _times(job, group.per_worker, rooms, group.count_min) >= group.count_min
        for group in job.spec.groups
    )


def _grows(state: State, job: Job, rooms: Mapping[str, Resources]) -> bool:
    attempt = state.attempts[job.id]
    if job.spec.yielded_from is not None or attempt.phase is AttemptPhase.STOPPING:
        return False
    if len(attempt.workers) >= sum(group.count_max for group in job.spec.groups):
        return False
    asked = [group.per_worker for group in job.spec.groups if group.count_min < group.count_max]
    return any(
        _times(job, each, rooms, 1) > 0 and not _times(job, each, state.free, 1) for each in asked
    )


def _times(job: Job, asked: Resources, rooms: Mapping[str, Resources], enough: int) -> int:
    """Count how often a vector fits, no further than is enough."""
    count = 0
    for name, room in rooms.items():
        if job.nodes and name not in job.nodes:
            continue
        amount = asked
        while count < enough and amount.fits(room):
            count, amount = count + 1, amount + asked
    return count
