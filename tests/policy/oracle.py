"""Decide in the plainest way: evict everybody in thought, and serve all again in fair order.

Who runs and may be preempted is taken off; then whoever is next is served, one job at a time, until
nobody is left. Who ran before may only return to the very slots that it had. Whoever does not return
is the victim. Nothing is remembered between two steps: each looks at all jobs and counts anew what
every queue uses, in exact fractions.

Those come first who stay within what a queue above them was guaranteed, then the classes that count
in the whole cluster, the highest first. Otherwise from the root down to the child that would be
lowest, for its weight, with its next job. Within a queue: by class, who ran before who waits, age.

It knows no delay, no protection of what is young, and nobody who was promised to be next. It takes
promises (`Terms`) and a place for a gang (`place`) from the policy, since these have tests of their
own; the order of service, the levels and the limits are its own.

Takes:   snapshot  without leaving workers, and without slots that are kept; jobs at their minimum
Gives:   Outcome: who runs, who had to leave, who was let in
Cost:    O(jobs^2 x depth), for small worlds
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import msgspec

from makeway.model.cluster import Allocation, lineage_of
from makeway.model.job import SYSTEM_MIN, Job
from makeway.model.resources import NOTHING, Resources
from makeway.model.rules import Scope
from makeway.policy.ledger import total_of, way
from makeway.policy.place import place
from makeway.policy.snapshot import Snapshot
from makeway.policy.terms import Terms, terms_of

Key = tuple[object, ...]


class Served(msgspec.Struct, frozen=True):
    """A job that runs, where, and how much it takes."""

    job: Job
    allocation: Allocation
    usage: Resources


class Outcome(msgspec.Struct, frozen=True):
    """Who runs when all are served, by job id, and what became of the others."""

    runs: Mapping[str, Served]
    victims: frozenset[str]
    started: frozenset[str]


class Oracle:
    """One world that is served from nothing; see the module."""

    def __init__(self, snapshot: Snapshot, *, evict: bool = True) -> None:
        """Take off everybody who may be preempted; without `evict` nobody is."""
        self._world, self._evict = snapshot, evict
        self._capacity = total_of(node.capacity for node in snapshot.nodes.values())
        self._terms: Terms = terms_of(snapshot, self._capacity)
        self._before = {
            name: Served(row.job, row.allocation, row.usage)
            for name, row in snapshot.running.items()
        }
        self._runs = {
            name: one
            for name, one in self._before.items()
            if not evict or not one.job.spec.preemptible
        }
        self._left = [one.job for one in self._before.values() if one.job.id not in self._runs]
        self._left += [job for lane in snapshot.lanes.values() for job in lane]

    def outcome(self) -> Outcome:
        """Serve until nobody is left."""
        while self._left:
            job = self._next()
            self._left.remove(job)
            self._serve(job)
        return Outcome(
            runs=self._runs,
            victims=frozenset(self._before.keys() - self._runs.keys()),
            started=frozenset(self._runs.keys() - self._before.keys()),
        )

    def usage(self, path: str) -> Resources:
        """Add up what a queue and all below it hold now."""
        return total_of(one.usage for one in self._in(path))

    def _in(self, path: str) -> list[Served]:
        return [one for one in self._runs.values() if path in way(one.job.spec.queue)]

    def _serve(self, job: Job) -> None:
        if not self._allowed(job):
            return
        before = self._before.get(job.id)
        free = self._free()
        if before is not None:
            if all(amount.fits(free[node]) for node, amount in _by_node(before).items()):
                self._runs[job.id] = before
            return
        names = job.spec.nodes or tuple(free)
        rooms = {name: free[name] for name in names if name in free}
        allocation = place(job.spec.groups, rooms, self._world.nodes)
        if allocation is not None:
            self._runs[job.id] = Served(job, allocation, _need(job))

    # ── whose turn it is ──────────────────────────────────────────────────────────────────────────

    def _next(self) -> Job:
        """Find whom to serve: among the first by rank, from the root down to the lowest branch."""
        rank = min(map(self._rank, self._left))
        return self._first([job for job in self._left if self._rank(job) == rank], 1)

    def _first(self, rivals: list[Job], depth: int) -> Job:
        """Find the first of those who share a way of this depth."""
        branches: dict[str, list[Job]] = {}
        for job in rivals:
            steps = way(job.spec.queue)
            if depth == len(steps):
                return min(rivals, key=self._own)
            branches.setdefault(steps[depth], []).append(job)
        heads = [(path, self._first(below, depth + 1)) for path, below in branches.items()]
        return min(heads, key=lambda head: self._key(*head))[1]

    def _key(self, path: str, head: Job) -> Key:
        """Compare branches: how full with the next job, its class, who ran, how many run, age."""
        priority, waited, *age = self._own(head)
        return (*self._level(path, _need(head)), priority, waited, len(self._in(path)), *age)

    def _rank(self, job: Job) -> Key:
        wide = self._world.rules.scope_of(job.spec.priority) is Scope.CLUSTER
        if job.priority >= SYSTEM_MIN:
            return (0, -job.priority)
        sure = self._evict and self._sure(job)  # else class goes first: nothing is taken back
        return (1 if sure else 2, -job.priority if wide else 0)

    def _own(self, job: Job) -> Key:
        return (-job.priority, job.id not in self._before, job.order, job.id)

    def _sure(self, job: Job) -> bool:
        """Say whether a job stays within what a queue above it was guaranteed."""
        need = _need(job)
        return any(
            any(need[kind] for kind in sure)
            and all((self.usage(path) + need)[kind] <= most for kind, most in sure.items())
            for path in lineage_of(job.spec.queue)
            if (sure := self._terms.guarantee.get(path))
        )

    def _level(self, path: str, more: Resources) -> tuple[bool, Fraction]:
        """Say how full a queue is for its weight, above what it is sure of."""
        queue = self._world.queues.get(path)
        weight = Fraction(1 if queue is None else str(queue.weight))
        sure, used = self._terms.guarantee.get(path, {}), self.usage(path) + more
        if sure and all(used[kind] <= most for kind, most in sure.items()):
            return False, Fraction()
        parts = [
            Fraction(amount - sure.get(kind, 0), self._capacity[kind])
            for kind, amount in used.amounts.items()
            if self._capacity[kind]
        ]
        return weight == 0, max([Fraction(), *parts]) / (weight or 1)

    # ── limits and room ───────────────────────────────────────────────────────────────────────────

    def _allowed(self, job: Job) -> bool:
        need = _need(job)
        for path in lineage_of(job.spec.queue):
            used, ceiling = self.usage(path), self._terms.ceiling.get(path, {})
            if any(need[kind] and used[kind] + need[kind] > ceiling[kind] for kind in ceiling):
                return False
            most = self._world.queues[path].max_running if path else None
            if most is not None and len(self._in(path)) >= most:
                return False
        return True

    def _free(self) -> dict[str, Resources]:
        free = {name: node.capacity for name, node in self._world.nodes.items()}
        for one in self._runs.values():
            for node, amount in _by_node(one).items():
                free[node] = free[node] - amount
        return free


def reference(snapshot: Snapshot, *, evict: bool = True) -> Outcome:
    """Decide on a world in the plainest way; without `evict` whoever runs stays."""
    return Oracle(snapshot, evict=evict).outcome()


def _need(job: Job) -> Resources:
    return total_of(group.per_worker.times(group.count_min) for group in job.spec.groups)


def _by_node(one: Served) -> dict[str, Resources]:
    shape, found = one.job.spec.shape(), dict[str, Resources]()
    for row in one.allocation.placements:
        found[row.node] = found.get(row.node, NOTHING) + shape[row.group].times(row.count)
    return found
