"""Name the machines, the tree of queues that shares them, and who holds what where.

A queue is a node of the share tree: an organisation, a group, a user, at any depth; its path reads
like a folder (`lab/vision/ada`). An allocation is all that one attempt holds; a placement is one
row of it. Nothing here decides: `policy` does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from makeway.model.resources import NOTHING, Resources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = ""
WEEK_MS = 7 * 24 * 3_600_000


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One machine: its name, what it has (before anything runs on it), and its labels.

    While it is `draining` nothing starts on it and what runs there goes on; `drain_text` says why.
    """

    name: str
    capacity: Resources
    labels: dict[str, str] = {}
    draining: bool = False
    drain_text: str = ""


class ClassLimit(msgspec.Struct, frozen=True, kw_only=True):
    """What may run at one priority class in a queue and below it; None, or not named: no limit."""

    running: int | None = None
    resources: dict[str, int] | None = None


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What a queue may spend above the normal class within each window of `per_ms`.

    jobs       so many may be submitted; None: no limit
    resources  what they may hold, in unit x ms by kind; a kind that is not named has no limit
    """

    per_ms: int = WEEK_MS
    jobs: int | None = None
    resources: dict[str, int] = {}


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """What is spent of a budget in a window, and when the next one begins."""

    jobs: int = 0
    amounts: dict[str, int] = {}
    until_ms: int = 0


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """One node of the share tree; every rule holds for the queue and all queues below it.

    weight       divides what the parent has among its children; 0: no claim on surplus
    guarantee    amounts by kind that are never taken away; a kind that is not named has none
    limit        amounts by kind that are never exceeded; a kind that is not named has none
    borrow       False: its share is its ceiling
    max_class    the highest priority that a job may have here
    class_limits by priority
    max_queued, max_running, submits_per_minute   counts of jobs
    past_usage   resource-ms (unit x ms) by kind that it had used when it was configured, decayed
    budget       what it may spend above the normal class in a week, say
    """

    path: str
    weight: float = 1.0
    guarantee: dict[str, int] = {}
    limit: dict[str, int] = {}
    borrow: bool = True
    max_class: int | None = None
    class_limits: dict[int, ClassLimit] = {}
    max_queued: int | None = None
    max_running: int | None = None
    submits_per_minute: int | None = None
    past_usage: dict[str, int] = {}
    budget: Budget | None = None

    @property
    def parent(self) -> str:
        """Give the path of the queue above; the root's is the root itself."""
        return self.path.rpartition("/")[0]


class Placement(msgspec.Struct, frozen=True):
    """`count` workers of one group on one node."""

    node: str
    group: str
    count: int


class Allocation(msgspec.Struct, frozen=True):
    """All that one attempt holds; ranks are given in the order of the placements.

    An elastic job grows by rows at the end and shrinks from the end, so that ranks stay what they
    are; a node may then stand in several rows.
    """

    placements: tuple[Placement, ...]

    @property
    def workers(self) -> int:
        """Count the workers placed."""
        return sum(placement.count for placement in self.placements)

    def ranks(self) -> Iterator[tuple[int, Placement, int]]:
        """Give (rank, its placement, its index within that placement) for every worker."""
        rank = 0
        for placement in self.placements:
            for index in range(placement.count):
                yield rank, placement, index
                rank += 1


@lru_cache(maxsize=1 << 16)
def lineage_of(path: str) -> tuple[str, ...]:
    """Give the path itself, its parent, and so on up to and including the root."""
    above = [path]
    while path != ROOT:
        path = path.rpartition("/")[0]
        above.append(path)
    return tuple(above)


def with_parents(queues: Mapping[str, Queue], path: str) -> dict[str, Queue]:
    """Give the queues that are missing between the root and `path`, each with weight 1."""
    return {above: Queue(path=above) for above in lineage_of(path) if above not in queues}


def usage_of(allocation: Allocation, per_worker: Mapping[str, Resources]) -> Resources:
    """Add up what an allocation holds; `per_worker` gives each group's vector."""
    total = NOTHING
    for placement in allocation.placements:
        total = total + per_worker[placement.group].times(placement.count)
    return total
