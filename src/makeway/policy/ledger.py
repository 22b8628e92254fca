"""Try placements out: the one place where a decision changes anything, and only its own copy.

A ledger lies over a snapshot. What a placement takes is booked here, from the node's room and to
the usage of the queue and of every queue above it, and can be taken back to any earlier mark. Every
sum is made when it is first asked for and kept right from then on, so that a cycle that needs no
fairness pays for none. A queue's own part (its jobs without those of the queues below it) goes by
the queue's path with a slash behind it, see `own_part`.

Takes:   snapshot  never changed; its vectors are shared, its mappings copied at the first booking
Holds:   rollback to a mark gives back every sum · no node below zero
Cost:    place O(placements + depth); each sum once O(nodes) or O(queues x depth); `jobs_in` alone
         counts what runs, once a cycle and only when a tie has to be broken by it
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from makeway.model.cluster import Allocation, Node, lineage_of, usage_of
from makeway.model.job import Job
from makeway.model.resources import NOTHING, Resources
from makeway.policy.snapshot import Snapshot


class Ledger:
    """What the cluster would look like; see the module."""

    __slots__ = ("_capacity", "_free", "_free_total", "_jobs", "_log", "_usage", "snapshot")

    def __init__(self, snapshot: Snapshot) -> None:
        """Begin with the snapshot as it is."""
        self.snapshot = snapshot
        self._log: list[tuple[Job, Allocation, Resources]] = []
        self._free: dict[str, Resources] | None = None
        self._free_total: Resources | None = None
        self._capacity: Resources | None = None
        self._usage: dict[str, Resources] | None = None
        self._jobs: dict[str, int] | None = None

    @property
    def nodes(self) -> Mapping[str, Node]:
        """Give the nodes by name."""
        return self.snapshot.nodes

    @property
    def free(self) -> Mapping[str, Resources]:
        """Give what every node has left, by its name."""
        return self.snapshot.free if self._free is None else self._free

    @property
    def free_total(self) -> Resources:
        """Give what all nodes together have left."""
        if self._free_total is None:
            self._free_total = total_of(self.free.values())
        return self._free_total

    @property
    def capacity(self) -> Resources:
        """Give what all nodes together have when nothing runs."""
        if self._capacity is None:
            self._capacity = total_of(node.capacity for node in self.nodes.values())
        return self._capacity

    def usage(self, path: str) -> Resources:
        """Give what the queue and all queues below it hold; for an own part, that alone."""
        if self._usage is None:
            self._usage = {}
            for queue, amount in self.snapshot.held.items():
                self._charge(self._usage, queue, amount)
            for job, _, amount in self._log:
                self._charge(self._usage, job.spec.queue, amount)
        return self._usage.get(path, NOTHING)

    def jobs_in(self, path: str) -> int:
        """Count the jobs that hold something in the queue and all queues below it."""
        if self._jobs is None:
            self._jobs = {}
            started = [job for job, _, _ in self._log]
            for job in [*(row.job for row in self.snapshot.running.values()), *started]:
                self._count(self._jobs, job.spec.queue, 1)
        return self._jobs.get(path, 0)

    def holders(self) -> Iterator[tuple[str, Resources]]:
        """Give every job that holds something, and what; those that were placed here come last."""
        for job, row in self.snapshot.running.items():
            yield job, row.usage
        for placed, _, amount in self._log:
            yield placed.id, amount

    def place(self, job: Job, allocation: Allocation) -> None:
        """Book what the job takes; that it fits was found out before."""
        amount = usage_of(allocation, job.spec.shape())
        self._log.append((job, allocation, amount))
        self._book(job, allocation, amount, 1)

    def checkpoint(self) -> int:
        """Give a mark to which `rollback` can return."""
        return len(self._log)

    def rollback(self, mark: int) -> None:
        """Take back all that was booked after the mark, the last first."""
        while len(self._log) > mark:
            job, allocation, amount = self._log.pop()
            self._book(job, allocation, amount, -1)

    def _book(self, job: Job, allocation: Allocation, amount: Resources, sign: int) -> None:
        if self._free is None:
            self._free = dict(self.snapshot.free)
        shape = job.spec.shape()
        for row in allocation.placements:
            moved = shape[row.group].times(sign * row.count)
            room = self._free[row.node]
            assert moved.fits(room), f"{job.id} takes more than {row.node} has: {room}"
            self._free[row.node] = room - moved
        if self._free_total is not None:
            self._free_total = self._free_total - amount.times(sign)
        if self._usage is not None:
            self._charge(self._usage, job.spec.queue, amount.times(sign))
        if self._jobs is not None:
            self._count(self._jobs, job.spec.queue, sign)

    @staticmethod
    def _charge(usage: dict[str, Resources], queue: str, amount: Resources) -> None:
        usage[own_part(queue)] = usage.get(own_part(queue), NOTHING) + amount
        for path in lineage_of(queue):
            usage[path] = usage.get(path, NOTHING) + amount

    @staticmethod
    def _count(jobs: dict[str, int], queue: str, count: int) -> None:
        jobs[own_part(queue)] = jobs.get(own_part(queue), 0) + count
        for path in lineage_of(queue):
            jobs[path] = jobs.get(path, 0) + count


def own_part(path: str) -> str:
    """Name the part of a queue that its own jobs are: where it has children, it is one of them."""
    return f"{path}/"


def total_of(vectors: Iterable[Resources]) -> Resources:
    """Add up many vectors at the price of one; what is below 0 (a node that shrank) is no room."""
    total: dict[str, int] = {}
    for vector in vectors:
        for kind, amount in vector.amounts.items():
            if amount > 0:
                total[kind] = total.get(kind, 0) + amount
    return Resources.of(total)
