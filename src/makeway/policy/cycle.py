"""Keep what one cycle has decided so far: who starts, shrinks, leaves, and what everybody waits for.

Everything goes through the ledger, so that each decision sees those before it. What happens to one
job in several steps (it starts at its minimum and grows, it shrinks by one worker and by another)
comes out as one decision.

Takes:   snapshot  never changed
Gives:   Plan: what shrinks and leaves, what is kept for whom, what starts and grows, what is refused
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast

from makeway.model.cluster import Allocation, Placement
from makeway.model.job import Job
from makeway.model.resources import NOTHING, Resources
from makeway.model.wait import Reason, Wait
from makeway.policy.kept import leavers
from makeway.policy.ledger import Ledger
from makeway.policy.level import Level, Levels
from makeway.policy.limits import Barrier, barrier
from makeway.policy.memo import own_part
from makeway.policy.order import Lane, lanes_of
from makeway.policy.plan import (
    Decided,
    Plan,
    Preempt,
    Promise,
    Reject,
    Release,
    Reserve,
    Resize,
    Start,
)
from makeway.policy.share import demands, dues
from makeway.policy.snapshot import Kind, Running, Snapshot
from makeway.policy.terms import terms_of

T = TypeVar("T")


class Cycle:
    """One round of decisions over one snapshot; see the module."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Begin with nothing decided."""
        self.snapshot = snapshot
        self.rules = snapshot.rules
        self.ledger = Ledger(snapshot)
        self._began = self.ledger.usages()
        self.terms = terms_of(snapshot, self.ledger.capacity)
        self.levels = Levels(self.ledger, self.terms)
        self.lanes = lanes_of(snapshot)
        self.blocked: list[Lane] = []  # in the order of service: those who wait for room
        self.barriers: dict[Kind, Barrier] = {}
        self.reasons: dict[Kind, Reason] = {}
        self.never: dict[Kind, Wait] = {}
        self.protected: dict[Kind, list[str]] = {}  # who has not run long enough to be evicted
        self.claims = 0  # how many claimants have looked at running jobs so far
        self.wake_at_ms: int | None = None
        self._elastic: list[Running] | None = None
        self._classes: dict[str, list[int]] | None = None
        self._lowest: int | None = None
        self._first: str | None = None
        self._once: dict[object, Any] = {}
        self._now: dict[object, Any] = {}
        self._now_at = 0
        self._dues: Mapping[str, Resources] | None = None
        self._rows: dict[str, tuple[Job, list[Placement]]] = {}
        self._started: set[str] = set()
        self._kept: dict[str, Reserve] = {}
        self._gone: dict[str, Preempt] = {}
        self._resized: dict[str, tuple[str | None, str | None]] = {}  # job: for whom, by which rule
        self._released: list[Release] = []
        # What starts, is kept and is promised, in this order: it tells who was let past whom.
        self._steps: list[str | Reserve | Promise] = []

    @property
    def due(self) -> Mapping[str, Resources]:
        """Give what every queue is due, as the cycle began."""
        if self._dues is None:
            demand = demands(self.snapshot, self._began)
            self._dues = dues(self.snapshot.memo, self.terms, demand, self.levels.weights)
        return self._dues

    def above_due(self, kinds: tuple[str, ...]) -> Mapping[str, Level]:
        """Give the branches that hold more of any of these kinds than they are due, with levels."""
        return self.now(("above", kinds), lambda: self._above(kinds))

    def _above(self, kinds: tuple[str, ...]) -> Mapping[str, Level]:
        found = dict[str, Level]()
        for path, amount in self.ledger.usages().items():
            held, owed = amount.amounts, self.due.get(path, NOTHING).amounts
            if any(held.get(kind, 0) > owed.get(kind, 0) for kind in kinds):
                found[path] = self.levels.with_usage(path, amount, kinds)
        return found

    def now(self, name: object, make: Callable[[], T]) -> T:
        """Give what is made of the ledger as it stands; made again only if it stands otherwise."""
        if self._now_at != self.ledger.stamp:
            self._now_at = self.ledger.stamp
            self._now.clear()
        if name not in self._now:
            self._now[name] = make()
        value: T = self._now[name]
        return value

    def once(self, name: object, make: Callable[[], T]) -> T:
        """Give what is made of the snapshot alone: the same throughout the cycle."""
        if name not in self._once:
            self._once[name] = make()
        value: T = self._once[name]
        return value

    @property
    def elastic(self) -> list[Running]:
        """Give the running jobs whose number of workers may change."""
        if self._elastic is None:
            running = self.snapshot.running
            self._elastic = sorted(
                (running[job] for job in self.snapshot.elastic),
                key=lambda row: (row.started_seq, row.job.order, row.job.id),
            )
        return self._elastic

    def lowest_class(self, queue: str) -> int:
        """Give the lowest class of which anything still runs in a queue itself."""
        if self._classes is None:
            self._classes = {}
            for path, priority in self.snapshot.held:
                self._classes.setdefault(path, []).append(priority)
        own = own_part(queue)
        there = (one for one in self._classes.get(queue, ()) if self.ledger.of_class(own, one)[0])
        return min(there, default=1 << 62)

    @property
    def lowest(self) -> int:
        """Give the lowest class of which anything ran as the cycle began."""
        if self._lowest is None:
            self._lowest = min((one for _, one in self.snapshot.held), default=1 << 62)
        return self._lowest

    @property
    def longest_in_line(self) -> str:
        """Name the job that has been first in line for longest, if any has."""
        if self._first is None:
            planned, kinds = self.snapshot.planned, self.lanes if self.snapshot.planned else ()
            waiting = [
                (planned[lane.head.id], lane.head.id)
                for lane in kinds
                if lane.at < len(lane.jobs)
                and lane.head.id in planned
                and barrier(lane.kind, lane.need, self.ledger, self.terms) is None
            ]
            self._first = min(waiting, default=(0, ""))[1]
        return self._first

    def let_past(self, seq: int) -> Iterator[Running]:
        """Give who was started after the entry with this seq, the latest first."""
        running = cast("dict[str, Running]", self.snapshot.running)  # a mapping that has an end
        for row in reversed(running.values()):
            if row.started_seq <= seq:
                return
            yield row

    # ── who runs ──────────────────────────────────────────────────────────────────────────────────

    def start(self, job: Job, allocation: Allocation) -> None:
        """Give a job these slots now."""
        self.ledger.start(job, allocation.placements)
        self._rows[job.id] = (job, [*allocation.placements])
        self._started.add(job.id)
        self._steps.append(job.id)

    def take_up(self, job: Job, allocation: Allocation) -> None:
        """Let a job start on what was kept for it."""
        self.ledger.take_up(job, allocation)
        self._rows[job.id] = (job, [*allocation.placements])
        self._started.add(job.id)
        self._steps.append(job.id)

    def give_up(self, job: Job, allocation: Allocation, text: str) -> None:
        """Keep slots no longer for a job."""
        self.ledger.give_up(job, allocation)
        self._released.append(Release(job=job.id, text=text))

    def rows_of(self, row: Running) -> list[Placement]:
        """Give the rows of a running job whose workers stay, as far as it is decided."""
        known = self._rows.get(row.job.id)
        if known is not None:
            return known[1]
        leaving = self.snapshot.leaving.get(row.job.id, ())
        rows = [*row.allocation.placements]
        return without_last(rows, sum(one.count for one in leaving)) if leaving else rows

    def stays(self, row: Running) -> bool:
        """Say whether nobody has told the job to leave."""
        leaving = self.snapshot.leaving.get(row.job.id)
        if leaving and sum(one.count for one in leaving) == row.allocation.workers:
            return False
        return row.job.id not in self._gone

    def shrink(self, row: Running, beneficiary: str, rule: str) -> Placement:
        """Tell the last worker of a running job to leave, and give its slot."""
        rows = self.rows_of(row)
        last = Placement(rows[-1].node, rows[-1].group, 1)
        self.ledger.shrink(row, (last,))
        self._rows[row.job.id] = (row.job, without_last(rows, 1))
        self._resized[row.job.id] = (beneficiary, rule)
        return last

    def unshrink(self, row: Running, last: Placement) -> None:
        """Take back the last `shrink` of this job."""
        job, rows = self._rows[row.job.id]
        rows = with_more(rows, last)
        if sum(one.count for one in rows) == self._before(row):
            del self._rows[row.job.id], self._resized[row.job.id]
        else:
            self._rows[row.job.id] = (job, rows)

    def grow(self, job: Job, rows: list[Placement], more: Placement) -> None:
        """Give one more worker to a job that runs or starts."""
        self.ledger.grow(job, (more,))
        self._rows[job.id] = (job, with_more(rows, more))
        if job.id not in self._started:
            self._resized.setdefault(job.id, (None, None))

    def evict(self, row: Running, decision: Preempt) -> None:
        """Note an eviction that the ledger has booked."""
        self._gone[row.job.id] = decision
        self._rows.pop(row.job.id, None)
        self._resized.pop(row.job.id, None)

    def keep(self, job: Job, decision: Reserve) -> None:
        """Keep slots for a waiting job."""
        self.ledger.keep(job, decision.allocation)
        self._kept[job.id] = decision
        self._steps.append(decision)

    def promise(self, job: Job) -> None:
        """Note that nobody may delay this job from here on."""
        if job.id not in self.snapshot.planned and job.id not in self._kept:
            self._steps.append(Promise(job=job.id))

    def started(self, job: str) -> list[Placement] | None:
        """Give the rows of a job that starts in this cycle."""
        return self._rows[job][1] if job in self._started else None

    def leaving_for(self, job: str) -> tuple[str, ...] | None:
        """Name who leaves for a job for which slots are kept; None if none are."""
        if job in self._kept:
            return self._kept[job].victims
        if job in self.snapshot.reserved and job not in self._started:
            return leavers(self.snapshot, job)
        return None

    def keepers(self) -> dict[str, Allocation]:
        """Give what is kept when this is carried out, by the job that it is kept for."""
        over = self._started | {one.job for one in self._released}
        before = {job: rows for job, rows in self.snapshot.reserved.items() if job not in over}
        return before | {job: one.allocation for job, one in self._kept.items()}

    def starting(self) -> list[tuple[Job, list[Placement]]]:
        """Give the jobs that start in this cycle."""
        return [self._rows[job] for job in self._started]

    def shrunk(self, row: Running) -> bool:
        """Say whether a running job loses workers in this cycle."""
        return self._resized.get(row.job.id, (None, None))[1] is not None

    def rows(self, job: str) -> list[Placement]:
        """Give the rows of a job that was given any in this cycle."""
        return self._rows[job][1]

    def wake(self, at_ms: int) -> None:
        """Ask for another cycle at that instant, if that is sooner than what was asked for."""
        if at_ms > self.snapshot.now_ms and (self.wake_at_ms is None or at_ms < self.wake_at_ms):
            self.wake_at_ms = at_ms

    # ── the plan ──────────────────────────────────────────────────────────────────────────────────

    def decisions(self) -> tuple[Decided, ...]:
        """Give all that was decided, in the order in which it can be carried out."""
        found: list[Decided] = [*self._released]
        grown: list[Decided] = []
        for name, (beneficiary, rule) in self._resized.items():
            row, rows = self.snapshot.running[name], self._rows[name][1]
            count, before = sum(one.count for one in rows), self._before(row)
            if count == before:
                continue
            resize = Resize(
                job=name, allocation=Allocation(tuple(rows)), beneficiary=beneficiary, rule=rule
            )
            (found if count < before else grown).append(resize)
        found += self._gone.values()
        for step in self._steps:
            if isinstance(step, str):
                rows = self._rows[step][1]
                found.append(Start(job=step, allocation=Allocation(tuple(rows))))
            else:
                found.append(step)
        found += grown
        refused = [
            (job.order, job.id, self.never[lane.kind])
            for lane in self.lanes
            if lane.kind in self.never
            for job in lane.jobs[lane.at :]
        ]
        refused.sort(key=lambda one: one[:2])
        found += [Reject(job=name, wait=wait) for _, name, wait in refused]
        return tuple(found)

    def plan(self, **rest: object) -> Plan:
        """Give the plan of this cycle."""
        return Plan(
            basis=self.snapshot.basis,
            decisions=self.decisions(),
            wake_at_ms=self.wake_at_ms,
            **rest,  # type: ignore[arg-type]  # holds and explain, from the one caller
        )

    def _before(self, row: Running) -> int:
        leaving = self.snapshot.leaving.get(row.job.id, ())
        return row.allocation.workers - sum(one.count for one in leaving)


def without_last(rows: list[Placement], count: int) -> list[Placement]:
    """Take the last `count` workers off the end."""
    rest = [*rows]
    while count and rest:
        last = rest.pop()
        if last.count > count:
            rest.append(Placement(last.node, last.group, last.count - count))
            return rest
        count -= last.count
    return rest


def with_more(rows: list[Placement], more: Placement) -> list[Placement]:
    """Add workers at the end."""
    if rows and (rows[-1].node, rows[-1].group) == (more.node, more.group):
        return [*rows[:-1], Placement(more.node, more.group, rows[-1].count + more.count)]
    return [*rows, more]
