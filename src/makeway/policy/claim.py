"""Take back for a job that is next and has no room: the smallest legal set that costs the least.

    1  surplus workers of elastic jobs, one at a time, the last added first
    2  whole jobs, node by node: where the lowest class and the least lost work give a place
    3  give back whatever turned out not to be needed, the last taken first
    4  look again whether every victim is legal in the final set, and whether it is worth it
    5  evictions and the claimant's slots are decided together; nobody else may take the slots

What may be taken, and by which rule, is `legal`'s question. If no legal set is enough, nothing at
all is evicted.

Takes:   cycle, and the lane whose head found no room
Gives:   True if slots are kept for the head now; the ledger is as before if not
Cost:    O(running jobs of the queues that may be taken from), and only if any may
Source:  Kueue, preemption with fill-back; the second look is ours: without it a set that was legal
         while it was larger may not be so any more
"""

from __future__ import annotations

import heapq
from collections.abc import Container, Iterator

import msgspec

from makeway.model.cluster import Placement
from makeway.model.job import SYSTEM_MIN
from makeway.model.resources import NOTHING
from makeway.policy.cost import lost_worker_ms, worth
from makeway.policy.cycle import Cycle
from makeway.policy.find import count_in, find
from makeway.policy.ledger import usage_of_rows
from makeway.policy.legal import Claimant, Legal
from makeway.policy.limits import barrier
from makeway.policy.order import Lane
from makeway.policy.plan import Preempt, Reserve
from makeway.policy.rooms import COPIES_MAX
from makeway.policy.snapshot import Running


class _Taken(msgspec.Struct, eq=False):
    """One thing taken: a whole job, or (`last`) the last worker of an elastic one."""

    row: Running
    rule: str
    rows: tuple[Placement, ...]
    last: Placement | None = None


class _Bundle(msgspec.Struct, order=True):
    """The jobs of one node that together make place for at least one more worker."""

    straddles: bool
    weighty: bool
    priority: int
    cost: float
    node: str
    victims: list[Running]


def claim(cycle: Cycle, lane: Lane) -> bool:
    """Try to take back what the head of this lane needs."""
    legal = Legal(cycle, Claimant(lane.kind, lane.head, lane.need))
    if find(lane.kind, cycle.ledger, soon=True) is not None and not legal.limited:
        return _commit(cycle, lane, [], legal)
    if not legal.may_try():
        return False
    mark, taken = cycle.ledger.checkpoint(), list[_Taken]()
    enough = _take_surplus(cycle, lane, legal, taken) or _take_jobs(cycle, lane, legal, taken)
    if enough:
        taken = _fill_back(cycle, lane, taken)
        enough = legal.still([(one.row, one.rule, one.rows) for one in taken])
        enough = enough and _worth_it(lane, taken, legal)
    if not enough:
        for one in reversed(taken):
            if one.last is not None:
                cycle.unshrink(one.row, one.last)
        cycle.ledger.rollback(mark)
        return False
    return _commit(cycle, lane, taken, legal)


def _fits(cycle: Cycle, lane: Lane) -> bool:
    kind, ledger = lane.kind, cycle.ledger
    if barrier(kind, lane.need, ledger, cycle.terms) is not None:
        return False
    if count_in(kind, ledger, soon=True) < kind.groups[0].count_min:
        return False
    return find(kind, ledger, soon=True) is not None


def _take_surplus(cycle: Cycle, lane: Lane, legal: Legal, taken: list[_Taken]) -> bool:
    """Take workers above the minimum, from the job that has most of them for its size first."""
    heap = [(*_surplus_key(cycle, row), row.job.order, row) for row in legal.elastic()]
    heap = [entry for entry in heap if spare(cycle, entry[-1])]
    heapq.heapify(heap)
    while heap:
        row = heap[0][-1]
        last = (Placement(*_last(cycle, row), 1),)
        rule = legal.rule(row, usage_of_rows(row.job, last), surplus=True)
        if rule is None:
            heapq.heappop(heap)
            continue
        cycle.shrink(row, lane.head.id, rule)
        taken.append(_Taken(row, rule, last, last[0]))
        if _fits(cycle, lane):
            return True
        if spare(cycle, row):
            heapq.heapreplace(heap, (*_surplus_key(cycle, row), row.job.order, row))
        else:
            heapq.heappop(heap)
    return False


def _take_jobs(cycle: Cycle, lane: Lane, legal: Legal, taken: list[_Taken]) -> bool:
    """Take whole jobs, the cheapest place of all nodes next."""
    by_node: dict[str, list[tuple[tuple[object, ...], Running]]] = {}
    for row in legal.jobs():
        key = _job_key(cycle, row, legal)
        for node in dict.fromkeys(one.node for one in cycle.rows_of(row)):
            if node in cycle.ledger.nodes and (not lane.kind.nodes or node in lane.kind.nodes):
                by_node.setdefault(node, []).append((key, row))
    heap, rest = list[_Bundle](), dict[str, Iterator[_Bundle]]()
    for node, rows in by_node.items():
        rows.sort(key=lambda pair: pair[0])
        last = {row.job.id for key, row in rows if key[1]}
        rest[node] = _bundles(cycle, lane, node, [row for _, row in rows], last)
        _push(heap, rest[node])
    gone = set[str]()
    while heap:
        bundle = heapq.heappop(heap)
        for row in bundle.victims:
            held = tuple(cycle.rows_of(row))
            if row.job.id in gone:
                continue
            rule = legal.rule(row, usage_of_rows(row.job, held))
            if rule is not None:
                gone.add(row.job.id)
                cycle.ledger.evict(row, held)
                taken.append(_Taken(row, rule, held))
        if _fits(cycle, lane):
            return True
        _push(heap, rest[bundle.node])
    return False


def _push(heap: list[_Bundle], bundles: Iterator[_Bundle]) -> None:
    bundle = next(bundles, None)
    if bundle is not None:
        heapq.heappush(heap, bundle)


def _bundles(
    cycle: Cycle, lane: Lane, node: str, rows: list[Running], last: Container[str]
) -> Iterator[_Bundle]:
    """Give the jobs on a node in portions, each of which makes place for at least one worker more."""
    worker = lane.kind.groups[0].per_worker
    room = cycle.ledger.room(node, soon=True)
    copies, now_ms = worker.copies_in(room, COPIES_MAX), cycle.snapshot.now_ms
    portion: list[Running] = []
    for row in rows:
        portion.append(row)
        shape = row.job.spec.shape()
        for one in cycle.rows_of(row):
            if one.node == node:
                room = room + shape[one.group].times(one.count)
        more = worker.copies_in(room, COPIES_MAX)
        if more > copies or len(lane.kind.groups) > 1:
            weighty = any(cycle.levels.weights.get(one.job.spec.queue, 1) > 0 for one in portion)
            priority = max(one.job.priority for one in portion)
            cost = sum(lost_worker_ms(one, now_ms) for one in portion) / max(1, more - copies)
            straddles = any(one.job.id in last for one in portion)
            yield _Bundle(straddles, weighty, priority, cost, node, portion)
            portion, copies = [], more


def _fill_back(cycle: Cycle, lane: Lane, taken: list[_Taken]) -> list[_Taken]:
    """Give back, the last taken first, what the claimant does not need."""
    kept: list[_Taken] = []
    ledger, fixed = cycle.ledger, set[str]()
    for one in reversed(taken):
        name = one.row.job.id
        if name in fixed:
            kept.append(one)
            continue
        mark = ledger.checkpoint()
        ledger.give_back(one.row, one.rows, whole=one.last is None)
        if _fits(cycle, lane):
            if one.last is not None:
                cycle.unshrink(one.row, one.last)
            continue
        ledger.rollback(mark)
        kept.append(one)
        fixed.add(name)
    kept.reverse()
    return kept


def _worth_it(lane: Lane, taken: list[_Taken], legal: Legal) -> bool:
    """Refuse to evict more than twice what starts, unless it is owed (or an administrator's)."""
    if lane.kind.priority >= SYSTEM_MIN or legal.inside_guarantee:
        return True
    lost = NOTHING
    for one in taken:
        lost = lost + usage_of_rows(one.row.job, one.rows)
    return worth(lane.need, lost)


def _commit(cycle: Cycle, lane: Lane, taken: list[_Taken], legal: Legal) -> bool:
    job, now_ms = lane.head, cycle.snapshot.now_ms
    allocation = find(lane.kind, cycle.ledger, soon=True)
    if allocation is None:
        return False
    for one in taken:
        if one.last is None:
            decision = Preempt(
                job=one.row.job.id,
                beneficiary=job.id,
                rule=one.rule,
                text=legal.text(one.row, one.rule),
                lost_worker_ms=lost_worker_ms(one.row, now_ms),
            )
            cycle.evict(one.row, decision)
    names = tuple(dict.fromkeys(one.row.job.id for one in taken))
    rule = taken[-1].rule if taken else None
    cycle.keep(job, Reserve(job=job.id, allocation=allocation, rule=rule, victims=names))
    return True


def spare(cycle: Cycle, row: Running) -> bool:
    """Say whether the last worker of a job is above the minimum of its group."""
    rows = cycle.rows_of(row)
    if not rows or not cycle.stays(row):
        return False
    group = next(one for one in row.job.spec.groups if one.name == rows[-1].group)
    return sum(one.count for one in rows if one.group == group.name) > group.count_min


def _last(cycle: Cycle, row: Running) -> tuple[str, str]:
    rows = cycle.rows_of(row)
    return rows[-1].node, rows[-1].group


def _surplus_key(cycle: Cycle, row: Running) -> tuple[int, float, int]:
    spec = row.job.spec
    count = sum(one.count for one in cycle.rows_of(row))
    most = sum(group.count_max for group in spec.groups)
    return row.job.priority, -(count - spec.workers_min) / most, -row.started_at_ms


def _job_key(cycle: Cycle, row: Running, legal: Legal) -> tuple[object, ...]:
    """Order victims: others' before own, no weight, lowest class, least lost, youngest, id.

    Whoever would leave its queue with less than the claimant's comes after all others, and of the
    equally dear the one of the fullest queue first.
    """
    queue, own = row.job.spec.queue, row.job.spec.queue == legal.claimant.kind.queue
    return (
        own,
        not own and legal.straddles(row),
        cycle.levels.weights.get(queue, 1) > 0,
        row.job.priority,
        lost_worker_ms(row, cycle.snapshot.now_ms),
        0.0 if own else -legal.fullness(queue)[1],
        -row.started_at_ms,
        -row.job.order,
    )
