"""Divide the cluster among the queues of a tree: what each is worth, is due, holds and asks for.

Each parent divides what it got among its children, level by level and each kind of resource for
itself. First every child gets its guarantee, as far as it asks for it; what is left is divided by
weight. Who asks for less than its part, or may not have more, gets that, and what it leaves flows
to its siblings, in the same proportion, before it goes any further up (progressive filling). Where
a queue with children has jobs of its own, these are one more child, of weight 1. A weight of 0 is
no claim on anything while a sibling with a claim still wants it.

Takes:   snapshot   weights >= 0; the queues in it are the ones present
Gives:   path -> Standing for every queue, the root too
Holds:   children's dues sum to at most the parent's · no queue is due more than it asks for or may
         have · monotone in weight · what nobody asks for is due to nobody
Cost:    O(queues log queues x kinds + kinds of waiting jobs)
Source:  Ghodsi et al., DRF, NSDI 2011, sec. 4; largest remainder: Hamilton's apportionment
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import lcm

import msgspec

from makeway.model.cluster import ROOT, Queue
from makeway.model.resources import GPU, NOTHING, Resources
from makeway.policy.ledger import Ledger, total_of
from makeway.policy.level import weights_of
from makeway.policy.memo import Memo, counted_in, own_part
from makeway.policy.snapshot import Snapshot
from makeway.policy.terms import Terms, exact, terms_of, tree_of

# A device is of no use in parts to those who ask for whole ones; other kinds divide freely.
DEVICES: Mapping[str, int] = {GPU: 1000}
UNLIMITED = 1 << 62


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The four numbers of a queue, in this order everywhere.

    share    what its weight is worth among the queues present, as a fraction of the cluster
    due      what it is entitled to now: guarantee, then surplus by weight, at most what it asks for
    usage    what it and the queues below it hold
    demand   what they hold and ask for, elastic jobs at their maximum; a job whose backoff is not
             over asks for nothing yet
    """

    share: float
    due: Resources
    usage: Resources
    demand: Resources


class Claim(msgspec.Struct, frozen=True):
    """One child's part in a division: its weight, what it is sure of, the most it would take."""

    weight: float
    most: int
    sure: int = 0


def standings(snapshot: Snapshot) -> dict[str, Standing]:
    """Give every queue's share, due, usage and demand."""
    ledger = Ledger(snapshot)
    terms = terms_of(snapshot, ledger.capacity)
    demand = demands(snapshot, ledger.usages())
    due = dues(snapshot.memo, terms, demand, weights_of(ledger, terms))
    return {
        path: Standing(
            share=float(terms.share[path]),
            due=due.get(path, NOTHING),
            usage=ledger.usage(path),
            demand=demand.get(path, NOTHING),
        )
        for path in snapshot.queues
    }


def demands(snapshot: Snapshot, usage: Mapping[str, Resources]) -> dict[str, Resources]:
    """Add up what every queue, and every queue's own part, holds and asks for."""
    asked = dict[str, list[Resources]]()
    kept = Counter(kind for _, kind in snapshot.keepers().values()) if snapshot.reserved else {}
    for kind, lane in snapshot.lanes.items():
        count = len(lane) - kept.get(kind, 0)
        asked.setdefault(kind.queue, []).append(kind.most.times(count))
    for name in snapshot.elastic:
        row = snapshot.running[name]
        if name not in snapshot.leaving:
            asked.setdefault(row.job.spec.queue, []).append(row.job.spec.asked - row.usage)
    demand: dict[str, Resources] = {}
    paths = {*asked, *(queue for queue, _ in snapshot.held)}
    for queue in paths:
        total = usage.get(own_part(queue), NOTHING) + total_of(asked.get(queue, ()))
        for path in counted_in(queue):
            demand[path] = demand.get(path, NOTHING) + total
    return demand


def dues(
    memo: Memo, terms: Terms, demand: Mapping[str, Resources], weights: Mapping[str, float]
) -> dict[str, Resources]:
    """Give what every queue that asks for anything is entitled to, by these weights."""
    return memo.last("dues", (terms, demand, weights), lambda: _dues(terms, demand, weights))


def _dues(
    terms: Terms, demand: Mapping[str, Resources], weights: Mapping[str, float]
) -> dict[str, Resources]:
    busy = {path[:-1] for path, amount in demand.items() if path.endswith("/") and amount}
    tree = tree_of(terms.queues, busy)
    capacity, asked = terms.capacity, demand.get(ROOT, NOTHING)
    units = {kind: _unit(kind, [capacity, *demand.values()]) for kind in capacity}
    due = {ROOT: Resources.of({kind: min(capacity[kind], asked[kind]) for kind in capacity})}
    pending = [ROOT]
    while pending:
        parent = pending.pop()
        children = tree.get(parent, ())
        parts: list[dict[str, int]] = [{} for _ in children]
        for kind, unit in units.items():
            amount = due[parent][kind] // unit
            if amount > 0:
                claims = [
                    _claim(
                        child, weights.get(child.path, child.weight), (kind, unit), terms, demand
                    )
                    for child in children
                ]
                for part, count in zip(parts, divide(amount, claims), strict=True):
                    part[kind] = count * unit
        for child, part in zip(children, parts, strict=True):
            due[child.path] = Resources.of(part)
            pending.append(child.path)
    return due


def divide(amount: int, claims: Sequence[Claim]) -> list[int]:
    """Give everybody what it is sure of, scaled if that is too much, and the rest by weight."""
    sure = [min(claim.sure, claim.most) for claim in claims]
    if sum(sure) > amount:
        parts = [0] * len(claims)
        weights = {index: part for index, part in enumerate(sure) if part}
        _apportion(amount, weights, parts)
        return parts
    rest = [
        Claim(claim.weight, claim.most - part) for claim, part in zip(claims, sure, strict=True)
    ]
    more = fill(amount - sum(sure), rest)
    return [part + extra for part, extra in zip(sure, more, strict=True)]


def fill(amount: int, claims: Sequence[Claim]) -> list[int]:
    """Divide whole units by weight, at most as asked; the largest remainders get the odd ones."""
    parts = [0] * len(claims)
    exactly = {index: exact(claim.weight) for index, claim in enumerate(claims) if claim.weight}
    # Whole numbers in the same proportion: as exact as fractions, and much faster.
    scale = lcm(*{weight.denominator for weight in exactly.values()})
    weighty = {
        index: weight.numerator * (scale // weight.denominator) for index, weight in exactly.items()
    }
    others = {index: 1 for index, claim in enumerate(claims) if not claim.weight}
    for weights in (weighty, others):
        if weights:
            amount -= _pour(amount, weights, claims, parts)
    return parts


def _claim(
    child: Queue,
    weight: float,
    kind_unit: tuple[str, int],
    terms: Terms,
    demand: Mapping[str, Resources],
) -> Claim:
    kind, unit = kind_unit
    most = min(
        demand.get(child.path, NOTHING)[kind],
        terms.ceiling.get(child.path, {}).get(kind, UNLIMITED),
    )
    sure = terms.guarantee.get(child.path, {}).get(kind, 0)
    return Claim(weight, most // unit, sure // unit)


def _unit(kind: str, amounts: Sequence[Resources]) -> int:
    unit = DEVICES.get(kind, 1)
    return unit if all(amount[kind] % unit == 0 for amount in amounts) else 1


def _pour(
    amount: int, weights: Mapping[int, int], claims: Sequence[Claim], parts: list[int]
) -> int:
    """Fill these claims, the most modest for its weight first; give what went away."""
    left, total = amount, sum(weights.values())
    # Rounded quotients keep the order; only what rounds to the same may be taken in turn.
    modest = sorted(weights, key=lambda index: (claims[index].most / weights[index], index))
    for place, index in enumerate(modest):
        if claims[index].most * total > left * weights[index]:
            _apportion(left, {rest: weights[rest] for rest in modest[place:]}, parts)
            return amount
        parts[index] = claims[index].most
        left -= claims[index].most
        total -= weights[index]
    return amount - left


def _apportion(amount: int, weights: Mapping[int, int], parts: list[int]) -> None:
    total = sum(weights.values())
    rests: dict[int, int] = {}
    for index, weight in weights.items():
        parts[index], rests[index] = divmod(amount * weight, total)
    odd = amount - sum(parts[index] for index in weights)
    for index in sorted(rests, key=lambda one: (-rests[one], one))[:odd]:
        parts[index] += 1
