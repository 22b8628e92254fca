"""Make one hole of several: move running jobs together so that who is next fits (`consolidate`).

Nobody loses a place by it. Jobs are moved only if every one of them gets a new place in the same
decision and the claimant then fits; what each loses is what it did since its last checkpoint.

    1  node by node, the jobs whose moving costs least and makes place for one more worker
    2  who is not in the way after all stays
    3  everybody who moves gets slots, the largest first; who finds none is not moved, and all is
       tried once more without it
    4  the moves, the claimant's slots and the new places are decided together

Who may be moved: a preemptible job with a checkpoint of this attempt, of no higher class than the
claimant, that has run for `min_run_time` and holds no more than its minimum (surplus workers are
taken, not moved). Never more than twice what starts.

Takes:   cycle, the lane whose head found no room, the reservations of those before it
Gives:   True if slots are kept for the head now; the ledger is as before if not
Holds:   nobody has fewer workers when all have started again · nobody ahead is delayed
Cost:    nothing unless enough is free in all; then O(running jobs) for each node that is cleared
Source:  KAI Scheduler, consolidation
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from makeway.model.cluster import Allocation
from makeway.model.resources import NOTHING, Resources
from makeway.policy.backfill import Backfill
from makeway.policy.cost import lost_worker_ms, worth
from makeway.policy.cycle import Cycle
from makeway.policy.find import find
from makeway.policy.kept import by_node
from makeway.policy.ledger import total_of
from makeway.policy.order import Lane
from makeway.policy.plan import Preempt, Reserve
from makeway.policy.rooms import COPIES_MAX
from makeway.policy.snapshot import Running, kind_of

RULE = "consolidate"
# So often it is tried again without the job that found no new place.
TRIES_MAX = 8

Key = tuple[int, int, int, str]


class _Moves(msgspec.Struct, frozen=True):
    """Where the claimant goes, and where everybody goes who makes room for it."""

    allocation: Allocation
    places: list[tuple[Running, Allocation]]


def consolidate(cycle: Cycle, lane: Lane, backfill: Backfill) -> bool:
    """Try to make a hole for the head of this lane out of what is free in pieces."""
    if not cycle.rules.consolidate or not lane.need.fits(cycle.ledger.soon_total()):
        return False
    if find(lane.kind, cycle.ledger, soon=True) is not None or not _may_try(cycle, lane):
        return False
    movable = _movable(cycle, lane)
    for area in _areas(cycle, lane) if movable else ():
        moves = _in_area(cycle, lane, dict(movable), area)
        if moves is not None and not _delays(cycle, lane, moves, backfill):
            _commit(cycle, lane, moves)
            return True
    return False


def _may_try(cycle: Cycle, lane: Lane) -> bool:
    """Say whether anybody may be moved for this job yet; if not, ask again when it may be."""
    job, preemption = lane.head, cycle.rules.preemption
    at_ms = max(job.submitted_at_ms, job.not_before_ms) + preemption.delay_ms
    if job.evicted_at_ms is not None:
        at_ms = max(at_ms, job.evicted_at_ms + preemption.cooldown_ms)
    if cycle.snapshot.now_ms < at_ms:
        cycle.wake(at_ms)
        return False
    return True


def _movable(cycle: Cycle, lane: Lane) -> dict[str, Running]:
    """Give who may be moved now; who may be when it has saved its work is waited for."""
    found, now_ms = dict[str, Running](), cycle.snapshot.now_ms
    for row in cycle.snapshot.running.values():
        spec = row.job.spec
        if not spec.preemptible or not spec.checkpoint_every_ms or not cycle.stays(row):
            continue
        surplus = row.allocation.workers > spec.workers_min
        if surplus or row.job.priority > lane.kind.priority:
            continue
        ran_ms = max(spec.checkpoint_every_ms, cycle.rules.preemption.min_run_ms)
        if row.started_at_ms + ran_ms > now_ms:
            cycle.wake(row.started_at_ms + ran_ms)
        elif worth(lane.need, row.usage):
            found[row.job.id] = row
    return found


def _areas(cycle: Cycle, lane: Lane) -> Iterator[Collection[str]]:
    """Give the sets of nodes within one of which the claimant has to fit."""
    kind, nodes = lane.kind, cycle.ledger.nodes
    names = [name for name in sorted(kind.nodes or nodes) if name in nodes]
    if kind.domain is None or not kind.domain.required:
        yield names
        return
    domains: dict[str, list[str]] = {}
    for name in names:
        value = nodes[name].labels.get(kind.domain.label)
        if value is not None:
            domains.setdefault(value, []).append(name)
    yield from (domains[value] for value in sorted(domains))


def _in_area(
    cycle: Cycle, lane: Lane, movable: dict[str, Running], area: Collection[str]
) -> _Moves | None:
    """Find moves that clear nodes of one area, without leaving any of them booked."""
    mark = cycle.ledger.checkpoint()
    for _ in range(TRIES_MAX):
        gone = _clear(cycle, lane, movable, area)
        allocation = None if gone is None else find(lane.kind, cycle.ledger, soon=True)
        if gone is None or allocation is None:
            cycle.ledger.rollback(mark)
            return None
        cycle.ledger.keep(lane.head, allocation)
        gone = _in_the_way(cycle, gone)
        places, stuck = _placed(cycle, gone)
        cycle.ledger.rollback(mark)
        if stuck is None:
            moved = total_of(row.usage for row in gone)
            return _Moves(allocation, places) if worth(lane.need, moved) else None
        del movable[stuck]
    return None


def _clear(
    cycle: Cycle, lane: Lane, movable: dict[str, Running], area: Collection[str]
) -> list[Running] | None:
    """Let jobs go in thought, the cheapest first, until the claimant fits."""
    gone: list[Running] = []
    left = dict(movable)
    while find(lane.kind, cycle.ledger, soon=True) is None:
        here: dict[str, list[Running]] = {}
        for row in left.values():
            for name in dict.fromkeys(one.node for one in row.allocation.placements):
                if name in area:
                    here.setdefault(name, []).append(row)
        bundles = [(_bundle(cycle, lane, name, rows), name) for name, rows in here.items()]
        able = [(key, name, rows) for (key, rows), name in bundles if rows]
        if not able:
            return None
        for row in min(able, key=lambda one: one[:2])[2]:
            cycle.ledger.evict(row, row.allocation.placements)
            gone.append(left.pop(row.job.id))
    return gone


def _bundle(
    cycle: Cycle, lane: Lane, node: str, rows: list[Running]
) -> tuple[tuple[int, int], list[Running]]:
    """Find the cheapest jobs of a node that make place for one more worker there, one if one does."""
    room, now_ms = cycle.ledger.room(node, soon=True), cycle.snapshot.now_ms
    capacity = cycle.ledger.capacity
    group = max(lane.kind.groups, key=lambda one: one.per_worker.dominant(capacity))
    count = group.per_worker.copies_in(room, COPIES_MAX)
    if count >= group.count_min:
        return (0, 0), []
    ordered = sorted(rows, key=lambda row: _key(row, now_ms))
    enough = [
        [row]
        for row in ordered
        if group.per_worker.copies_in(room + _held_on(row, node), COPIES_MAX) > count
    ]
    taken: list[Running] = []
    for row in () if enough else ordered:
        taken.append(row)
        room = room + _held_on(row, node)
        if group.per_worker.copies_in(room, COPIES_MAX) > count:
            enough = [taken]
            break
    if not enough:
        return (0, 0), []
    cost = sum(lost_worker_ms(row, now_ms) for row in enough[0])
    return (cost, sum(row.allocation.workers for row in enough[0])), enough[0]


def _key(row: Running, now_ms: int) -> Key:
    return lost_worker_ms(row, now_ms), row.allocation.workers, -row.job.order, row.job.id


def _held_on(row: Running, node: str) -> Resources:
    return by_node(row.allocation, row.job.spec.groups).get(node, NOTHING)


def _in_the_way(cycle: Cycle, gone: list[Running]) -> list[Running]:
    """Let those stay whose slots the claimant does not need, the last that was to go first."""
    needed, ledger = list[Running](), cycle.ledger
    for row in reversed(gone):
        rows = row.allocation.placements
        ledger.give_back(row, rows, whole=True)
        if any(ledger.room(one.node, soon=True).negative() for one in rows):
            ledger.evict(row, rows)
            needed.append(row)
    return needed[::-1]


def _placed(
    cycle: Cycle, gone: list[Running]
) -> tuple[list[tuple[Running, Allocation]], str | None]:
    """Find a new place for everybody, the largest first, or name who finds none."""
    found, capacity = list[tuple[Running, Allocation]](), cycle.ledger.capacity
    for row in sorted(gone, key=lambda one: (-one.usage.dominant(capacity), one.job.order)):
        allocation = find(kind_of(row.job), cycle.ledger, soon=True)
        if allocation is None:
            return [], row.job.id
        cycle.ledger.keep(row.job, allocation)
        found.append((row, allocation))
    return found, None


def _delays(cycle: Cycle, lane: Lane, moves: _Moves, backfill: Backfill) -> bool:
    """Say whether anybody who was first in line would have to wait longer."""
    if not cycle.blocked:
        return False
    moved = [(row.job, allocation) for row, allocation in moves.places]
    lanes = [(Lane((kind := kind_of(job)), [job], kind.need), rows) for job, rows in moved]
    return any(
        backfill.in_the_way(one, rows) is not None
        for one, rows in [(lane, moves.allocation), *lanes]
    )


def _commit(cycle: Cycle, lane: Lane, moves: _Moves) -> None:
    job, now_ms = lane.head, cycle.snapshot.now_ms
    for row, allocation in moves.places:
        nodes = ", ".join(dict.fromkeys(one.node for one in allocation.placements))
        decision = Preempt(
            job=row.job.id,
            beneficiary=job.id,
            rule=RULE,
            text=f"it goes on on {nodes}, so that {job.id} fits",
            lost_worker_ms=lost_worker_ms(row, now_ms),
        )
        cycle.ledger.evict(row, row.allocation.placements)
        cycle.evict(row, decision)
    names = tuple(row.job.id for row, _ in moves.places)
    cycle.keep(job, Reserve(job=job.id, allocation=moves.allocation, rule=RULE, victims=names))
    for row, allocation in moves.places:
        cycle.keep(row.job, Reserve(job=row.job.id, allocation=allocation, rule=RULE))
