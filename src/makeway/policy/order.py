"""Say who is next, by serving: one job at a time, and what has changed is compared anew after each.

Classes that count in the whole cluster go first, the highest before all others. Among the rest from
the root down to the child that would be lowest, for its weight, if its next job started (`level`).
Within a queue by class, then by age. A kind that has no room is dropped: it blocks nobody.

Takes:   lanes    kind -> its waiting jobs in order of age
Gives:   `head`: the job to be tried next; the caller then says `served` or `dropped`
Holds:   total order: level, class, running jobs, age, id
Cost:    O(depth x siblings) a job; only the path to the job that was served is measured again
Source:  Bhattacharya et al., Hierarchical Scheduling for Diverse Datacenter Workloads, SoCC 2013
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

import msgspec

from makeway.model.cluster import ROOT, lineage_of
from makeway.model.job import Job
from makeway.model.resources import NOTHING, Resources
from makeway.model.rules import Rules, Scope
from makeway.policy.ledger import Ledger
from makeway.policy.level import Levels
from makeway.policy.memo import own_part
from makeway.policy.snapshot import Kind, Snapshot


class Lane(msgspec.Struct, eq=False):
    """The waiting jobs of one kind; `at` is the first that was not served yet."""

    kind: Kind
    jobs: Sequence[Job]
    need: Resources
    at: int = 0

    @property
    def head(self) -> Job:
        """Give the job that is next in this lane."""
        return self.jobs[self.at]


Rank = tuple[int, int, str]
Key = tuple[object, ...]


class _Branch(msgspec.Struct, eq=False):
    """A queue in which somebody waits, or the own part of one."""

    path: str
    above: _Branch | None
    below: dict[str, _Branch] = {}
    lanes: list[tuple[Rank, Lane]] = []
    keys: dict[str, Key] = {}
    vector: Resources = NOTHING
    vector_at: tuple[int, int] = (-1, -1)


def ranks(lanes: Iterable[Lane], rules: Rules) -> list[list[Lane]]:
    """Part the lanes by the class that counts in the whole cluster, the highest first."""
    by_rank: dict[int, list[Lane]] = {}
    for lane in lanes:
        own = lane.kind.priority
        rank = own if rules.scope_of(lane.kind.own_priority) is Scope.CLUSTER else 0
        by_rank.setdefault(rank, []).append(lane)
    return [by_rank[rank] for rank in sorted(by_rank, reverse=True)]


class Line:
    """Everybody of one rank who waits; see the module."""

    __slots__ = ("_branches", "_cuts", "_ledger", "_levels", "_orders", "_root")

    def __init__(self, lanes: Iterable[Lane], ledger: Ledger, levels: Levels) -> None:
        """Draw the part of the tree in which somebody waits."""
        self._ledger, self._levels = ledger, levels
        self._cuts = 0  # how many branches have nobody left
        self._root = _Branch(ROOT, None)
        self._branches = {ROOT: self._root}
        by_queue: dict[str, list[Lane]] = {}
        for lane in lanes:
            by_queue.setdefault(lane.kind.queue, []).append(lane)
        for path in by_queue:
            self._grow(path)
        for path, found in by_queue.items():
            branch = self._branches[path]
            if branch.below or path == ROOT:
                own = own_part(path)
                branch.below[own] = self._branches[own] = _Branch(own, branch)
                branch = branch.below[own]
            branch.lanes = [(_rank(lane), lane) for lane in found]
            heapq.heapify(branch.lanes)
        self._measure_all(self._root)

    def head(self) -> Lane | None:
        """Find whom to try next."""
        branch = self._root
        while branch.keys:
            branch = branch.below[min(branch.keys, key=branch.keys.__getitem__)]
        return branch.lanes[0][1] if branch.lanes else None

    def served(self, lane: Lane) -> None:
        """Go on behind the head of a lane, which has started."""
        branch = self._leaf(lane)
        heapq.heappop(branch.lanes)
        lane.at += 1
        if lane.at < len(lane.jobs):
            heapq.heappush(branch.lanes, (_rank(lane), lane))
        self._measure(branch)

    def dropped(self, lane: Lane) -> None:
        """Let the whole lane wait: what goes for its head goes for all."""
        branch = self._leaf(lane)
        heapq.heappop(branch.lanes)
        self._measure(branch)

    def measure(self, path: str) -> None:
        """Look again at a queue whose usage was changed by something else than its own start."""
        branch = self._branches.get(own_part(path)) or self._branches.get(path)
        if branch is not None:
            self._measure(branch)

    def _leaf(self, lane: Lane) -> _Branch:
        path = lane.kind.queue
        branch = self._branches.get(own_part(path)) or self._branches[path]
        assert branch.lanes[0][1] is lane, "only the head of a queue is served"
        return branch

    def _grow(self, path: str) -> None:
        below: _Branch | None = None
        for above in lineage_of(path):
            known = self._branches.get(above)
            branch = known or self._branches.setdefault(above, _Branch(above, None))
            if below is not None:
                branch.below[below.path] = below
                below.above = branch
            if known:
                return
            below = branch

    def _measure_all(self, branch: _Branch) -> None:
        for child in branch.below.values():
            self._measure_all(child)
        if branch.above is not None:
            self._key(branch)

    def _measure(self, branch: _Branch) -> None:
        """Measure a branch and all above it; what has nobody left is cut off."""
        at: _Branch | None = branch
        while at is not None and at.above is not None:
            self._key(at)
            at = at.above

    def _key(self, branch: _Branch) -> None:
        above = branch.above
        assert above is not None
        lane = self._first(branch)
        if lane is None:
            above.keys.pop(branch.path, None)
            above.below.pop(branch.path, None)
            self._cuts += 1
            return
        level = self._level(branch, lane)
        jobs = self._ledger.jobs_in(branch.path)
        above.keys[branch.path] = (*level, -lane.kind.priority, jobs, lane.head.order, lane.head.id)

    def _first(self, branch: _Branch) -> Lane | None:
        while branch.below:
            if not branch.keys:
                return None
            branch = branch.below[min(branch.keys, key=branch.keys.__getitem__)]
        return branch.lanes[0][1] if branch.lanes else None

    def _level(self, branch: _Branch, lane: Lane) -> tuple[float, bool, float]:
        rank = self._levels.rank(branch.path)
        usage = self._vector(branch) if branch.below else self._ledger.usage(branch.path)
        return (rank, *self._levels.with_usage(branch.path, usage + lane.need))

    def _vector(self, branch: _Branch) -> Resources:
        """Give the usage of an inner queue, its children rescaled if they want different kinds."""
        at = (self._ledger.stamp, self._cuts)
        if branch.vector_at != at:
            branch.vector, branch.vector_at = self._rescaled(branch), at
        return branch.vector

    def _rescaled(self, branch: _Branch) -> Resources:
        total, largest = self._ledger.usage(branch.path), self._levels.dominant
        parts = {path: self._part(child) for path, child in branch.below.items()}
        sizes = {path: largest(part) for path, part in parts.items() if part.amounts}
        sizes = {path: size for path, size in sizes.items() if size[0] > 0}
        if len({kind for _, kind in sizes.values()}) < 2:
            return total
        lowest = min(size for size, _ in sizes.values())
        for path, (size, _) in sizes.items():
            part = parts[path]
            scaled = {kind: int(amount * lowest / size) for kind, amount in part.amounts.items()}
            total = total - self._ledger.usage(path) + Resources.of(scaled)
        return total

    def _part(self, branch: _Branch) -> Resources:
        return self._vector(branch) if branch.below else self._ledger.usage(branch.path)


def _rank(lane: Lane) -> Rank:
    return -lane.kind.priority, lane.head.order, lane.head.id


def lanes_of(snapshot: Snapshot) -> list[Lane]:
    """Make lanes to be served, without the jobs for which slots are kept already."""
    reserved, lanes = snapshot.reserved, list[Lane]()
    kept = {kind for _, kind in snapshot.keepers().values()} if reserved else ()
    for kind, lane in snapshot.lanes.items():
        jobs = lane
        if kind in kept:
            jobs = [job for job in lane if job.id not in reserved]
        if jobs:
            lanes.append(Lane(kind, jobs, kind.need))
    return lanes
