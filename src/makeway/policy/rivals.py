"""Keep the policies that the fair one is compared with.

`fifo` is the baseline: strictly by submission, and whoever does not fit holds up all behind it, also
those that would fit. `fit` goes by submission too, but passes over what does not fit. `priority`
goes by class and then by submission, and passes over as well. None of them knows shares, evicts
anybody, or lets elastic jobs grow.

Takes:   snapshot   as `schedule`, of which these are rivals
Gives:   Plan
Holds:   fifo: nothing starts that was submitted after something that waits for room ·
         fit, priority: no waiting job fits what stays free
Cost:    O(kinds of waiting jobs + what starts x log)
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping

from makeway.model.wait import ROOM, Reason, Wait
from makeway.policy.cycle import Cycle
from makeway.policy.explain import no_room
from makeway.policy.find import find
from makeway.policy.never import never
from makeway.policy.order import Lane
from makeway.policy.plan import Hold, Plan
from makeway.policy.say import needs
from makeway.policy.snapshot import Kind, Snapshot

Key = tuple[int, int, str]


def fifo(snapshot: Snapshot) -> Plan:
    """Start in the order of submission, up to the first job that has no room."""
    cycle = Cycle(snapshot)
    head = _in_order(cycle, _by_submission, strict=True)

    def explain(kind: Kind, job: str) -> Wait:
        if head is None or job == head.head.id:
            return no_room(kind, cycle.ledger)
        return Wait(
            reason=Reason.RESERVED_FOR_OTHER,
            text=f"{needs(kind.groups)}; {head.head.id} was submitted before it and comes first",
            blocked_by=(head.head.id,),
        )

    return cycle.plan(holds=_holds(cycle), explain=explain)


def fit(snapshot: Snapshot) -> Plan:
    """Start in the order of submission whatever has room."""
    return _passing(snapshot, _by_submission)


def priority(snapshot: Snapshot) -> Plan:
    """Start by class and then by submission whatever has room."""
    return _passing(snapshot, _by_class)


POLICIES: Mapping[str, Callable[[Snapshot], Plan]] = {
    "fifo": fifo,
    "fit": fit,
    "priority": priority,
}


def _passing(snapshot: Snapshot, key: Callable[[Lane], Key]) -> Plan:
    cycle = Cycle(snapshot)
    _in_order(cycle, key, strict=False)
    return cycle.plan(holds=_holds(cycle), explain=lambda kind, _job: no_room(kind, cycle.ledger))


def _in_order(cycle: Cycle, key: Callable[[Lane], Key], *, strict: bool) -> Lane | None:
    """Start the heads of the lanes by this key; `strict`: stop at the first that has no room."""
    heap = [(key(lane), lane) for lane in cycle.lanes]
    heapq.heapify(heap)
    head: Lane | None = None
    while heap:
        lane = heapq.heappop(heap)[1]
        allocation = find(lane.kind, cycle.ledger) if head is None else None
        if allocation is not None:
            cycle.start(lane.head, allocation)
            lane.at += 1
            if lane.at < len(lane.jobs):
                heapq.heappush(heap, (key(lane), lane))
            continue
        refused = never(lane.kind, cycle.snapshot)
        if refused is not None:
            cycle.never[lane.kind] = refused
        elif strict and head is None:
            head = lane
    return head


def _by_submission(lane: Lane) -> Key:
    return 0, lane.head.order, lane.head.id


def _by_class(lane: Lane) -> Key:
    return -lane.kind.priority, lane.head.order, lane.head.id


def _holds(cycle: Cycle) -> list[Hold]:
    return [
        Hold(kind=lane.kind, reason=ROOM[0])
        for lane in cycle.lanes
        if lane.at < len(lane.jobs) and lane.kind not in cycle.never
    ]
