"""Keep the policies that the fair one is compared with.

fifo      strictly by submission: whoever does not fit holds up all behind it
fit       by submission, but passes over what does not fit
priority  by class, then by submission; passes over, and evicts lower classes for higher ones
drf       the queue with the smallest dominant share first: flat, no hierarchy, no weights
las       whoever has had least so far first, in coarse steps; evicts (`ranked`)
srsf      whoever has least left to do first; evicts, and knows run times (`ranked`)

None of them knows guarantees, limits or weights, or lets elastic jobs grow.

Takes:   snapshot   as `schedule`, of which these are rivals
Gives:   Plan
Holds:   fifo: nothing starts that was submitted after something that waits for room ·
         fit, priority, drf: no waiting job fits what stays free
Cost:    O(kinds of waiting jobs + what starts x log)
Source:  drf: Ghodsi et al., Dominant Resource Fairness, NSDI 2011, algorithm 1
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping

from makeway.model.resources import NOTHING, Resources
from makeway.model.wait import Reason, Wait
from makeway.policy.explain import no_room
from makeway.policy.ledger import total_of, usage_of_rows
from makeway.policy.order import Lane
from makeway.policy.plan import Plan
from makeway.policy.ranked import las, srsf
from makeway.policy.say import needs
from makeway.policy.snapshot import Kind, Running, Snapshot
from makeway.policy.turn import Turn

Key = tuple[int, int, str]


def fifo(snapshot: Snapshot) -> Plan:
    """Start in the order of submission, up to the first job that has no room."""
    turn = Turn(snapshot, "fifo")
    head = _in_order(turn, _by_submission, strict=True)

    def explain(kind: Kind, job: str) -> Wait:
        if head is None or job == head.head.id:
            return no_room(kind, turn.ledger)
        return Wait(
            reason=Reason.RESERVED_FOR_OTHER,
            text=f"{needs(kind.groups)}; {head.head.id} was submitted before it and comes first",
            blocked_by=(head.head.id,),
        )

    return turn.plan(explain)


def fit(snapshot: Snapshot) -> Plan:
    """Start in the order of submission whatever has room."""
    turn = Turn(snapshot, "fit")
    _in_order(turn, _by_submission)
    return turn.plan()


def priority(snapshot: Snapshot) -> Plan:
    """Start by class and then by submission whatever has room, or gets it from a lower class."""
    turn = Turn(snapshot, "priority")
    victims: list[Running] | None = None
    # No job is of a lower class than its own; so nobody is below this one.
    lowest = min((own for _, own in snapshot.held), default=0)

    def make_room(line: Lane) -> bool:
        nonlocal victims
        if not snapshot.rules.preemption.priority or line.kind.priority <= lowest:
            return False
        if victims is None:
            # The lowest class first, and of that who has run the shortest.
            victims = sorted(
                filter(turn.may_evict, snapshot.running.values()),
                key=lambda row: (row.job.priority, -row.started_at_ms, -row.started_seq),
            )
        mine = line.kind.priority
        lower = [row for row in victims if row.job.priority < mine]
        return bool(lower) and turn.clear(line.kind, line.head, lower)

    _in_order(turn, _by_class, make_room=make_room)
    return turn.plan()


def drf(snapshot: Snapshot) -> Plan:
    """Start for the queue that holds least of what it holds most of, whatever has room."""
    turn = Turn(snapshot, "drf")
    capacity = total_of(node.capacity for node in snapshot.counted())
    usage: dict[str, Resources] = {}
    for (path, _), held in snapshot.held.items():
        usage[path] = usage.get(path, NOTHING) + held.usage
    lines: dict[str, list[tuple[Key, Lane]]] = {}
    for line in turn.lines:
        lines.setdefault(line.kind.queue, []).append((_by_submission(line), line))
    heap = []
    for path, found in lines.items():
        heapq.heapify(found)
        share = usage.get(path, NOTHING).dominant(capacity)
        heap.append((share, found[0][0], path))
    heapq.heapify(heap)
    while heap:
        share, _, path = heapq.heappop(heap)
        waiting = lines[path]
        line = heapq.heappop(waiting)[1]
        allocation = turn.find(line.kind)
        if allocation is None:
            turn.refused(line.kind)
        else:
            job = line.head
            turn.start(job, allocation)
            more = usage_of_rows(job, allocation.placements)
            usage[path] = usage.get(path, NOTHING) + more
            share = usage[path].dominant(capacity)
            line.at += 1
            if line.at < len(line.jobs):
                heapq.heappush(waiting, (_by_submission(line), line))
        if waiting:
            heapq.heappush(heap, (share, waiting[0][0], path))
    return turn.plan()


POLICIES: Mapping[str, Callable[[Snapshot], Plan]] = {
    "fifo": fifo,
    "fit": fit,
    "priority": priority,
    "drf": drf,
    "las": las,
    "srsf": srsf,
}


def _in_order(
    turn: Turn,
    key: Callable[[Lane], Key],
    *,
    strict: bool = False,
    make_room: Callable[[Lane], bool] | None = None,
) -> Lane | None:
    """Start the heads of the lines by this key; `strict`: stop at the first that has no room."""
    heap = [(key(line), line) for line in turn.lines]
    heapq.heapify(heap)
    while heap:
        line = heapq.heappop(heap)[1]
        allocation = turn.find(line.kind)
        if allocation is not None:
            turn.start(line.head, allocation)
        elif turn.refused(line.kind):
            continue
        elif make_room is None or not make_room(line):
            if strict:
                for _, behind in heap:
                    turn.refused(behind.kind)
                return line
            continue
        line.at += 1
        if line.at < len(line.jobs):
            heapq.heappush(heap, (key(line), line))
    return None


def _by_submission(line: Lane) -> Key:
    return 0, line.head.order, line.head.id


def _by_class(line: Lane) -> Key:
    return -line.kind.priority, line.head.order, line.head.id
