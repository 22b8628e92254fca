"""Find the cheapest victims of all nodes without ranking the jobs of every node.

For each node there is a bound: no bundle of victims on it costs less a worker. Nodes are opened, their
jobs ranked, in the order of their bounds, and only until the cheapest bundle found costs no more than
the next bound. What is then taken is what ranking everything would have taken (`victims`), which tests
compare it with.

A bundle of one job costs what the job costs for each worker that it makes room for; one of several
costs at least what its last job costs and the cheapest on the node, and the last makes room for no
more workers than fit into it, and one. The bounds are kept by the size of the jobs, since large jobs may not leave for a
small one; otherwise they look at all jobs, so that they serve every claimant of one cycle. Only nodes
whose room has changed are looked at again.

Takes:   the claim; the jobs as they run
Gives:   whether there is enough; what was taken is booked, and noted in the claim
Holds:   the same victims as `victims.take_cheapest`
Cost:    O(running jobs) for the first claimant of a cycle, O(nodes) for the first of its size, then
         O(nodes opened)
Source:  Fagin, Lotem, Naor, Optimal Aggregation Algorithms for Middleware, PODS 2001: the threshold
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterator

from makeway.model.resources import NOTHING, Resources
from makeway.policy.cost import lost_worker_ms
from makeway.policy.cycle import Cycle
from makeway.policy.herds import herds
from makeway.policy.ledger import usage_of_rows
from makeway.policy.rooms import COPIES_MAX
from makeway.policy.snapshot import Running
from makeway.policy.victims import Bundle, Claim, Herd, Ranked, bundles, prefix

Bound = tuple[float, str]
# What a job costs, minus its start and its age, and the job itself.
Standing = tuple[int, int, int, Running]
# By the size of the jobs of a node: the least that one of them costs, and the most that it has there.
Cheapest = dict[Resources, tuple[int, Resources]]


class Places:
    """Where the running jobs stand, and what they cost; see the module."""

    __slots__ = ("_bounds", "_cheapest", "_cycle", "_total", "standing")

    def __init__(self, cycle: Cycle) -> None:
        """Look at every running job once."""
        self._cycle = cycle
        self.standing: dict[str, dict[int, list[Standing]]] = {}
        self._cheapest: dict[str, Cheapest] = {}
        self._total: dict[str, Resources] = {}
        self._bounds: dict[tuple[object, ...], _Bounds] = {}
        snapshot = cycle.snapshot
        for queue in snapshot.running_in:
            for herd in herds(snapshot, queue).values():
                for row in herd:
                    self._stand(id(herd), row, lost_worker_ms(row, snapshot.now_ms))

    def _stand(self, herd: int, row: Running, cost: int) -> None:
        rows, nodes = row.allocation.placements, self._cycle.ledger.nodes
        entry, size = (cost, -row.started_at_ms, -row.job.order, row), row.usage
        for node in [rows[0].node] if len(rows) == 1 else dict.fromkeys(one.node for one in rows):
            if node not in nodes:
                continue
            self.standing.setdefault(node, {}).setdefault(herd, []).append(entry)
            amount = size if len(rows) == 1 else _whole_on(row, node)
            known = self._cheapest.setdefault(node, {})
            before = known.get(size)
            if before is None:
                known[size] = (cost, amount)
            elif cost < before[0] or amount != before[1]:
                known[size] = (min(cost, before[0]), _larger(amount, before[1]))
            self._total[node] = self._total.get(node, NOTHING) + amount

    def could_be_enough(self, claim: Claim) -> bool:
        """Say whether there would be room for enough workers if everybody left."""
        kind, ledger = claim.lane.kind, self._cycle.ledger
        (group, *others) = kind.groups
        if others or group.count_min == 1:
            return True
        missing = group.count_min
        for node in kind.nodes or ledger.nodes:
            if node in ledger.nodes:
                room = ledger.room(node, soon=True) + self._total.get(node, NOTHING)
                missing -= group.per_worker.copies_in(room, missing)
                if missing <= 0:
                    return True
        return False

    def bounds(self, worker: Resources, sizes: set[Resources], *, alone: bool) -> Iterator[Bound]:
        """Give the bounds of all nodes with jobs of these sizes, the lowest first; some come twice."""
        size = (alone, *worker.amounts.items())
        known = self._bounds.get(size)
        if known is None:
            known = self._bounds[size] = _Bounds(self._cycle, self._cheapest, worker, alone=alone)
        return known.of(sizes)


class _Bounds:
    """The bounds for workers of one form, by the size of the jobs, kept up as the ledger moves."""

    __slots__ = ("_alone", "_by_node", "_cheapest", "_cycle", "_order", "_read", "_worker")

    def __init__(
        self, cycle: Cycle, cheapest: dict[str, Cheapest], worker: Resources, *, alone: bool
    ) -> None:
        self._cycle, self._cheapest, self._worker = cycle, cheapest, worker
        self._alone = alone
        self._read = len(cycle.ledger.touched)
        self._by_node = {node: self._bounds_of(node) for node in cheapest}
        self._order: dict[Resources, list[Bound]] = {}
        for node, bounds in self._by_node.items():
            for size, bound in bounds.items():
                self._order.setdefault(size, []).append((bound, node))
        for order in self._order.values():
            order.sort()

    def of(self, sizes: set[Resources]) -> Iterator[Bound]:
        touched = self._cycle.ledger.touched
        for node in dict.fromkeys(touched[self._read :]):
            for size, before in self._by_node.get(node, {}).items():
                order = self._order[size]
                del order[bisect_left(order, (before, node))]
            if node in self._by_node:
                self._by_node[node] = self._bounds_of(node)
                for size, now in self._by_node[node].items():
                    insort(self._order[size], (now, node))
        self._read = len(touched)
        return heapq.merge(*(self._order[size] for size in sizes if size in self._order))

    def _bounds_of(self, node: str) -> dict[Resources, float]:
        asked, room = self._worker.amounts, self._cycle.ledger.room(node, soon=True)
        copies, found = self._worker.copies_in(room, COPIES_MAX), dict[Resources, float]()
        # What there is enough of for one worker more stays enough: only what is short counts.
        short = [kind for kind, each in asked.items() if room[kind] < (copies + 1) * each]
        known = self._cheapest[node]
        # Of several groups each job is a bundle of its own.
        least = min(cost for cost, _ in known.values()) if self._alone else 0
        for size, (cost, amount) in known.items():
            width = 1 + max((amount[kind] // asked[kind] for kind in short), default=0)
            more = self._worker.copies_in(room + amount, COPIES_MAX) - copies
            several = (cost + least) / width
            found[size] = min(several, cost / more) if more > 0 else several
        return found


def _whole_on(row: Running, node: str) -> Resources:
    rows = [one for one in row.allocation.placements if one.node == node]
    return usage_of_rows(row.job, rows)


def _larger(one: Resources, other: Resources) -> Resources:
    return Resources.of({kind: max(one[kind], other[kind]) for kind in {*one, *other}})


def take_lazily(claim: Claim) -> bool:
    """Take whole jobs, the cheapest place of all nodes next; see the module."""
    cycle, kind = claim.cycle, claim.lane.kind
    alike = [*claim.legal.alike()]
    if not alike:
        return False
    ranks = {id(herd): prefix(claim, herd[0]) for herd in alike}
    places = cycle.once("places", lambda: Places(cycle))
    if not places.could_be_enough(claim):
        return False
    least = min(rank[0][1:] for rank in ranks.values())
    sizes, alone = {herd[0].usage for herd in alike}, len(kind.groups) == 1
    allowed = frozenset(kind.nodes)
    search = _Search(claim, ranks, places)
    for bound, node in places.bounds(kind.groups[0].per_worker, sizes, alone=alone):
        if node in search.opened or (allowed and node not in allowed):
            continue
        while search.below((*least, bound, node)):
            if search.take():
                return True
        if search.exhausted():
            return False
        search.open(node)
    while search.heap and not search.exhausted():
        if search.take():
            return True
    return False


class _Search:
    """The bundles of the nodes that were opened, and what was taken of them."""

    def __init__(self, claim: Claim, ranks: dict[int, tuple[Herd, float]], places: Places) -> None:
        self._claim, self._ranks, self._places = claim, ranks, places
        self._rest: dict[str, Iterator[Bundle]] = {}
        self._rooms: dict[str, Resources] = {}  # of nodes that were not opened before it changed
        self._gone = set[str]()
        self._herds: dict[str, int] = {}  # by job
        self._spent = set[int]()  # herds of which no more can be taken
        self.opened = set[str]()
        self.heap: list[Bundle] = []

    def below(self, bound: tuple[bool, bool, int, float, str]) -> bool:
        """Say whether the cheapest bundle comes before all that are on nodes not opened yet."""
        if not self.heap:
            return False
        top = self.heap[0]
        return (top.straddles, top.weighty, top.priority, top.cost, top.node) < bound

    def exhausted(self) -> bool:
        """Say whether nothing more can be taken of anybody."""
        return len(self._spent) == len(self._ranks)

    def open(self, node: str) -> None:
        """Rank the jobs of a node that may be taken, as the ledger stood at the beginning."""
        self.opened.add(node)
        cycle, standing, rows = self._claim.cycle, self._places.standing[node], list[Ranked]()
        for herd in self._ranks.keys() & standing.keys():
            first, full = self._ranks[herd]
            for cost, started, order, row in standing[herd]:
                if cycle.stays(row) and any(one.node == node for one in cycle.rows_of(row)):
                    self._herds[row.job.id] = herd
                    rows.append(((first, cost, full, started, order), row))
        if rows:
            rows.sort(key=lambda entry: entry[0])
            room = self._rooms.get(node)
            if room is None:
                room = cycle.ledger.room(node, soon=True)
            self._rest[node] = bundles(self._claim, node, rows, room)
            self._push(node)

    def take(self) -> bool:
        """Take the cheapest bundle; say whether it is enough now."""
        claim, bundle = self._claim, heapq.heappop(self.heap)
        for row in bundle.victims:
            herd = self._herds[row.job.id]
            if row.job.id in self._gone or herd in self._spent:
                continue
            self._remember(row)
            if claim.take(row):
                self._gone.add(row.job.id)
            elif not claim.legal.limited and not row.job.spec.elastic:
                # The queue has given what it had to, and gets nothing back in this attempt.
                self._spent.add(herd)
        if claim.fitting.fits():
            return True
        self._push(bundle.node)
        return False

    def _remember(self, row: Running) -> None:
        """Keep what room there was where this job runs, for when those nodes are opened."""
        ledger = self._claim.cycle.ledger
        for one in self._claim.cycle.rows_of(row):
            if one.node not in self._rooms and one.node in ledger.nodes:
                self._rooms[one.node] = ledger.room(one.node, soon=True)

    def _push(self, node: str) -> None:
        bundle = next(self._rest[node], None)
        if bundle is not None:
            heapq.heappush(self.heap, bundle)
