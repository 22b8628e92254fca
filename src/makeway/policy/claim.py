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

from makeway.model.cluster import Placement
from makeway.policy.cheapest import take_lazily
from makeway.policy.cost import lost_worker_ms
from makeway.policy.cycle import Cycle
from makeway.policy.find import find
from makeway.policy.fitted import take_fitted
from makeway.policy.fitting import Fitting
from makeway.policy.ledger import total_of, usage_of_rows
from makeway.policy.legal import Claimant, Legal
from makeway.policy.order import Lane
from makeway.policy.plan import Preempt, Reserve
from makeway.policy.snapshot import Running
from makeway.policy.victims import Claim, Taken, by_node, could_be_enough, take_cheapest

# On so few nodes, or for so many claimants of a cycle, it is cheaper to rank all jobs than to prepare
# for more of them.
NODES_FEW = 256
CLAIMS_FEW = 1


def claim(cycle: Cycle, lane: Lane, *, limited: bool = False) -> bool:
    """Try to take back what the head of this lane needs; `limited`: a limit holds it up."""
    legal = Legal(cycle, Claimant(lane.kind, lane.head, lane.need), limited=limited)
    later = not limited and cycle.ledger.moving  # else what is there soon is there now
    if later and find(lane.kind, cycle.ledger, soon=True) is not None:
        return _commit(cycle, lane, [], legal)
    if not legal.may_try() or legal.hopeless():
        return False
    mark = cycle.ledger.checkpoint()
    attempt = Claim(cycle, lane, legal, Fitting(cycle, lane))
    if _take(attempt):
        return _commit(cycle, lane, attempt.taken, legal)
    gaps = attempt.refused and _enough_in_all(attempt)
    attempt.rollback(mark, 0)
    if gaps and take_fitted(attempt) and _legal_in_the_end(attempt):
        return _commit(cycle, lane, attempt.taken, legal)
    attempt.rollback(mark, 0)
    return False


def _enough_in_all(claim: Claim) -> bool:
    """Say whether there is enough in all for a claimant that does not fit: it is in small pieces."""
    fitting, need = claim.fitting, claim.lane.need
    return fitting.plain and not fitting.fits() and need.fits(claim.cycle.ledger.soon_total())


def _take(claim: Claim) -> bool:
    """Take what is enough: surplus workers, then jobs, the cheapest first, then those that fit best."""
    if _take_surplus(claim):
        return _legal_in_the_end(claim)
    return _take_jobs(claim) and _legal_in_the_end(claim)


def _take_jobs(claim: Claim) -> bool:
    """Take whole jobs, all of them ranked or, for later claimants on many nodes, only a few."""
    cycle = claim.cycle
    cycle.claims += 1
    many = cycle.claims > CLAIMS_FEW and len(cycle.ledger.nodes) > NODES_FEW
    young = cycle.rules.preemption.min_run_ms > 0  # whoever is, is to be told
    if many and not young and not claim.legal.late:
        return take_lazily(claim)
    ranked = by_node(claim)
    return could_be_enough(claim, ranked) and take_cheapest(claim, ranked)


def _legal_in_the_end(claim: Claim) -> bool:
    """Give back what is not needed, and look at the rest once more."""
    claim.taken = _fill_back(claim)
    taken, legal = claim.taken, claim.legal
    lost = total_of(usage_of_rows(one.row.job, one.rows) for one in taken)
    return legal.worth_it(lost) and legal.still([(one.row, one.rule, one.rows) for one in taken])


def _take_surplus(claim: Claim) -> bool:
    """Take workers above the minimum, from the job that has most of them for its size first."""
    cycle, legal = claim.cycle, claim.legal
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
        cycle.shrink(row, claim.lane.head.id, rule)
        claim.fitting.moved(last)
        claim.taken.append(Taken(row, rule, last, last[0]))
        if claim.fitting.fits():
            return True
        if spare(cycle, row):
            heapq.heapreplace(heap, (*_surplus_key(cycle, row), row.job.order, row))
        else:
            heapq.heappop(heap)
    return False


def _fill_back(claim: Claim) -> list[Taken]:
    """Give back, the last taken first, what the claimant does not need."""
    kept: list[Taken] = []
    cycle, ledger, fitting, fixed = claim.cycle, claim.cycle.ledger, claim.fitting, set[str]()
    for one in reversed(claim.taken):
        name = one.row.job.id
        if name in fixed:
            kept.append(one)
            continue
        mark = ledger.checkpoint()
        ledger.give_back(one.row, one.rows, whole=one.last is None)
        fitting.moved(one.rows)
        if fitting.fits():
            if one.last is not None:
                cycle.unshrink(one.row, one.last)
            continue
        ledger.rollback(mark)
        fitting.moved(one.rows)
        kept.append(one)
        fixed.add(name)
    kept.reverse()
    return kept


def _commit(cycle: Cycle, lane: Lane, taken: list[Taken], legal: Legal) -> bool:
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
