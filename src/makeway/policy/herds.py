"""Put running jobs together that are alike: those of one queue, class and size are one herd.

A rule for taking back applies to all of a herd or to none of it, but for who came after whom. So
what may be taken is asked by herd, and a cluster with ten thousand equal jobs is asked once.

Takes:   snapshot, the path of a queue
Gives:   the running jobs of the queue itself that may be evicted, by class and size
Cost:    O(running jobs of the queue) after a change in it, else a comparison with what it was
"""

from __future__ import annotations

from collections.abc import Mapping

from makeway.model.resources import Resources
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
