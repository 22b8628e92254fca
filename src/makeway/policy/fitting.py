"""Say, after each victim, whether the claimant would fit once all have left who leave.

One group of workers that may stand anywhere fits where enough of them have room, however they are
placed: so their number is kept, and only the nodes of the victim are counted again. Several groups,
or one that has to stay within one domain, are placed anew each time.

Takes:   cycle, the claimant's lane; `moved` after each booking on a node
Gives:   whether its limits let it start and all of it has room
Holds:   the same answer as `find` with `soon`
Cost:    O(nodes that take a worker) to begin, then O(nodes of the victim)
"""

from __future__ import annotations

from collections.abc import Iterable

from makeway.model.cluster import Placement
from makeway.policy.cycle import Cycle
from makeway.policy.find import count_in, find
from makeway.policy.limits import barrier
from makeway.policy.order import Lane


class Fitting:
    """The question for one claimant; see the module."""

    __slots__ = ("_copies", "_count", "_cycle", "_lane", "_names", "plain")

    def __init__(self, cycle: Cycle, lane: Lane) -> None:
        """Count what there is room for as the ledger stands."""
        kind = lane.kind
        self._cycle, self._lane, self._names = cycle, lane, kind.nodes
        self.plain = len(kind.groups) == 1 and (kind.domain is None or not kind.domain.required)
        self._copies: dict[str, int] = {}
        if self.plain:
            group = kind.groups[0]
            there = cycle.ledger.taking(group.per_worker, soon=True)
            names = [name for name in kind.nodes if name in there] if kind.nodes else there
            self._copies = {name: min(there[name], group.count_min) for name in names}
        self._count = sum(self._copies.values())

    def moved(self, rows: Iterable[Placement]) -> None:
        """Count again where these rows were booked, or taken back."""
        if not self.plain:
            return
        group, ledger, copies = self._lane.kind.groups[0], self._cycle.ledger, self._copies
        for row in rows:
            name = row.node
            if name not in ledger.nodes or (self._names and name not in self._names):
                continue
            now = group.per_worker.copies_in(ledger.room(name, soon=True), group.count_min)
            self._count += now - copies.get(name, 0)
            copies[name] = now

    def fits(self) -> bool:
        """Say whether the claimant could start once all have left."""
        cycle, kind = self._cycle, self._lane.kind
        most = kind.groups[0].count_min
        if self.plain:
            return self._count >= most and self._allowed()
        if count_in(kind, cycle.ledger, soon=True) < most or not self._allowed():
            return False
        return find(kind, cycle.ledger, soon=True) is not None

    def _allowed(self) -> bool:
        cycle, lane = self._cycle, self._lane
        return barrier(lane.kind, lane.need, cycle.ledger, cycle.terms) is None
