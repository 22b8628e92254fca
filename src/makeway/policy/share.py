"""Divide the cluster among the queues of a tree: what each is worth, is due, holds and asks for.

Each parent divides what it got among its children by weight, level by level and each kind of
resource for itself: who asks for less than its part gets what it asks for, and what it leaves flows
to its siblings, in the same proportion, before it goes any further up (progressive filling). Where
a queue with children has jobs of its own, these are one more child, of weight 1. A weight of 0 is
no claim on anything while a sibling with a claim still wants it.

Takes:   snapshot   weights >= 0; the queues in it are the ones present
Gives:   path -> Standing for every queue, the root too
Holds:   children's dues sum to at most the parent's · no queue is due more than it asks for ·
         monotone in weight · what nobody asks for is due to nobody
Cost:    O(queues log queues x kinds) and O(jobs) for the demand: for reports and for taking back;
         the order in which jobs start needs `level` alone
Source:  Ghodsi et al., DRF, NSDI 2011, sec. 4; largest remainder: Hamilton's apportionment
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction

import msgspec

from makeway.model.cluster import ROOT, Queue, lineage_of
from makeway.model.resources import GPU, NOTHING, Resources
from makeway.policy.ledger import Ledger, own_part
from makeway.policy.snapshot import Snapshot

# A device is of no use in parts to those who ask for whole ones; other kinds divide freely.
DEVICES: Mapping[str, int] = {GPU: 1000}

Tree = Mapping[str, Sequence[Queue]]
Amounts = Mapping[str, Resources]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The four numbers of a queue, in this order everywhere.

    share    what its weight is worth among the queues present, as a fraction of the cluster
    due      what it is entitled to now: by weight, at most what it asks for
    usage    what it and the queues below it hold
    demand   what they hold and ask for, elastic jobs at their maximum; a job whose backoff is not
             over asks for nothing yet
    """

    share: float
    due: Resources
    usage: Resources
    demand: Resources


class Claim(msgspec.Struct, frozen=True):
    """One child's part in a division: its weight, and the most that it would take."""

    weight: float
    most: int


def standings(snapshot: Snapshot) -> dict[str, Standing]:
    """Give every queue's share, due, usage and demand."""
    ledger = Ledger(snapshot)
    demand = demands(snapshot)
    busy = {path[:-1] for path, amount in demand.items() if path.endswith("/") and amount}
    tree = tree_of(snapshot.queues, busy)
    share = shares(tree)
    due = dues(tree, ledger.capacity, demand)
    return {
        path: Standing(
            share=share[path],
            due=due.get(path, NOTHING),
            usage=ledger.usage(path),
            demand=demand.get(path, NOTHING),
        )
        for path in snapshot.queues
    }


def level(
    queue: Queue, usage: Resources, more: Resources, capacity: Resources
) -> tuple[bool, float]:
    """Say how full a queue is with `more`: its dominant share for its weight; the lowest is served.

    A queue of weight 0 comes after all others and compares with its like by the share alone.
    """
    weight, highest = queue.weight or 1.0, 0.0
    for kind, whole in capacity.amounts.items():
        amount = usage.amounts.get(kind, 0) + more.amounts.get(kind, 0)
        # One division and no more: equal shares then come out as equal numbers.
        highest = max(highest, amount / (whole * weight))
    return queue.weight <= 0, highest


def tree_of(queues: Mapping[str, Queue], busy: Collection[str]) -> Tree:
    """List the children of every queue by path; of `busy` parents, also their own part."""
    tree: dict[str, list[Queue]] = {}
    for path in sorted(queues):
        if path != ROOT:
            tree.setdefault(queues[path].parent, []).append(queues[path])
    for path, children in tree.items():
        if path in busy:
            children.append(Queue(path=own_part(path)))
    return tree


def shares(tree: Tree) -> dict[str, float]:
    """Give what every queue's weight is worth among its siblings, as a fraction of the whole."""
    share = {ROOT: 1.0}
    pending = [ROOT]
    while pending:
        parent = pending.pop()
        children = tree.get(parent, ())
        total = sum(child.weight for child in children)
        for child in children:
            part = child.weight / total if total else 1 / len(children)
            share[child.path] = share[parent] * part
            pending.append(child.path)
    return share


def demands(snapshot: Snapshot) -> dict[str, Resources]:
    """Add up what every queue, and every queue's own part, holds and asks for."""
    demand: dict[str, Resources] = {}
    jobs = [row.job for row in snapshot.running.values()]
    jobs += [job for job in snapshot.waiting if job.not_before_ms <= snapshot.now_ms]
    for job in jobs:
        for path in (own_part(job.spec.queue), *lineage_of(job.spec.queue)):
            demand[path] = demand.get(path, NOTHING) + job.spec.asked
    return demand


def dues(tree: Tree, capacity: Resources, demand: Amounts) -> dict[str, Resources]:
    """Give what every queue that asks for anything is entitled to."""
    asked = demand.get(ROOT, NOTHING)
    units = {kind: _unit(kind, [capacity, *demand.values()]) for kind in capacity}
    due = {ROOT: Resources.of({kind: min(capacity[kind], asked[kind]) for kind in capacity})}
    pending = [ROOT]
    while pending:
        parent = pending.pop()
        children = tree.get(parent, ())
        parts = _divided(due[parent], children, demand, units)
        for child, part in zip(children, parts, strict=True):
            due[child.path] = part
            pending.append(child.path)
    return due


def fill(amount: int, claims: Sequence[Claim]) -> list[int]:
    """Divide whole units by weight, at most as asked; the largest remainders get the odd ones.

    A guarantee, when there is one, is given before this, and the claim is for what is beyond it.
    """
    parts = [0] * len(claims)
    weighty = {index: Fraction(claim.weight) for index, claim in enumerate(claims) if claim.weight}
    others = {index: Fraction(1) for index, claim in enumerate(claims) if not claim.weight}
    for weights in (weighty, others):
        amount -= _pour(amount, weights, claims, parts)
    return parts


def _divided(
    amount: Resources, children: Sequence[Queue], demand: Amounts, units: Mapping[str, int]
) -> list[Resources]:
    wanted = [demand.get(child.path, NOTHING) for child in children]
    parts: list[dict[str, int]] = [{} for _ in children]
    for kind, unit in units.items():
        claims = [
            Claim(child.weight, want[kind] // unit)
            for child, want in zip(children, wanted, strict=True)
        ]
        for part, count in zip(parts, fill(amount[kind] // unit, claims), strict=True):
            part[kind] = count * unit
    return [Resources.of(part) for part in parts]


def _unit(kind: str, amounts: Sequence[Resources]) -> int:
    unit = DEVICES.get(kind, 1)
    return unit if all(amount[kind] % unit == 0 for amount in amounts) else 1


def _pour(
    amount: int, weights: Mapping[int, Fraction], claims: Sequence[Claim], parts: list[int]
) -> int:
    """Fill these claims, the most modest for its weight first; give what went away."""
    left, total = amount, sum(weights.values(), Fraction())
    modest = sorted(weights, key=lambda index: (claims[index].most / weights[index], index))
    for place, index in enumerate(modest):
        if claims[index].most * total > left * weights[index]:
            _apportion(left, {rest: weights[rest] for rest in modest[place:]}, parts)
            return amount
        parts[index] = claims[index].most
        left -= claims[index].most
        total -= weights[index]
    return amount - left


def _apportion(amount: int, weights: Mapping[int, Fraction], parts: list[int]) -> None:
    total = sum(weights.values())
    quotas = {index: amount * weight / total for index, weight in weights.items()}
    for index, quota in quotas.items():
        parts[index] = int(quota)
    odd = amount - sum(int(quota) for quota in quotas.values())
    for index in sorted(quotas, key=lambda one: (int(quotas[one]) - quotas[one], one))[:odd]:
        parts[index] += 1
