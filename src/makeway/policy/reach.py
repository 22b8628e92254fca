"""Say of which queues a claimant could take anything, and cheaply that all of it is not enough.

Two sums are compared with what the claimant needs: what is free or soon will be, and the most that
could be taken of each branch of the tree. Of a branch that is only asked back what it has above its
due, no more can be taken than that and the one job that straddles it, since it is looked at again
after each victim; and no more than what makes it fuller than the claimant's branch would be, for the
same reason. What these sums call hopeless is hopeless; what they let pass is looked at.

All claimants of one queue, class and kinds of resources look at the same branches, and most of them
in vain: so what they look at is put together once for all of them, as long as nothing is booked. A
need that is hopeless makes every larger one hopeless.

Takes:   cycle, the kind of the claimant, whether it is inside its guarantee
Gives:   the queues in question; whether there may be enough
Holds:   whatever `claim` could carry out passes
Cost:    O(queues in question) for the first claimant, then O(branches above their due)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from makeway.model.job import SYSTEM_MIN
from makeway.model.resources import NOTHING, Resources
from makeway.model.rules import Scope
from makeway.policy.cost import worth
from makeway.policy.cycle import Cycle
from makeway.policy.herds import herds
from makeway.policy.ledger import way
from makeway.policy.level import Level
from makeway.policy.memo import branch_above, counted_in, own_part
from makeway.policy.snapshot import Kind


class _Branch(msgspec.Struct, eq=False):
    """A branch above its due: how full it is, what it holds, of which kinds that is more than its due.

    `sizes` are those of its jobs that may be evicted, once anybody has asked.
    """

    path: str
    level: Level
    usage: Resources
    over: Mapping[str, int]
    sizes: Sequence[Resources] | None = None


class _Side(msgspec.Struct, eq=False):
    """A branch of the claimant's that is below its due; all children of its parent above theirs."""

    here: str
    others: Sequence[_Branch]


class Reach:
    """What the claimants of one queue and class could take, as the ledger stands; see the module."""

    __slots__ = ("_base", "_cycle", "_hopeless", "_kind", "_kinds", "_lower", "_sides")

    def __init__(self, cycle: Cycle, kind: Kind, *, sure: bool) -> None:
        """Look at the tree once; `sure`: the claimants are inside their guarantee."""
        self._cycle, self._kind, self._kinds = cycle, kind, tuple(kind.need.amounts)
        self._hopeless: list[Resources] = []
        self._lower = self._always(sure=sure)
        self._sides = [] if sure or not cycle.rules.preemption.reclaim else self._below_due()
        ledger, most = cycle.ledger, cycle.ledger.soon_total()
        for queue in self._lower:
            most = most + ledger.usage(own_part(queue))
        if cycle.snapshot.elastic and kind.queue not in self._lower:
            most = most + ledger.usage(own_part(kind.queue))
        self._base = most

    def queues(self, need: Resources) -> dict[str, str | None]:
        """Name the queues of which anything could be taken as the ledger stands, whoever came first.

        With each goes the branch that is only asked back what it has above its due, or None where
        more may be taken.
        """
        found: dict[str, str | None] = dict.fromkeys(self._lower)
        for side in self._sides:
            mine = self._level(side.here, need)
            for other in side.others:
                if mine < other.level and other.path != side.here:
                    for queue in self._below(other):
                        found.setdefault(queue, other.path)
        return found

    def hopeless(self, need: Resources) -> bool:
        """Say, by sums alone, that not even all that may be taken is enough."""
        if any(known.fits(need) for known in self._hopeless):
            return True
        most = self._base
        for side in self._sides:
            mine = self._level(side.here, need)
            for other in side.others:
                if not mine < other.level:
                    break
                if other.path != side.here:
                    most = most + self._most(other, need, mine)
        if need.fits(most):
            return False
        self._hopeless.append(need)
        return True

    # ── what is in question ───────────────────────────────────────────────────────────────────────

    def _always(self, *, sure: bool) -> list[str]:
        """Name the queues of which more than what they have above their due may be taken."""
        cycle, own, priority = self._cycle, self._kind.queue, self._kind.priority
        rules = cycle.rules.preemption
        wide = cycle.rules.scope_of(self._kind.own_priority) is Scope.CLUSTER
        lower, everywhere = rules.priority and cycle.lowest < priority, sure and rules.reclaim
        if not lower and not everywhere:
            return []
        found = []
        for queue in cycle.snapshot.running_in:
            may = lower and (queue == own or wide) and cycle.lowest_class(queue) < priority
            if may or (everywhere and queue != own):
                found.append(queue)
        return found

    def _below_due(self) -> list[_Side]:
        cycle, found = self._cycle, list[_Side]()
        for here in way(self._kind.queue)[1:]:
            usage, due = cycle.ledger.usage(here), cycle.due.get(here, NOTHING)
            if all(usage[kind] >= due[kind] for kind in self._kinds):
                continue
            others = self._above(branch_above(here))
            if others:
                found.append(_Side(here, others))
        return found

    def _above(self, parent: str) -> list[_Branch]:
        """Give the branches of a queue that are above their due, the fullest first."""
        return self._cycle.now(("full", parent, self._kinds), lambda: self._fullest(parent))

    def _fullest(self, parent: str) -> list[_Branch]:
        cycle, found = self._cycle, list[_Branch]()
        above = cycle.above_due(self._kinds)
        for path in cycle.terms.children[parent] if above else ():
            if path in above:
                usage, due = cycle.ledger.usage(path), cycle.due.get(path, NOTHING)
                over = {kind: due[kind] for kind in self._kinds if usage[kind] > due[kind]}
                found.append(_Branch(path, above[path], usage, over))
        found.sort(key=lambda branch: branch.level, reverse=True)
        return found

    def _below(self, branch: _Branch) -> Sequence[str]:
        """Name the queues in a branch in which anything runs."""
        return self._cycle.once("below", lambda: _by_branch(self._cycle)).get(branch.path, ())

    # ── sums ──────────────────────────────────────────────────────────────────────────────────────

    def _level(self, path: str, need: Resources) -> Level:
        cycle = self._cycle
        return cycle.levels.with_usage(path, cycle.ledger.usage(path) + need, self._kinds)

    def _most(self, other: _Branch, need: Resources, mine: Level) -> Resources:
        """Bound what can be taken of a branch that is asked back what it has above its due."""
        usage, most = other.usage.amounts, dict[str, int]()
        for floors in (other.over, self._floors(other, mine)):
            above = [kind for kind, floor in floors.items() if usage.get(kind, 0) > floor]
            if len(above) == 1:  # of several any one may be why more is taken
                (kind,) = above
                bound = usage[kind] - floors[kind] + self._largest(other, need, kind)
                most[kind] = min(most.get(kind, usage[kind]), bound)
        return Resources.of({**usage, **most}) if most else other.usage

    def _floors(self, other: _Branch, mine: Level) -> dict[str, int]:
        """Give how much of each kind makes the other branch as full as the claimant's would be."""
        cycle, (weightless, level) = self._cycle, mine
        weight = cycle.levels.weights.get(other.path, 1.0)
        if weightless or weight <= 0 or level <= 0:
            return {}
        sure, whole = cycle.terms.guarantee.get(other.path, {}), cycle.terms.capacity
        # A little less, since levels are rounded: a bound may be too high, never too low.
        return {
            kind: sure.get(kind, 0) + int(level * whole[kind] * weight * (1 - 1e-9)) - 1
            for kind in self._kinds
        }

    def _largest(self, other: _Branch, need: Resources, kind: str) -> int:
        """Give the most of a kind that one job of a branch holds whose eviction may be worth it."""
        if other.sizes is None:
            snapshot = self._cycle.snapshot
            found = (size for queue in self._below(other) for _, size in herds(snapshot, queue))
            other.sizes = [*dict.fromkeys(found)]
        all_count = self._kind.priority >= SYSTEM_MIN or bool(self._cycle.snapshot.elastic)
        return max(
            (size[kind] for size in other.sizes if all_count or worth(need, size)), default=0
        )


def reach_of(cycle: Cycle, kind: Kind, *, sure: bool) -> Reach:
    """Give what the claimants of this queue and class reach, put together once for all of them."""
    alike = (kind.queue, kind.priority, kind.own_priority, *kind.need.amounts)
    return cycle.now(("reach", alike, sure), lambda: Reach(cycle, kind, sure=sure))


def _by_branch(cycle: Cycle) -> dict[str, list[str]]:
    """Sort the queues in which anything runs by all the branches that they are in."""
    queues = tuple(cycle.snapshot.running_in)

    def sort_out() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for queue in queues:
            for branch in counted_in(queue):
                found.setdefault(branch, []).append(queue)
        return found

    return cycle.snapshot.memo.last("below", queues, sort_out)
