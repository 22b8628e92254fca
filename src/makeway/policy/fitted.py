"""Take jobs that together leave no gap: the second order of victims, where the first is not enough.

A queue gives no more than it has above its due. Where the jobs that cost least do not add up to
workers of the claimant, each worker wastes a part of that, and it runs out before there is enough. So
here each worker's room is put together from the jobs of a node that fit into what is missing, the
largest first, and the places that waste least are taken first. A place of which any job may not be
taken any more is given back and put together from the others.

Takes:   the claim, with nothing taken
Gives:   whether there is enough; what was taken is booked, and noted in the claim
Holds:   each victim is legal as the ledger stands when it is taken
Cost:    O(running jobs of the queues that may be taken from x log), once for a claimant whose first
         order has freed enough in all, but not in the right places
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

import msgspec

from makeway.model.resources import Resources
from makeway.policy.rooms import COPIES_MAX
from makeway.policy.snapshot import Running
from makeway.policy.victims import Claim, Ranked, by_node, on_node

Herd = tuple[str, int, Resources]
Held = tuple[Ranked, Resources]


class _Place(msgspec.Struct, order=True):
    """Jobs of one node that together make room for one more worker, and how much is left over."""

    straddles: bool
    weighty: bool
    priority: int
    waste: float
    cost: int
    node: str
    victims: list[Running]


def take_fitted(claim: Claim) -> bool:
    """Take whole jobs, the place that wastes least of all nodes next; see the module."""
    left, heap, out = by_node(claim), list[_Place](), _Out()
    for node, rows in left.items():
        rows.sort(key=_by_size)
        _push(heap, claim, node, rows)
    while heap:
        place = heapq.heappop(heap)
        if _take(claim, place.victims, out) and claim.fitting.fits():
            return True
        rows = left[place.node] = [entry for entry in left[place.node] if out.stays(entry[1])]
        _push(heap, claim, place.node, rows)
    return False


class _Out(msgspec.Struct, eq=False):
    """Who was taken, and of which herds no more can be: their queues have given what they had to."""

    jobs: set[str] = set()
    herds: set[Herd] = set()

    def stays(self, row: Running) -> bool:
        """Say whether a job may still be taken, as far as is known."""
        return row.job.id not in self.jobs and _herd(row) not in self.herds


def _take(claim: Claim, victims: Sequence[Running], out: _Out) -> bool:
    """Take all of these jobs or none of them."""
    mark, count = claim.cycle.ledger.checkpoint(), len(claim.taken)
    for row in victims:
        if out.stays(row) and claim.take(row):
            continue
        if row.job.id not in out.jobs:
            out.herds.add(_herd(row))
        claim.rollback(mark, count)
        return False
    out.jobs.update(row.job.id for row in victims)
    return True


def _push(heap: list[_Place], claim: Claim, node: str, rows: Sequence[Ranked]) -> None:
    """Put the next worker's room on a node together, and offer it."""
    cycle, worker = claim.cycle, claim.lane.kind.groups[0].per_worker
    room, whole = cycle.ledger.room(node, soon=True), cycle.ledger.nodes[node].capacity
    asked = worker.times(worker.copies_in(room, COPIES_MAX) + 1)
    short = {kind: asked[kind] - room[kind] for kind in worker if asked[kind] > room[kind]}
    held = [(entry, on_node(cycle, entry[1], node)) for entry in rows]
    chosen = _chosen(held, short)
    if not chosen:
        return
    over = {kind: sum(amount[kind] for _, amount in chosen) - most for kind, most in short.items()}
    keys = [key for (key, _), _ in chosen]
    place = _Place(
        straddles=any(key[0][1] for key in keys),
        weighty=any(key[0][2] for key in keys),
        priority=max(key[0][3] for key in keys),
        waste=sum(amount / max(1, whole[kind]) for kind, amount in over.items()),
        cost=sum(key[1] for key in keys),
        node=node,
        victims=[row for (_, row), _ in chosen],
    )
    heapq.heappush(heap, place)


def _chosen(held: Sequence[Held], short: Mapping[str, int]) -> list[Held]:
    """Choose jobs that fit into what is short, one after the other; the last may be more than that."""
    missing, chosen = dict(short), list[Held]()
    for one in held:
        amount = one[1]
        fits = all(amount[kind] <= most for kind, most in missing.items())
        if fits and any(amount[kind] for kind in missing):
            chosen.append(one)
            missing = {kind: most - amount[kind] for kind, most in missing.items()}
            missing = {kind: most for kind, most in missing.items() if most}
            if not missing:
                return chosen
    enough = (
        one
        for one in reversed(held)
        if one not in chosen and all(one[1][kind] >= most for kind, most in missing.items())
    )
    last = next(enough, None)
    return [] if last is None else [*chosen, last]


def _by_size(entry: Ranked) -> tuple[object, ...]:
    """Order the jobs of a node: by class, the largest first, then by what they cost."""
    (herd, *rest), row = entry
    return (herd, *(-amount for amount in row.usage.amounts.values()), *rest)


def _herd(row: Running) -> Herd:
    return row.job.spec.queue, row.job.priority, row.usage
