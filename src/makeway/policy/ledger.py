"""Try decisions out: the one place where a decision changes anything, and only its own copy.

A ledger lies over a snapshot and has two views of every node. *Now*: what could be started on this
very instant; what leaving workers still hold is not there, and what is kept for a waiting job is
taken. *Soon*: the same once everybody has left who was told to. Usage is the one that fairness looks
at: whoever was told to leave has no usage, whoever has a reservation has it already.

What is booked here can be taken back to any earlier mark. Only nodes that something was booked on
are copied, so a cycle costs what it decides. A queue's own part (its jobs without those of the
queues below it) goes by the queue's path with a slash behind it, see `own_part`.

Takes:   snapshot  never changed; its vectors are shared
Holds:   rollback to a mark gives back every sum
Cost:    O(queues x classes) to begin; a booking O(placements x sizes asked for + depth)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec

from makeway.model.cluster import Allocation, Node, Placement, lineage_of
from makeway.model.job import Job
from makeway.model.phase import JobPhase
from makeway.model.resources import NOTHING, Resources
from makeway.policy.memo import counted_in, own_part
from makeway.policy.rooms import COPIES_MAX
from makeway.policy.snapshot import Running, Snapshot

Size = tuple[tuple[str, int], ...]


class Booking(msgspec.Struct, frozen=True):
    """Rows of one job, and what they move: the room that is there, leaving, kept; usage; jobs."""

    job: Job
    rows: Sequence[Placement]
    there: int = 0
    leaving: int = 0
    kept: int = 0
    usage: int = 0
    jobs: int = 0

    def back(self) -> Booking:
        """Give the booking that undoes this one."""
        return Booking(
            self.job, self.rows, -self.there, -self.leaving, -self.kept, -self.usage, -self.jobs
        )


class Ledger:
    """What the cluster would look like; see the module."""

    __slots__ = (
        "_by_class",
        "_capacity",
        "_free",
        "_jobs",
        "_log",
        "_next",
        "_read",
        "_sites",
        "_soon",
        "_stamps",
        "_taking",
        "_usage",
        "moving",
        "snapshot",
        "touched",
    )  # fmt: skip

    def __init__(self, snapshot: Snapshot) -> None:
        """Begin with the snapshot as it is."""
        self.snapshot = snapshot
        self._log: list[Booking] = []
        self._stamps, self._next = [0], 1
        self._sites: dict[str, tuple[Resources, Resources, Resources]] = {}
        self._taking: dict[tuple[Size, bool], dict[str, int]] = {}
        self.touched: list[str] = []  # nodes on which something was booked, in that order
        self._read: dict[tuple[Size, bool], int] = {}  # how much of it each size has taken in
        self._capacity: Resources | None = None
        self.moving = False  # anything leaves or is kept: soon there may be more room than now
        self._soon = NOTHING  # what was booked into the room that is soon there
        self._free: Resources | None = None
        sums = snapshot.memo.sums.read(snapshot.held)
        self._usage, self._jobs = dict(sums.usage), dict(sums.jobs)
        self._by_class = dict(sums.by_class)
        for job, rows in snapshot.leaving.items():
            row = snapshot.running[job]
            gone = row.job.phase is JobPhase.EVICTING
            self._book(Booking(row.job, rows, leaving=1, usage=-1, jobs=-1 if gone else 0))
        keepers = snapshot.keepers() if snapshot.reserved else {}
        for name, allocation in snapshot.reserved.items():
            self._book(Booking(keepers[name][0], allocation.placements, kept=1, usage=1, jobs=1))
        self._log.clear()

    # ── what is there ─────────────────────────────────────────────────────────────────────────────

    @property
    def nodes(self) -> Mapping[str, Node]:
        """Give the nodes by name."""
        return self.snapshot.nodes

    @property
    def capacity(self) -> Resources:
        """Give what all nodes together have; a drained one counts while anything runs on it."""
        if self._capacity is None:
            counted = [*self.snapshot.counted()]
            self._capacity = self.snapshot.memo.last(
                "capacity", counted, lambda: total_of(node.capacity for node in counted)
            )
        return self._capacity

    def room(self, node: str, *, soon: bool = False) -> Resources:
        """Give what the node has for whoever starts now, or once all have left who leave."""
        site = self._sites.get(node)
        if site is None:
            return self.snapshot.free[node]
        there, leaving, kept = site
        return there + leaving - kept if soon else there - _above(kept - leaving)

    def rooms(self, names: Iterable[str], *, soon: bool = False) -> dict[str, Resources]:
        """Give the room of several nodes by name."""
        return {name: self.room(name, soon=soon) for name in names}

    def taking(self, worker: Resources, *, soon: bool = False) -> dict[str, int]:
        """Give how many such workers each node takes; to be read, and good until a booking."""
        key = (tuple(worker.amounts.items()), soon)
        copies = self._taking.get(key)
        if copies is None:
            copies = self._taking[key] = dict(self.snapshot.rooms.taking(worker))
            touched: Iterable[str] = self._sites
        elif self._read[key] == len(self.touched):
            return copies
        else:
            touched = dict.fromkeys(self.touched[self._read[key] :])
        for node in touched:
            count = worker.copies_in(self.room(node, soon=soon), COPIES_MAX)
            if count:
                copies[node] = count
            else:
                copies.pop(node, None)
        self._read[key] = len(self.touched)
        return copies

    def soon_total(self) -> Resources:
        """Give what all nodes together have once all have left who leave; at the least that."""
        if self._free is None:
            self._free = self.snapshot.rooms.total()
        return self._free + self._soon

    def free_total(self, rooms: Mapping[str, Resources] | None = None) -> Resources:
        """Give what all nodes, or these rooms, together have now."""
        return total_of((self.rooms(self.nodes) if rooms is None else rooms).values())

    def usage(self, path: str) -> Resources:
        """Give what the queue and all queues below it hold; for an own part, that alone."""
        return self._usage.get(path, NOTHING)

    def usages(self) -> dict[str, Resources]:
        """Give what all queues, and their own parts, hold at this moment."""
        return dict(self._usage)

    def jobs_in(self, path: str) -> int:
        """Count the jobs that hold something in the queue and all queues below it."""
        return self._jobs.get(path, 0)

    def of_class(self, path: str, priority: int) -> tuple[int, Resources]:
        """Give how many jobs of one class hold how much in the queue and below it."""
        return self._by_class.get((path, priority), (0, NOTHING))

    def holders(self) -> Iterator[tuple[str, Resources]]:
        """Give every job that holds something and stays; those that were booked here come last."""
        gone = {booking.job.id for booking in self._log if booking.leaving and booking.jobs}
        for job, row in self.snapshot.running.items():
            if job not in gone and row.job.phase is not JobPhase.EVICTING:
                yield job, row.usage
        for booked, usage in self.booked():
            yield booked.id, usage

    def booked(self) -> Iterator[tuple[Job, Resources]]:
        """Give every job that was given slots here, and what it holds."""
        for booking in self._log:
            if booking.jobs > 0 and booking.leaving == 0:
                yield booking.job, usage_of_rows(booking.job, booking.rows)

    def there(self, node: str) -> Resources:
        """Give what is physically there on a node, whoever it is kept for."""
        site = self._sites.get(node)
        return self.snapshot.free.get(node, NOTHING) if site is None else site[0]

    # ── what is tried ─────────────────────────────────────────────────────────────────────────────

    def start(self, job: Job, rows: Sequence[Placement]) -> None:
        """Book what the job takes now; that it fits was found out before."""
        self.book(Booking(job, rows, there=-1, usage=1, jobs=1))

    def grow(self, job: Job, rows: Sequence[Placement]) -> None:
        """Book more workers of a job that runs."""
        self.book(Booking(job, rows, there=-1, usage=1))

    def evict(self, row: Running, rows: Sequence[Placement]) -> None:
        """Tell all the workers of a job to leave."""
        self.book(Booking(row.job, rows, leaving=1, usage=-1, jobs=-1))

    def shrink(self, row: Running, rows: Sequence[Placement]) -> None:
        """Tell some workers of a job to leave."""
        self.book(Booking(row.job, rows, leaving=1, usage=-1))

    def give_back(self, row: Running, rows: Sequence[Placement], *, whole: bool) -> None:
        """Let workers stay after all; `whole`: all of them, after `evict`."""
        self.book(Booking(row.job, rows, leaving=-1, usage=1, jobs=1 if whole else 0))

    def keep(self, job: Job, allocation: Allocation) -> None:
        """Keep slots for a job, which are there or will be soon."""
        self.book(Booking(job, allocation.placements, kept=1, usage=1, jobs=1))

    def take_up(self, job: Job, allocation: Allocation) -> None:
        """Let a job start on the slots that were kept for it."""
        self.book(Booking(job, allocation.placements, there=-1, kept=-1))

    def give_up(self, job: Job, allocation: Allocation) -> None:
        """Keep the slots no longer."""
        self.book(Booking(job, allocation.placements, kept=-1, usage=-1, jobs=-1))

    @property
    def stamp(self) -> int:
        """Give a number that stands for what is booked: the same one, the same bookings."""
        return self._stamps[-1]

    def checkpoint(self) -> int:
        """Give a mark to which `rollback` can return."""
        return len(self._log)

    def rollback(self, mark: int) -> None:
        """Take back all that was booked after the mark, the last first."""
        while len(self._log) > mark:
            self._book(self._log.pop().back())
            self._stamps.pop()

    def book(self, booking: Booking) -> None:
        """Book and remember it."""
        self._book(booking)
        self._log.append(booking)
        self._stamps.append(self._next)
        self._next += 1

    def _book(self, booking: Booking) -> None:
        job, shape = booking.job, booking.job.spec.shape()
        amount = usage_of_rows(job, booking.rows)
        soon = booking.there + booking.leaving - booking.kept
        self.moving = self.moving or bool(booking.leaving or booking.kept)
        for row in booking.rows:
            if row.node not in self.nodes:
                continue  # a lost or drained node took its room with it
            moved = shape[row.group].times(row.count)
            there, leaving, kept = self._sites.get(
                row.node, (self.snapshot.free[row.node], NOTHING, NOTHING)
            )
            assert booking.there >= 0 or moved.fits(there), (
                f"{job.id} takes more than {row.node} has: {there}"
            )
            self._sites[row.node] = (
                _moved(there, moved, booking.there),
                _moved(leaving, moved, booking.leaving),
                _moved(kept, moved, booking.kept),
            )
            if soon:
                self._soon = self._soon + moved.times(soon)
            self.touched.append(row.node)
        usage = amount.times(booking.usage) if booking.usage else NOTHING
        self._charge(job.spec.queue, job.spec.priority, usage, booking.jobs)

    def _charge(self, queue: str, priority: int, amount: Resources, jobs: int) -> None:
        if not amount and not jobs:
            return
        for path in counted_in(queue):
            if amount:
                self._usage[path] = self._usage.get(path, NOTHING) + amount
            if jobs:
                self._jobs[path] = self._jobs.get(path, 0) + jobs
            count, used = self._by_class.get((path, priority), (0, NOTHING))
            self._by_class[path, priority] = (count + jobs, used + amount)


@lru_cache(maxsize=1 << 16)
def way(path: str) -> tuple[str, ...]:
    """Give the branches that lead from the root to the jobs of a queue, its own part included."""
    return (*reversed(lineage_of(path)), own_part(path))


@lru_cache(maxsize=1 << 16)
def parting(one: str, other: str) -> tuple[str, str]:
    """Find where two queues part: the branch of each below the last queue that they share."""
    return next(pair for pair in zip(way(one), way(other), strict=False) if pair[0] != pair[1])


def usage_of_rows(job: Job, rows: Sequence[Placement]) -> Resources:
    """Add up what rows of a job's allocation hold."""
    groups = job.spec.groups
    if len(groups) == 1:
        return groups[0].per_worker.times(sum(row.count for row in rows))
    shape = job.spec.shape()
    return total_of(shape[row.group].times(row.count) for row in rows)


def total_of(vectors: Iterable[Resources]) -> Resources:
    """Add up many vectors at the price of one; what is below 0 (a node that shrank) is no room."""
    total: dict[str, int] = {}
    for vector in vectors:
        for kind, amount in vector.amounts.items():
            if amount > 0:
                total[kind] = total.get(kind, 0) + amount
    return Resources.of(total)


def _above(vector: Resources) -> Resources:
    return Resources.of({kind: amount for kind, amount in vector.amounts.items() if amount > 0})


def _moved(before: Resources, amount: Resources, sign: int) -> Resources:
    if not sign:
        return before
    return before + amount if sign > 0 else before - amount
