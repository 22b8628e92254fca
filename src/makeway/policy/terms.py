"""Work out, once a cycle, what every queue was promised: its guarantee and its ceiling.

A guarantee covers the whole subtree. At the top guarantees may add up to more than the cluster has;
then all are scaled down alike. A ceiling is the limit, and for a queue that does not borrow also
what its weight is worth (or its guarantee, if that is more). Kinds that are not named have neither.

Takes:   snapshot   weights >= 0; children's guarantees sum to at most their parent's
Gives:   Terms; `guarantee` and `ceiling` by path, amounts by kind, whole units
Cost:    O(queues x kinds), and O(queues + kinds of waiting jobs) where nothing has changed
Source:  scaling of guarantees that cannot all be kept: HTCondor's group quotas
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

import msgspec

from makeway.model.cluster import ROOT, Queue
from makeway.model.resources import Resources
from makeway.policy.memo import own_part
from makeway.policy.snapshot import Snapshot

Tree = Mapping[str, Sequence[Queue]]
Amounts = Mapping[str, Mapping[str, int]]


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What every queue was promised; see the module. `share` is a fraction of the cluster.

    `children` names the branches of every queue, `limited` the queues with anything that may hold a
    job up; `weights` is what they were given.
    """

    capacity: Resources
    queues: Mapping[str, Queue]
    share: Mapping[str, Fraction]
    guarantee: Amounts
    ceiling: Amounts
    children: Mapping[str, tuple[str, ...]]
    limited: frozenset[str]
    weights: Mapping[str, float]


def terms_of(snapshot: Snapshot, capacity: Resources) -> Terms:
    """Work out the terms of all queues, unless they are what they were in the cycle before."""
    queues = dict(snapshot.queues)
    busy = {queue for queue, _ in snapshot.held} | {kind.queue for kind in snapshot.lanes}
    return snapshot.memo.last(
        "terms", (queues, busy, capacity), lambda: _terms(queues, busy, capacity)
    )


def _terms(queues: Mapping[str, Queue], busy: Collection[str], capacity: Resources) -> Terms:
    tree = tree_of(queues, busy)
    share = shares(tree)
    guarantee = _guarantees(queues, capacity)
    ceiling: dict[str, dict[str, int]] = {}
    for path, queue in queues.items():
        most = dict(queue.limit)
        if not queue.borrow:
            for kind, whole in capacity.amounts.items():
                own = max(int(whole * share[path]), guarantee.get(path, {}).get(kind, 0))
                most[kind] = min(most.get(kind, own), own)
        if most:
            ceiling[path] = most
    limited = {
        path
        for path, queue in queues.items()
        if path in ceiling
        or queue.class_limits
        or queue.max_running is not None
        or queue.budget is not None
    }
    return Terms(
        capacity=capacity,
        queues=queues,
        share=share,
        guarantee=guarantee,
        ceiling=ceiling,
        children={path: tuple(child.path for child in below) for path, below in tree.items()},
        limited=frozenset(limited),
        weights={path: queue.weight for path, queue in queues.items()},
    )


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


def shares(tree: Tree) -> dict[str, Fraction]:
    """Give what every queue's weight is worth among its siblings, as a fraction of the whole."""
    share = {ROOT: Fraction(1)}
    pending = [ROOT]
    while pending:
        parent = pending.pop()
        children = tree.get(parent, ())
        total = sum((exact(child.weight) for child in children), Fraction())
        for child in children:
            part = exact(child.weight) / total if total else Fraction(1, len(children))
            share[child.path] = share[parent] * part
            pending.append(child.path)
    return share


@lru_cache(maxsize=1 << 12)
def exact(weight: float) -> Fraction:
    """Read a weight as people wrote it: 0.1 is a tenth."""
    return Fraction(str(weight))


def _guarantees(queues: Mapping[str, Queue], capacity: Resources) -> dict[str, dict[str, int]]:
    """Give what each is sure of; a parent that names no amount is sure of what its children are."""
    sure = {path: dict(queue.guarantee) for path, queue in queues.items() if queue.guarantee}
    for path in sorted(queues.keys() - {ROOT}, key=lambda one: (-one.count("/"), one)):
        parent = queues[path].parent
        for kind, amount in sure.get(path, {}).items():
            if kind not in queues[parent].guarantee:
                above = sure.setdefault(parent, {})
                above[kind] = above.get(kind, 0) + amount
    promised = sure.pop(ROOT, {})
    return {
        path: {
            kind: amount * capacity[kind] // promised[kind]
            if promised[kind] > capacity[kind]
            else amount
            for kind, amount in amounts.items()
        }
        for path, amounts in sure.items()
    }
