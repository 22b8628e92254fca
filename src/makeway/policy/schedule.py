"""Decide who runs now: fair shares between queues, urgent jobs first, gangs all or nothing.

    1  let those start for whom slots were kept, if the victims have left
    2  serve: the highest class first, then the queue that would be lowest for its weight
    3  start whoever is served, if limits let it, the whole gang has room and nobody who was first
       in line is delayed; if there is no room, move jobs together (`consolidate`, if the rules want
       it), else take back what is legal (`claim`)
    4  who still has no room is first in line from now on; it blocks nobody, and nobody passes it
       for good
    5  let elastic jobs grow into what is left; whoever yields takes what nobody else wants
    6  refuse what even the empty cluster could not hold, and say to everyone else why it waits

Takes:   snapshot  what may be seen, with the settings in it
Gives:   Plan
Raises:  nothing for snapshots of a legal state
Holds:   no node over its room · a gang whole or not at all · nothing above a limit · no victim inside
         its guarantee · no waiting job fits what stays free and may have it · the same snapshot gives
         the same plan · carried out and asked again, nothing changes any more
Cost:    O(kinds of waiting jobs + what starts); running jobs are looked at only where something may
         be taken back. Figures: docs/policy.md, made by `make bench`
"""

from __future__ import annotations

from makeway.model.wait import ROOM, Reason
from makeway.policy.backfill import Backfill
from makeway.policy.claim import claim
from makeway.policy.consolidate import consolidate
from makeway.policy.cost import worth
from makeway.policy.cycle import Cycle
from makeway.policy.elastic import grow
from makeway.policy.explain import Explanation
from makeway.policy.find import find
from makeway.policy.kept import kept
from makeway.policy.ledger import parting
from makeway.policy.limits import barrier
from makeway.policy.never import limit_never, never
from makeway.policy.order import Lane, Line, ranks
from makeway.policy.plan import Hold, Plan
from makeway.policy.snapshot import Snapshot


def schedule(snapshot: Snapshot) -> Plan:
    """Decide what starts, what leaves, and why everybody else waits."""
    cycle = run(snapshot)
    return cycle.plan(holds=_holds(cycle), explain=Explanation(cycle).of)


def run(snapshot: Snapshot) -> Cycle:
    """Go through the steps of one cycle."""
    cycle = Cycle(snapshot)
    _start_reserved(cycle)  # 1
    backfill = Backfill(cycle)
    wanted = [lane for lane in cycle.lanes if not lane.kind.idle_only]
    for lanes in ranks(wanted, cycle.rules):  # 2
        line = Line(_first_in_line(cycle, lanes), cycle.ledger, cycle.levels)
        while (lane := line.head()) is not None:
            if _serve(cycle, lane, backfill):  # 3, 4
                line.served(lane)
            else:
                line.dropped(lane)
    grow(cycle)  # 5
    yielding = [lane for lane in cycle.lanes if lane.kind.idle_only]
    for lane in yielding:
        _take_what_is_idle(cycle, lane, backfill)
    if yielding:
        grow(cycle)
    return cycle


def _start_reserved(cycle: Cycle) -> None:
    for one in kept(cycle.ledger):
        if one.ready:
            cycle.take_up(one.job, one.allocation)
        else:
            cycle.give_up(one.job, one.allocation, one.lost)


def _first_in_line(cycle: Cycle, lanes: list[Lane]) -> list[Lane]:
    """Start those who were first in line and fit now, before others take the room again.

    Without this a gang waits for ever for a cluster that empties all at once and is small for its
    neighbours each time. Not so where one of them could take the room back from it at once.
    """
    planned = cycle.snapshot.planned
    if not planned:
        return lanes
    waiting = [lane for lane in lanes if lane.head.id in planned]
    for lane in sorted(waiting, key=lambda one: planned[one.head.id]):
        if barrier(lane.kind, lane.need, cycle.ledger, cycle.terms) is not None:
            continue
        allocation = find(lane.kind, cycle.ledger)
        if allocation is not None and not any(
            _outranks(cycle, other, lane) for other in lanes if other is not lane
        ):
            cycle.start(lane.head, allocation)
            lane.at += 1
    return [lane for lane in lanes if lane.at < len(lane.jobs)]


def _outranks(cycle: Cycle, other: Lane, lane: Lane) -> bool:
    """Say whether the head of one lane could take its room back from that of another at once."""
    if other.at >= len(other.jobs):
        return False
    mine, theirs = lane.kind, other.kind
    if mine.queue == theirs.queue:
        return theirs.priority > mine.priority
    if not worth(other.need, lane.need):
        return False
    here, there = parting(mine.queue, theirs.queue)
    return cycle.levels.of(there, other.need) < cycle.levels.of(here, lane.need)


def _serve(cycle: Cycle, lane: Lane, backfill: Backfill) -> bool:
    """Start the head of a lane, or keep slots for it; if neither, note why not."""
    kind, job = lane.kind, lane.head
    found = barrier(kind, lane.need, cycle.ledger, cycle.terms)
    if found is not None:
        if found.never:
            cycle.never[kind] = limit_never(kind, found)
        elif found.until_ms is not None:  # no eviction gives back what is spent
            cycle.wake(found.until_ms)
        elif claim(cycle, lane, limited=True):
            return True
        cycle.barriers[kind], cycle.reasons[kind] = found, found.reason
        return False
    allocation = find(kind, cycle.ledger)
    if allocation is None:
        return _no_room(cycle, lane, backfill)
    delayed = backfill.in_the_way(lane, allocation)
    if delayed is not None:
        cycle.reasons[kind] = Reason.RESERVED_FOR_OTHER
        return False
    cycle.start(job, allocation)
    return True


def _no_room(cycle: Cycle, lane: Lane, backfill: Backfill) -> bool:
    wait = never(lane.kind, cycle.snapshot)
    if wait is not None:
        cycle.never[lane.kind] = wait
        return False
    if consolidate(cycle, lane, backfill) or claim(cycle, lane):
        return True
    cycle.reasons[lane.kind] = Reason.MIN_RUN_TIME if lane.kind in cycle.protected else ROOM[0]
    if len(cycle.blocked) < cycle.rules.backfill_depth:
        cycle.promise(lane.head)
    cycle.blocked.append(lane)
    return False


def _take_what_is_idle(cycle: Cycle, lane: Lane, backfill: Backfill) -> None:
    """Start those who yield where there is room: they take nothing back, and nothing is kept for them."""
    while lane.at < len(lane.jobs):
        found = barrier(lane.kind, lane.need, cycle.ledger, cycle.terms)
        if found is not None:
            if found.never:
                cycle.never[lane.kind] = limit_never(lane.kind, found)
            cycle.barriers[lane.kind], cycle.reasons[lane.kind] = found, found.reason
            return
        allocation = find(lane.kind, cycle.ledger)
        if allocation is None:
            wait = never(lane.kind, cycle.snapshot)
            if wait is not None:
                cycle.never[lane.kind] = wait
            cycle.reasons[lane.kind] = ROOM[0]
            return
        if backfill.in_the_way(lane, allocation) is not None:
            cycle.reasons[lane.kind] = Reason.RESERVED_FOR_OTHER
            return
        cycle.start(lane.head, allocation)
        lane.at += 1


def _holds(cycle: Cycle) -> list[Hold]:
    holds = []
    held = {lane.kind: lane for lane in cycle.lanes if lane.at < len(lane.jobs)}
    for kind, jobs in cycle.snapshot.lanes.items():
        if kind in held and kind not in cycle.never:
            holds.append(Hold(kind=kind, reason=cycle.reasons[kind]))
        elif kind not in held and any(cycle.leaving_for(job.id) is not None for job in jobs):
            holds.append(Hold(kind=kind, reason=Reason.WAITING_FOR_EVICTION))
    return holds
