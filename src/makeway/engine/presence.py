"""Keep which queues are there: those that were set, those with an unfinished job, and parents.

A queue that nobody set comes with its first job, with weight 1, and goes with its last: somebody who
has nothing to run takes no part in the division.
"""

from __future__ import annotations

from collections.abc import Iterable

from makeway.engine.state import State
from makeway.model.cluster import ROOT, Queue, lineage_of, with_parents


def configure(state: State, queues: Iterable[Queue]) -> None:
    """Set the share tree; queues that are not named and have no unfinished job go."""
    declared = {ROOT: Queue(path=ROOT)} | {queue.path: queue for queue in queues}
    for path in [*declared]:
        declared |= with_parents(declared, path)
    state.declared = declared
    state.queues = {path: Queue(path=path) for path in state.unfinished} | declared


def come(state: State, queue: str) -> None:
    """Count a job that was submitted to a queue."""
    count(state.unfinished, queue, 1)
    if queue not in state.queues:
        state.queues |= with_parents(state.queues, queue)


def go(state: State, queue: str) -> None:
    """Count a job out that has ended."""
    count(state.unfinished, queue, -1)
    for path in lineage_of(queue):
        if path not in state.unfinished and path not in state.declared:
            del state.queues[path]


def count(counts: dict[str, int], queue: str, change: int) -> None:
    """Change a count of a queue and of all above it; what is 0 is not named."""
    for path in lineage_of(queue):
        number = counts.get(path, 0) + change
        if number:
            counts[path] = number
        else:
            del counts[path]
