"""Hold all that a decision may see, and nothing else.

A snapshot is never changed. Whoever wants to try something takes a `Ledger` over it. The sums
(`free`, `held`) are kept by the engine while events are applied, so that a cycle need not count
what runs; they are equal to what one would count from `running`, and the tests count it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from makeway.model.cluster import Allocation, Node, Queue
from makeway.model.job import Job
from makeway.model.resources import Resources


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A job that holds an allocation, since when, and how much that is."""

    job: Job
    allocation: Allocation
    usage: Resources
    started_at_ms: int


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The cluster, the share tree, who runs and who waits, at one instant.

    basis     seq of the last event applied; a plan carries it, so that a stale one shows
    now_ms    ms since 1970
    nodes     by name; only nodes that may take new workers or still run some
    free      by node name: its capacity minus what runs there
    queues    by path; the root has the path "" and every parent of a queue is in it too
    held      by path of the queue that jobs were submitted to (no sums over subtrees)
    running   by job id
    waiting   queued jobs in the order of submission, also those whose backoff is not over
    """

    basis: int
    now_ms: int
    nodes: Mapping[str, Node]
    free: Mapping[str, Resources]
    queues: Mapping[str, Queue]
    held: Mapping[str, Resources]
    running: Mapping[str, Running]
    waiting: Sequence[Job]


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a policy (`policy:` of a scenario file)."""

    name: str = "fair"
