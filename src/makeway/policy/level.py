"""Say how full a queue is for its weight: the one measure of the order and of taking back.

The level of a branch is the dominant share of what it uses *above its guarantee*, divided by its
weight; inside its guarantee it is 0. Between queues it is compared with the candidate counted in,
so that a queue that would overshoot does not get the last slot.

For the order the parts of an inner queue are rescaled where its children want different kinds
(H-DRF): each child that could still get something counts as much as the lowest of them. Otherwise
one child that has an idle kind to itself would make the whole queue look full and its siblings
starve. Kinds of which nothing is left say nothing about who is next, and are left out above the
leaves.

Takes:   ledger, terms   of this cycle
Gives:   (weightless, level): a queue of weight 0 comes after all others, but for its guarantee
Source:  Bhattacharya et al., Hierarchical Scheduling for Diverse Datacenter Workloads, SoCC 2013;
         use above the guarantee: Kueue's dominant resource share
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from makeway.model.cluster import Queue
from makeway.model.resources import NOTHING, Resources
from makeway.model.rules import PastUsage
from makeway.policy.ledger import Ledger
from makeway.policy.terms import Terms

Level = tuple[bool, float]


class Levels:
    """The measure, over one ledger; past usage is taken off the weights if the rules want it."""

    __slots__ = ("_began", "_entry_ms", "_ledger", "_past", "_terms", "weights")

    def __init__(self, ledger: Ledger, terms: Terms) -> None:
        """Take the ledger whose usage is measured."""
        self._ledger, self._terms = ledger, terms
        self.weights = weights_of(ledger, terms)
        usage = ledger.snapshot.rules.usage
        self._past = fair_tree(ledger, terms) if usage.fair_tree else {}
        # What starts in this cycle is charged for its entry before the past shows it.
        self._entry_ms = usage.entry_ms if usage.fair_tree else 0
        self._began = ledger.usages() if self._entry_ms else {}

    def of(self, path: str, more: Resources, kinds: Iterable[str] = ()) -> Level:
        """Say how full the queue is with `more`; only `kinds` are looked at if any are named."""
        return self.with_usage(path, self._ledger.usage(path) + more, kinds)

    def dominant(self, usage: Resources) -> tuple[float, str]:
        """Give the largest part of the cluster that any kind takes, and which kind that is."""
        whole, most = self._terms.capacity.amounts, (0.0, "")
        for kind, amount in usage.amounts.items():
            there = whole.get(kind)
            if there and (amount / there, kind) > most:
                most = (amount / there, kind)
        return most

    def rank(self, path: str) -> float:
        """Give what goes before the level: with Fair Tree, recent use over what the weight is worth."""
        known, scale = self._past.get(path, (0.0, 0.0))
        if not self._entry_ms or not scale:
            return known
        started = self._ledger.usage(path) - self._began.get(path, NOTHING)
        return known + self.dominant(started)[0] * self._entry_ms * scale

    def with_usage(self, path: str, usage: Resources, kinds: Iterable[str] = ()) -> Level:
        """Say how full the queue would be if this were all that it uses."""
        sure = self._terms.guarantee.get(path)
        weight = self.weights.get(path, 1.0)
        if sure and inside(usage, sure):
            return False, 0.0
        highest, whole = 0.0, self._terms.capacity.amounts
        for kind in kinds or usage.amounts:
            there = whole.get(kind, 0)
            amount = usage.amounts.get(kind, 0) - (sure.get(kind, 0) if sure else 0)
            if there and amount > 0:
                # One division and no more: equal shares then come out as equal numbers.
                highest = max(highest, amount / (there * (weight if weight > 0 else 1.0)))
        return weight <= 0, highest


def inside(usage: Resources, guarantee: Mapping[str, int]) -> bool:
    """Say whether nothing that was guaranteed is exceeded."""
    return all(usage[kind] <= amount for kind, amount in guarantee.items())


def weights_of(ledger: Ledger, terms: Terms) -> Mapping[str, float]:
    """Give every queue's weight; with a memory, shifted by what it used of late, at least 0.

    w' is the queue's part of its siblings' weights, u' its part of what they used of late; use that
    is small for the cluster's size moves little, since u' counts the capacity that was not used to
    nobody's debit. Shifted: w' + k (w' - u') (KAI's time-based fair share); with `inverse`
    w' / (1 + k u'/w'), which still tells those apart who all used too much.
    """
    snapshot, usage = ledger.snapshot, ledger.snapshot.rules.usage
    if not usage.weight or not snapshot.past:
        return terms.weights
    weights = dict(terms.weights)
    siblings: dict[str, list[Queue]] = {}
    for path, queue in terms.queues.items():
        if path:
            siblings.setdefault(queue.parent, []).append(queue)
    # What the whole cluster could have used in a window that halves: capacity x half life / ln 2.
    window = usage.half_life_ms / 0.6931471805599453
    wholes = {kind: whole * window for kind, whole in terms.capacity.amounts.items()}
    for children in siblings.values():
        total = sum(child.weight for child in children)
        for child in children if total else ():
            past = snapshot.past.get(child.path, {})
            if child.weight:
                used = max(
                    (past.get(kind, 0.0) / most for kind, most in wholes.items()), default=0.0
                )
                weights[child.path] = _shifted(child.weight / total, used, usage) * total
    return weights


def _shifted(part: float, used: float, usage: PastUsage) -> float:
    if usage.inverse:
        left = part / (1.0 + usage.weight * used / part)
    else:
        # A queue with a weight keeps a trace of it: it is behind, and not without any claim.
        left = max(part * 1e-3, part + usage.weight * (part - used))
    return float(f"{left:.6g}")  # so few digits are divided by exactly, and fast (`share`)


def fair_tree(ledger: Ledger, terms: Terms) -> dict[str, tuple[float, float]]:
    """Give every queue's recent use over its weight, both as parts of its siblings'; low is first.

    Compared level by level, so that a whole account goes before another before any of their members
    are compared. Nobody's use: 0, first of all; no weight: last. With it goes how much the number
    grows by when the whole cluster is used for one more ms.
    """
    past, found = ledger.snapshot.past, dict[str, tuple[float, float]]()
    used = {path: _part_used(past.get(path, {}), terms) for path in terms.queues}
    siblings: dict[str, list[str]] = {}
    for path, queue in terms.queues.items():
        if path:
            siblings.setdefault(queue.parent, []).append(path)
    for children in siblings.values():
        total = sum(used[path] for path in children)
        weights = sum(terms.queues[path].weight for path in children)
        for path in children:
            weight = terms.queues[path].weight / weights if weights else 0.0
            part = used[path] / total if total else 0.0
            scale = 1.0 / ((total or 1.0) * weight) if weight else 0.0
            found[path] = (part / weight if weight else float("inf"), scale)
    return found


def _part_used(past: Mapping[str, float], terms: Terms) -> float:
    whole = terms.capacity.amounts
    return max(
        (amount / whole[kind] for kind, amount in past.items() if whole.get(kind)), default=0.0
    )
