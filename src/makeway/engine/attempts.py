"""Change what is believed of attempts and their workers, by one event each.

The slots of an attempt are those of its workers, in the order of their ranks. An elastic attempt
grows at the end and shrinks from the end: a worker that has to go is marked, holds its slot until it
has left, and takes no part in how the attempt ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import groupby
from typing import Any

from msgspec.structs import replace

from makeway.engine import dependencies, hits, holding, limits
from makeway.engine.avoiding import ill_of
from makeway.engine.jobs import step_forward
from makeway.engine.runs import move
from makeway.engine.state import State
from makeway.model import event as ev
from makeway.model.cluster import Allocation, Placement, usage_of
from makeway.model.incident import Past
from makeway.model.job import Attempt, Job, JobSpec, Worker
from makeway.model.phase import (
    ATTEMPT_CHANGES,
    JOB_CHANGES,
    AttemptPhase,
    ExecutionPhase,
    JobPhase,
    changed,
)
from makeway.model.record import Decision
from makeway.policy.snapshot import Running

Slot = tuple[str, str]  # its node, and the group of its worker
REPLACE = "replace_worker"
NOTICES = ("preempted", "drained", "restarted", "yielded")  # who leaves for these is not at fault


# ── from its start to its end ─────────────────────────────────────────────────────────────────────


def _started(state: State, event: ev.AttemptStarted, at_ms: int) -> None:
    job = _begun(state.jobs[event.job], event.number, event.fence)
    holding.assert_room(state, job.id, job.spec, event.allocation.placements)
    move(state, job.id, ExecutionPhase.STARTING)
    attempt = Attempt(
        job=job.id,
        number=event.number,
        fence=event.fence,
        allocation=event.allocation,
        phase=AttemptPhase.PREPARING,
        started_at_ms=at_ms,
        barrier_at_ms=event.barrier_at_ms,
        workers=tuple(
            Worker(rank=rank, node=row.node) for rank, row, _ in event.allocation.ranks()
        ),
    )
    _begin(state, job, attempt, at_ms)
    state.wake_at(event.barrier_at_ms, job.id)


def _adopted(state: State, event: ev.AttemptAdopted, at_ms: int) -> None:
    job = _begun(state.jobs[event.job], 1, 1)
    holding.assert_room(state, job.id, job.spec, event.allocation.placements)
    move(state, job.id, ExecutionPhase.STARTING)
    move(state, job.id, ExecutionPhase.RUNNING)
    limits.forget(state, job.id, job.spec, at_ms)
    attempt = Attempt(
        job=job.id,
        number=job.attempts,
        fence=job.fence,
        allocation=event.allocation,
        phase=AttemptPhase.RUNNING,
        started_at_ms=event.started_at_ms,
        barrier_at_ms=event.started_at_ms,
        workers=tuple(
            Worker(rank=rank, node=row.node, ready=True, started=True)
            for rank, row, _ in event.allocation.ranks()
        ),
        released_at_ms=event.started_at_ms,
    )
    _begin(state, job, attempt, at_ms)
    limit_time(state, job.id)
    state.changed = True


def limit_time(state: State, job: str) -> None:
    """See to it that a running attempt is looked at when its time is used up."""
    at_ms = state.limit_at_ms(state.attempts[job])
    if at_ms is not None:
        state.wake_at(at_ms, job)


def _begun(before: Job, number: int, fence: int) -> Job:
    phase = changed(JOB_CHANGES, before.phase, JobPhase.RUNNING)
    return replace(before, phase=phase, attempts=number, fence=fence, held=None)


def _begin(state: State, job: Job, attempt: Attempt, at_ms: int) -> None:
    line_seq = state.planned.get(job.id)
    step_forward(state, job.id)
    row = Running(
        job=job,
        allocation=attempt.allocation,
        usage=usage_of(attempt.allocation, job.spec.shape()),
        started_at_ms=attempt.started_at_ms,
        started_seq=state.seq + 1,
        line_seq=line_seq,
    )
    state.jobs[job.id] = job
    state.attempts[job.id] = attempt
    holding.begin(state, row, at_ms)
    if state.past is not None and not job.served_ms:
        state.past.charge(job.spec.queue, row.usage, state.rules.usage.entry_ms, at_ms)


def _released(state: State, event: ev.AttemptReleased, at_ms: int) -> None:
    attempt = state.attempts[event.job]
    phase = changed(ATTEMPT_CHANGES, attempt.phase, AttemptPhase.RUNNING)
    move(state, event.job, ExecutionPhase.RUNNING)
    state.attempts[event.job] = replace(attempt, phase=phase, released_at_ms=at_ms)
    limit_time(state, event.job)


def _stopped(state: State, event: ev.AttemptStopped, at_ms: int) -> None:
    attempt, before = state.attempts[event.job], state.jobs[event.job]
    phase = changed(ATTEMPT_CHANGES, attempt.phase, AttemptPhase.STOPPING)
    evicted_at_ms, evicted_seq = before.evicted_at_ms, before.evicted_seq
    if event.cause == "preempted":
        evicted_at_ms, evicted_seq = at_ms, state.seq + 1
    job = replace(
        before,
        phase=changed(JOB_CHANGES, before.phase, JobPhase.EVICTING),
        evicted_at_ms=evicted_at_ms,
        evicted_seq=evicted_seq,
    )
    _believe(
        state,
        replace(
            attempt, phase=phase, stop_cause=event.cause, stop_text=event.text, stopped_at_ms=at_ms
        ),
    )
    dependencies.put(state, job)
    state.changed = True


def _judged(state: State, event: ev.AttemptJudged, at_ms: int) -> None:
    attempt = state.attempts[event.job]
    state.attempts[event.job] = replace(attempt, symptom=event.symptom)
    if event.decision is not None and event.decision.action == REPLACE:
        _replaced(state, attempt, event.decision, at_ms)
    _tell_again(state, event.job)


def _replaced(state: State, attempt: Attempt, decision: Decision, at_ms: int) -> None:
    """Remember who was too slow, and keep the job away from where that was."""
    job, slow = state.jobs[attempt.job], set(decision.replace_ranks)
    gone = [(one.rank, one.node, at_ms) for one in attempt.workers if one.rank in slow]
    job = replace(job, replaced=(*job.replaced, *gone))
    dependencies.put(state, ill_of(state, job, decision.exclude_nodes))


def _tell_again(state: State, name: str) -> None:
    """Have it said anew why those wait for whom this job stands in the way."""
    for job, wait in state.waits.items():
        if name in wait.blocked_by and job in state.waiting and state.jobs[job].held is None:
            state.untold[job] = None
            state.changed = True


def _ended(state: State, event: ev.AttemptEnded, at_ms: int) -> None:
    attempt, job = state.attempts[event.job], state.jobs[event.job]
    changed(ATTEMPT_CHANGES, attempt.phase, AttemptPhase.ENDED)
    del state.attempts[job.id]
    if attempt.symptom is not None:
        _tell_again(state, job.id)
    _settle(state, job, attempt, at_ms)
    holding.end(state, job.id, at_ms)
    if attempt.released_at_ms is not None:
        served_ms = job.served_ms + at_ms - attempt.released_at_ms
        job = replace(job, served_ms=served_ms)
    known = event.diagnosis
    past = event.past or Past(
        attempt=attempt.number, cause=known.cause, fingerprint=known.fingerprint
    )
    hits.keep(state, event, past, at_ms)
    state.jobs[job.id] = replace(job, past=(*job.past, past))
    state.changed = True


def _seen(state: State, event: ev.AttemptSeen, _at_ms: int) -> None:
    attempt = state.attempts[event.job]
    state.attempts[event.job] = replace(attempt, seen=event.seen)


def _settle(state: State, job: Job, attempt: Attempt, at_ms: int) -> None:
    """Take back what was charged for an entry that was none; charge who was very short for more."""
    past, usage = state.past, state.rules.usage
    if past is None:
        return
    held = state.running[job.id].usage
    if attempt.released_at_ms is None:
        if not job.served_ms:
            past.charge(job.spec.queue, held, -usage.entry_ms, at_ms, attempt.started_at_ms)
    elif attempt.stop_cause not in NOTICES:
        ran_ms = job.served_ms + at_ms - attempt.released_at_ms
        past.charge(job.spec.queue, held, max(0, usage.charge_min_ms - ran_ms), at_ms)


# ── its workers ───────────────────────────────────────────────────────────────────────────────────


def place_of(attempt: Attempt, rank: int) -> int | None:
    """Find a worker by its rank; those behind one that left are no longer where their rank says."""
    workers = attempt.workers
    if 0 <= rank < len(workers) and workers[rank].rank == rank:
        return rank
    return next((place for place, one in enumerate(workers) if one.rank == rank), None)


def _worker_ready(state: State, event: ev.WorkerReady, _at_ms: int) -> None:
    _worker(state, event, pid=event.pid, address=event.address, port=event.port, ready=True)


def _worker_started(state: State, event: ev.WorkerStarted, _at_ms: int) -> None:
    _worker(state, event, pid=event.pid, started=True)


def _worker_exited(state: State, event: ev.WorkerExited, at_ms: int) -> None:
    attempt = state.attempts[event.job]
    place = place_of(attempt, event.rank)
    assert place is not None, f"{attempt.id} has no rank {event.rank}"
    if attempt.workers[place].leaving:
        _drop(state, attempt, place, at_ms)
        state.changed = True
    else:
        _worker(state, event, exit=event.exit)


def _worker(
    state: State, event: ev.WorkerReady | ev.WorkerStarted | ev.WorkerExited, **facts: object
) -> None:
    attempt = state.attempts[event.job]
    place = place_of(attempt, event.rank)
    assert place is not None, f"{attempt.id} has no rank {event.rank}"
    workers = list(attempt.workers)
    workers[place] = replace(workers[place], **facts)
    state.attempts[event.job] = replace(attempt, workers=tuple(workers))


# ── more workers, or fewer ────────────────────────────────────────────────────────────────────────


def staying(attempt: Attempt) -> Allocation:
    """Give the slots of the workers that were not told to leave, if the others were."""
    count = sum(not worker.leaving for worker in attempt.workers)
    return _rows(_slots(attempt.allocation)[:count])


def within(attempt: Attempt, spec: JobSpec) -> Allocation:
    """Give the slots of those who stay when no group may have more workers than `spec` allows."""
    slots = _slots(staying(attempt))
    over = Counter(group for _, group in slots)
    over.subtract({group.name: group.count_max for group in spec.groups})
    while any(count > 0 for count in over.values()):
        over[slots.pop()[1]] -= 1
    return _rows(slots)


def before_node(attempt: Attempt, node: str) -> Allocation:
    """Give the slots of those who stay when the first worker on that node, and all behind it, leave."""
    slots = _slots(staying(attempt))
    count = next((place for place, slot in enumerate(slots) if slot[0] == node), len(slots))
    return _rows(slots[:count])


def enough(allocation: Allocation, spec: JobSpec) -> bool:
    """Say whether an attempt can go on with these workers."""
    counts = Counter[str]()
    for row in allocation.placements:
        counts[row.group] += row.count
    whole = all(counts[group.name] >= group.count_min for group in spec.groups)
    return whole and allocation.workers > 0


def _resized(state: State, event: ev.AttemptResized, at_ms: int) -> None:
    attempt = state.attempts[event.job]
    alive = attempt.phase in (AttemptPhase.PREPARING, AttemptPhase.RUNNING)
    assert alive, f"illegal: {attempt.id} is {attempt.phase.value} and cannot be resized"
    before, after = _slots(staying(attempt)), _slots(event.allocation)
    least = max(1, state.jobs[event.job].spec.workers_min)
    assert len(after) >= least, f"{attempt.id} cannot go on with {len(after)} workers"
    if len(after) > len(before):
        _grow(state, attempt, event.allocation, at_ms)
    else:
        assert after == before[: len(after)], f"{attempt.id} shrinks elsewhere than at its end"
        _shrink(state, attempt, len(after), at_ms)
    attempt = replace(state.attempts[event.job], generation=event.generation)
    _believe(state, attempt)
    state.running[event.job] = row = replace(state.running[event.job], resized_seq=state.seq + 1)
    state.running_in[row.job.spec.queue][row.job.id] = row
    state.changed = True


def _grow(state: State, attempt: Attempt, allocation: Allocation, at_ms: int) -> None:
    before, after = _slots(attempt.allocation), _slots(allocation)
    kept = after[: len(before)] == before
    assert kept, f"{attempt.id} grows elsewhere than at its end, or while workers still leave"
    more = _rows(after[len(before) :])
    row = state.running[attempt.job]
    spec = row.job.spec
    holding.assert_room(state, attempt.job, spec, more.placements)
    usage = row.usage + usage_of(more, spec.shape())
    larger = replace(row, allocation=allocation, usage=usage)
    holding.grow(state, larger, more.placements, at_ms)
    going = attempt.released_at_ms is not None
    joining = [
        Worker(rank=rank, node=node, ready=going, started=going, since_ms=at_ms)
        for rank, (node, _) in enumerate(after[len(before) :], start=len(before))
    ]
    workers = (*attempt.workers, *joining)
    state.attempts[attempt.job] = replace(attempt, allocation=allocation, workers=workers)


def _shrink(state: State, attempt: Attempt, count: int, at_ms: int) -> None:
    workers = tuple(
        worker if place < count else replace(worker, leaving=True)
        for place, worker in enumerate(attempt.workers)
    )
    state.attempts[attempt.job] = replace(attempt, workers=workers)
    for place in reversed(range(count, len(workers))):
        if workers[place].exit is not None:  # it is gone already
            _drop(state, state.attempts[attempt.job], place, at_ms)


def _drop(state: State, attempt: Attempt, place: int, at_ms: int) -> None:
    """Take a worker that has left out of its attempt, and give its slot back."""
    slots, row = _slots(attempt.allocation), state.running[attempt.job]
    node, group = slots.pop(place)
    allocation = _rows(slots)
    usage = row.usage - row.job.spec.shape()[group]
    smaller = replace(row, allocation=allocation, usage=usage)
    holding.shrink(state, smaller, Placement(node, group, 1), at_ms)
    workers = (*attempt.workers[:place], *attempt.workers[place + 1 :])
    _believe(state, replace(attempt, allocation=allocation, workers=workers))


def _believe(state: State, attempt: Attempt) -> None:
    """Keep an attempt, and beside it the slots that its workers are about to leave."""
    state.attempts[attempt.job] = attempt
    rows = attempt.allocation.placements
    if attempt.phase is not AttemptPhase.STOPPING:
        count = sum(worker.leaving for worker in attempt.workers)
        rows = _rows(_slots(attempt.allocation)[len(attempt.workers) - count :]).placements
    if rows:
        state.leaving[attempt.job] = rows
    else:
        state.leaving.pop(attempt.job, None)


def _slots(allocation: Allocation) -> list[Slot]:
    return [(row.node, row.group) for row in allocation.placements for _ in range(row.count)]


def _rows(slots: list[Slot]) -> Allocation:
    return Allocation(tuple(Placement(*slot, len([*same])) for slot, same in groupby(slots)))


# Any: each handler takes the one type that it is filed under, which a dict cannot express.
HANDLERS: dict[type, Callable[[State, Any, int], None]] = {
    ev.AttemptStarted: _started,
    ev.AttemptAdopted: _adopted,
    ev.AttemptReleased: _released,
    ev.AttemptStopped: _stopped,
    ev.AttemptResized: _resized,
    ev.AttemptJudged: _judged,
    ev.AttemptSeen: _seen,
    ev.AttemptEnded: _ended,
    ev.WorkerReady: _worker_ready,
    ev.WorkerStarted: _worker_started,
    ev.WorkerExited: _worker_exited,
}
