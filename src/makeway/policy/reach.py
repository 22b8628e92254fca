"""Say cheaply that a claim cannot be enough, before any running job is looked at.

Two sums are compared with what the claimant needs: what is free or soon will be, and the most that
could be taken of each branch of the tree. Of a branch that is only asked back what it has above its
due, no more can be taken than that and the one job that straddles it, since it is looked at again
after each victim. What these sums call hopeless is hopeless; what they let pass is looked at.

Running jobs of one queue that are alike (class and size) are one herd: a rule applies to all of
them or to none, but for who came after whom.

Takes:   the question for one claimant (`legal`), and the queues that it is about
Gives:   whether there may be enough; the herds of a queue
Holds:   whatever `claim` could carry out passes
Cost:    O(queues in question); herds O(running jobs of a queue) after a change in that queue
"""

from __future__ import annotations

from collections.abc import Mapping

from makeway.model.resources import NOTHING, Resources
from makeway.policy.snapshot import Running, Snapshot

Herds = Mapping[tuple[int, Resources], list[Running]]

NO_HERDS: Herds = {}


def herds(snapshot: Snapshot, queue: str) -> Herds:
    """Give the running jobs of a queue that may be evicted, by class and size."""
    rows = snapshot.running_in.get(queue)
    if not rows:
        return NO_HERDS
    rows = dict(rows)

    def sort_out() -> Herds:
        found: dict[tuple[int, Resources], list[Running]] = {}
        for row in rows.values():
            if row.job.spec.preemptible:
                found.setdefault((row.job.priority, row.usage), []).append(row)
        return found

    return snapshot.memo.last(("herds", queue), rows, sort_out)


def excess(
    usage: Resources, due: Resources, need: Resources, largest: Mapping[str, int]
) -> Resources:
    """Bound what can be taken of a branch that gives no more than it has above its due."""
    over = [kind for kind in need if usage[kind] > due[kind]]
    if len(over) != 1:
        return usage if over else NOTHING
    (kind,) = over
    most = min(usage[kind], usage[kind] - due[kind] + largest.get(kind, 0))
    return Resources.of({**usage.amounts, kind: most})


def largest_of(snapshot: Snapshot, queues: list[str]) -> dict[str, int]:
    """Give the most that any one job in these queues holds of each kind."""
    largest: dict[str, int] = {}
    for queue in queues:
        for _, usage in herds(snapshot, queue):
            for kind, amount in usage.amounts.items():
                largest[kind] = max(largest.get(kind, 0), amount)
    return largest
