"""Take whole jobs, node by node: where the lowest class and the least lost work give a place.

The jobs of a node are ranked, and parted into bundles, each of which makes place for at least one
more worker of the claimant. The cheapest bundle of all nodes is taken next, until there is enough.

Takes:   the claim, and what is legal for its claimant
Gives:   whether there is enough; what was taken is booked, and noted in the claim
Cost:    O(running jobs of the queues that may be taken from)
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from operator import itemgetter

import msgspec

from makeway.model.cluster import Placement
from makeway.model.resources import Resources
from makeway.policy.cost import lost_worker_ms
from makeway.policy.cycle import Cycle
from makeway.policy.fitting import Fitting
from makeway.policy.ledger import usage_of_rows
from makeway.policy.legal import Legal
from makeway.policy.order import Lane
from makeway.policy.rooms import COPIES_MAX
from makeway.policy.snapshot import Running

# What the victims of one herd have in common (their queue is the claimant's own, it would be left
# with less than the claimant's, it has a weight, the class); then the lost work, how full the queue
# is, when it started, its age.
Herd = tuple[bool, bool, bool, int]
Key = tuple[Herd, int, float, int, int]
Ranked = tuple[Key, Running]
ByNode = dict[str, list[Ranked]]


class Taken(msgspec.Struct, eq=False):
    """One thing taken: a whole job, or (`last`) the last worker of an elastic one."""

    row: Running
    rule: str
    rows: tuple[Placement, ...]
    last: Placement | None = None


class Claim(msgspec.Struct, eq=False):
    """One attempt to make room: for whom, what is legal, whether it is enough, what was taken.

    `refused`: something that was wanted could not be taken any more, since its queue had given all
    that it had to.
    """

    cycle: Cycle
    lane: Lane
    legal: Legal
    fitting: Fitting
    taken: list[Taken] = []
    refused: bool = False

    def take(self, row: Running) -> bool:
        """Take a whole job, if a rule still lets it be taken."""
        held = tuple(self.cycle.rows_of(row))
        rule = self.legal.rule(row, usage_of_rows(row.job, held))
        if rule is None:
            self.refused = True
            return False
        self.cycle.ledger.evict(row, held)
        self.fitting.moved(held)
        self.taken.append(Taken(row, rule, held))
        return True

    def rollback(self, mark: int, count: int) -> None:
        """Give back all that was taken since the ledger stood at this mark."""
        gone = self.taken[count:]
        del self.taken[count:]
        for one in reversed(gone):
            if one.last is not None:
                self.cycle.unshrink(one.row, one.last)
        self.cycle.ledger.rollback(mark)
        for one in gone:
            self.fitting.moved(one.rows)


class Bundle(msgspec.Struct, order=True):
    """The jobs of one node that together make place for at least one more worker."""

    straddles: bool
    weighty: bool
    priority: int
    cost: float
    node: str
    victims: list[Running]


def by_node(claim: Claim) -> ByNode:
    """Rank the jobs that may be taken as the ledger stands, on each node where that could help."""
    cycle, kind = claim.cycle, claim.lane.kind
    nodes, found = cycle.ledger.nodes, ByNode()
    now_ms = cycle.snapshot.now_ms
    for rows in claim.legal.jobs():
        herd, full = prefix(claim, rows[0])
        for row in rows:
            cost = lost_worker_ms(row, now_ms)
            entry = ((herd, cost, full, -row.started_at_ms, -row.job.order), row)
            held = cycle.rows_of(row)
            names = [held[0].node] if len(held) == 1 else dict.fromkeys(one.node for one in held)
            for node in names:
                if node in nodes and (not kind.nodes or node in kind.nodes):
                    found.setdefault(node, []).append(entry)
    return found


def prefix(claim: Claim, row: Running) -> tuple[Herd, float]:
    """Give by what all jobs of a herd are ranked, as the ledger stands: first, and after the cost."""
    cycle, queue, priority = claim.cycle, row.job.spec.queue, row.job.priority
    weighty = cycle.levels.weights.get(queue, 1) > 0
    if queue == claim.lane.kind.queue:
        return (True, False, weighty, priority), 0.0
    straddles = claim.legal.straddles(row)
    return (False, straddles, weighty, priority), -claim.legal.fullness(queue)[1]


def could_be_enough(claim: Claim, ranked: ByNode) -> bool:
    """Say whether all of these together would make room for enough workers, were all to leave."""
    kind, ledger = claim.lane.kind, claim.cycle.ledger
    (group, *others) = kind.groups
    if others:
        return bool(ranked)
    found = 0
    for node, count in ledger.taking(group.per_worker, soon=True).items():
        if node not in ranked and (not kind.nodes or node in kind.nodes):
            found += min(count, group.count_min)
    for node, rows in ranked.items():
        if found >= group.count_min:
            break
        room = ledger.room(node, soon=True)
        for _, row in rows:
            room = room + on_node(claim.cycle, row, node)
        found += group.per_worker.copies_in(room, group.count_min)
    return found >= group.count_min


def take_cheapest(claim: Claim, ranked: ByNode) -> bool:
    """Take whole jobs, the cheapest place of all nodes next."""
    heap, rest = list[Bundle](), dict[str, Iterator[Bundle]]()
    for node, rows in ranked.items():
        rows.sort(key=itemgetter(0))
        rest[node] = bundles(claim, node, rows, claim.cycle.ledger.room(node, soon=True))
        _push(heap, rest[node])
    gone = set[str]()
    while heap:
        bundle = heapq.heappop(heap)
        for row in bundle.victims:
            if row.job.id not in gone and claim.take(row):
                gone.add(row.job.id)
        if claim.fitting.fits():
            return True
        _push(heap, rest[bundle.node])
    return False


def on_node(cycle: Cycle, row: Running, node: str) -> Resources:
    """Give what a running job holds on one node, as far as it stays."""
    rows = cycle.rows_of(row)
    if len(rows) == 1:
        return usage_of_rows(row.job, rows)
    return usage_of_rows(row.job, [one for one in rows if one.node == node])


def _push(heap: list[Bundle], bundles: Iterator[Bundle]) -> None:
    bundle = next(bundles, None)
    if bundle is not None:
        heapq.heappush(heap, bundle)


def bundles(claim: Claim, node: str, rows: list[Ranked], room: Resources) -> Iterator[Bundle]:
    """Give the jobs on a node in portions, each of which makes place for at least one worker more."""
    cycle, groups = claim.cycle, claim.lane.kind.groups
    worker = groups[0].per_worker
    copies = worker.copies_in(room, COPIES_MAX)
    portion: list[Ranked] = []
    for key, row in rows:
        portion.append((key, row))
        room = room + on_node(cycle, row, node)
        more = worker.copies_in(room, COPIES_MAX)
        if more > copies or len(groups) > 1:
            weights = cycle.levels.weights
            yield Bundle(
                any(known[0][1] for known, _ in portion),
                any(weights.get(one.job.spec.queue, 1) > 0 for _, one in portion),
                max(one.job.priority for _, one in portion),
                sum(known[1] for known, _ in portion) / max(1, more - copies),
                node,
                [one for _, one in portion],
            )
            portion, copies = [], more
