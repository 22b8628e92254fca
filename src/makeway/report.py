"""Fold a log into the figures that people compare: waits, completion times, use, fairness, losses.

A log is a log, live or simulated: nothing here knows which. Each event moves a few sums.

Takes:   entries   a log from its first entry on
Gives:   Report with one `JobFigures` a job, in the order of submission; a figure that cannot be
         said (no job has ended, no machine was there) is None, and times are in ms
Holds:   waits and completion times count from submission, over all attempts · use is that of
         the kind of which most was used, from the first submission to the last end, and at most 1 ·
         lost is what was done since the last checkpoint when an attempt failed or was evicted; what
         a user cancelled is not lost · what runs still counts until the last entry (or `until_ms`),
         and where nothing has ended, that takes the place of the last end
Cost:    O(entries)
Source:  fairness index: Jain, Chiu, Hawe, DEC-TR-301, 1984
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from makeway.model import event as ev
from makeway.model.cluster import Allocation, Queue, lineage_of, usage_of, with_parents
from makeway.model.job import JobSpec
from makeway.model.phase import JobPhase
from makeway.model.record import Cause
from makeway.model.resources import CPU, Resources

NOT_LOST = (Cause.NONE, Cause.CANCELLED)


class JobFigures(msgspec.Struct, kw_only=True):
    """What the log says of one job; `lost_worker_ms` went into attempts that came to nothing."""

    job: str
    user: str
    queue: str
    submitted_at_ms: int
    started_at_ms: int | None = None
    ended_at_ms: int | None = None
    phase: JobPhase = JobPhase.QUEUED
    attempts: int = 0
    retries: int = 0
    lost_worker_ms: int = 0

    @property
    def wait_ms(self) -> int | None:
        """Give the time from submission to the first start."""
        return None if self.started_at_ms is None else self.started_at_ms - self.submitted_at_ms

    @property
    def completion_ms(self) -> int | None:
        """Give the time from submission to the end, if it ended well."""
        well = self.ended_at_ms is not None and self.phase is JobPhase.SUCCEEDED
        return (self.ended_at_ms or 0) - self.submitted_at_ms if well else None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a whole log."""

    jobs: tuple[JobFigures, ...]
    events: int
    makespan_ms: int
    mean_wait_ms: float | None
    mean_completion_ms: float | None
    p50_completion_ms: int | None
    p99_completion_ms: int | None
    utilisation: float | None
    scarcest: str | None
    jain: float | None
    retries: int
    lost_worker_ms: int


def report(entries: Iterable[ev.Entry], until_ms: int | None = None) -> Report:
    """Fold a log, as of its last entry or of a later instant."""
    fold = _Fold()
    for entry in entries:
        fold.add(entry)
    if until_ms is not None:
        fold.pass_time(until_ms)
    jobs = tuple(fold.jobs.values())
    waits = [job.wait_ms for job in jobs if job.wait_ms is not None]
    completions = sorted(job.completion_ms for job in jobs if job.completion_ms is not None)
    return Report(
        jobs=jobs,
        events=fold.events,
        makespan_ms=max(0, fold.end_ms - fold.begin_ms),
        mean_wait_ms=_mean(waits),
        mean_completion_ms=_mean(completions),
        p50_completion_ms=percentile(completions, 50),
        p99_completion_ms=percentile(completions, 99),
        utilisation=fold.use,
        scarcest=fold.scarcest,
        jain=jain(list(fold.usage_by_share().values())),
        retries=sum(job.retries for job in jobs),
        lost_worker_ms=sum(job.lost_worker_ms for job in jobs),
    )


def jain(values: Sequence[float]) -> float | None:
    """Say how even the values are: 1 if all are equal, 1/n if one has it all."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else None


class _Holding(msgspec.Struct):
    began_ms: int  # since when work may be lost; `since_ms`: since when it holds this much
    since_ms: int
    workers: int
    vector: Resources
    lost_worker_ms: int | None = None  # what an eviction said that it costs


class _Fold:
    """The sums that the events move."""

    def __init__(self) -> None:
        self.jobs: dict[str, JobFigures] = {}
        self.events = 0
        # By kind, integrals over time since the first submission; and as of the last end.
        self._held: dict[str, int] = defaultdict(int)
        self._there: dict[str, int] = defaultdict(int)
        self._at_end: dict[str, float] = {}
        self._ended_any = False
        self._specs: dict[str, JobSpec] = {}
        self._holding: dict[str, _Holding] = {}
        self._nodes: dict[str, Resources] = {}
        self._queues: dict[str, Queue] = {}
        # By queue and user, and by kind.
        self._usage: dict[tuple[str, str], dict[str, int]] = {}
        self._now: dict[str, int] = defaultdict(int)
        self._at_ms = self.begin_ms = self.end_ms = 0

    @property
    def scarcest(self) -> str | None:
        """Give the kind of which the largest part was used."""
        used = self._used
        return max(used, key=used.__getitem__, default=None)

    @property
    def _used(self) -> dict[str, float]:
        return self._at_end if self._ended_any else self._parts()

    def _parts(self) -> dict[str, float]:
        there = {kind: amount for kind, amount in self._there.items() if amount}
        return {kind: self._held.get(kind, 0) / amount for kind, amount in there.items()}

    @property
    def use(self) -> float | None:
        """Give how much of the scarcest kind was used."""
        return None if self.scarcest is None else self._used[self.scarcest]

    def add(self, entry: ev.Entry) -> None:
        """Count one event."""
        self.events += 1
        self.pass_time(entry.at_ms)
        match entry.event:
            case ev.NodeJoined(node=node):
                self._nodes[node.name] = node.capacity
            case ev.NodeLost(name=name) | ev.NodeRemoved(name=name):
                self._nodes.pop(name, None)
            case ev.QueuesConfigured(queues=queues):
                self._queues = {queue.path: queue for queue in queues}
            case ev.JobSubmitted(job=job, spec=spec, since_ms=since_ms):
                self._submitted(job, spec, entry.at_ms if since_ms is None else since_ms)
            case ev.AttemptStarted() as started:
                self.jobs[started.job].attempts = started.number
                self._begin(started.job, started.allocation, entry.at_ms)
            case ev.AttemptAdopted() as adopted:
                self._begin(adopted.job, adopted.allocation, adopted.started_at_ms)
            case ev.AttemptResized(job=job, allocation=allocation):
                self._resized(job, allocation)
            case ev.AttemptStopped(job=job, cause="preempted", lost_worker_ms=lost_ms):
                self._holding[job].lost_worker_ms = lost_ms
            case ev.AttemptEnded(job=job, diagnosis=diagnosis):
                self._ended(job, lost=diagnosis.cause not in NOT_LOST)
            case ev.JobRequeued(job=job, decision=decision):
                self.jobs[job].phase = JobPhase.QUEUED
                self.jobs[job].retries += decision.ledger is not None
            case ev.JobFinished(job=job, phase=phase):
                self.jobs[job].phase = phase
                self.jobs[job].ended_at_ms = self.end_ms = entry.at_ms
                self._at_end, self._ended_any = self._parts(), True
                del self._specs[job]
            case _:
                pass

    def usage_by_share(self) -> dict[str, float]:
        """Give, by user, use of the scarcest kind over the part that the weights promise.

        The users of one queue divide its part equally; so a user's parts of several queues add up.
        """
        queues = dict(self._queues)
        for path in [*queues, *(queue for queue, _ in self._usage)]:
            queues |= with_parents(queues, path)
        users: dict[str, int] = defaultdict(int)
        for queue, _ in self._usage:
            users[queue] += 1
        used: dict[str, int] = defaultdict(int)
        share: dict[str, float] = defaultdict(float)
        kind = self.scarcest or CPU
        running: dict[tuple[str, str], int] = defaultdict(int)
        for job, held in self._holding.items():
            row = self.jobs[job]
            running[row.queue, row.user] += held.vector[kind] * (self._at_ms - held.since_ms)
        for (queue, user), usage in self._usage.items():
            used[user] += usage.get(kind, 0) + running.get((queue, user), 0)
            share[user] += _part(queue, queues) / users[queue]
        return {user: used[user] / share[user] for user in used if share[user]}

    def pass_time(self, at_ms: int) -> None:
        """Let what is held be held until then."""
        past_ms = at_ms - self._at_ms
        if past_ms and self.jobs:
            for capacity in self._nodes.values():
                for kind, amount in capacity.amounts.items():
                    self._there[kind] += past_ms * amount
            for kind, amount in self._now.items():
                self._held[kind] += past_ms * amount
        self._at_ms = at_ms

    def _submitted(self, job: str, spec: JobSpec, since_ms: int) -> None:
        self.begin_ms = min(self.begin_ms, since_ms) if self.jobs else since_ms
        self._specs[job] = spec
        self._usage.setdefault((spec.queue, spec.user), {})
        self.jobs[job] = JobFigures(
            job=job, user=spec.user, queue=spec.queue, submitted_at_ms=since_ms
        )

    def _begin(self, job: str, allocation: Allocation, at_ms: int) -> None:
        figures, vector = self.jobs[job], usage_of(allocation, self._specs[job].shape())
        self._move(vector, 1)
        self._holding[job] = _Holding(at_ms, self._at_ms, allocation.workers, vector)
        figures.phase = JobPhase.RUNNING
        if figures.started_at_ms is None:
            figures.started_at_ms = at_ms

    def _resized(self, job: str, allocation: Allocation) -> None:
        held = self._holding[job]
        self._count(job, held)
        vector = usage_of(allocation, self._specs[job].shape())
        self._move(vector, 1)
        held.since_ms, held.workers, held.vector = self._at_ms, allocation.workers, vector

    def _ended(self, job: str, *, lost: bool) -> None:
        held = self._holding.pop(job)
        self._count(job, held)
        if lost:
            ran_ms, every_ms = self._at_ms - held.began_ms, self._specs[job].checkpoint_every_ms
            since_ms = ran_ms % every_ms if every_ms else ran_ms
            told = held.lost_worker_ms
            self.jobs[job].lost_worker_ms += since_ms * held.workers if told is None else told

    def _count(self, job: str, held: _Holding) -> None:
        """Charge what a job has held until now."""
        self._move(held.vector, -1)
        usage = self._usage[self.jobs[job].queue, self.jobs[job].user]
        for kind, amount in held.vector.amounts.items():
            usage[kind] = usage.get(kind, 0) + amount * (self._at_ms - held.since_ms)

    def _move(self, vector: Resources, sign: int) -> None:
        for kind, amount in vector.amounts.items():
            self._now[kind] += sign * amount


def _part(path: str, queues: dict[str, Queue]) -> float:
    """Multiply, down from the root, each queue's weight over those of its siblings and its own."""
    part = 1.0
    for queue in (queues[above] for above in lineage_of(path) if above):
        siblings = (
            other for other in queues.values() if other.path and other.parent == queue.parent
        )
        part *= queue.weight / sum(sibling.weight for sibling in siblings)
    return part


def _mean(values: Sequence[int]) -> float | None:
    return sum(values) / len(values) if values else None


def percentile(ordered: Sequence[int], per_cent: int) -> int | None:
    """Give the smallest value that at least so many per cent do not exceed (nearest rank)."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(len(ordered) * per_cent / 100) - 1)]
