"""Fold what happens into the figures by which policies are compared, one entry after the other.

Nothing is kept of a job that has ended but how long it took, so a trace of any length is folded
while it is replayed.

Takes:   entries of a log, from the first on, in any portions
Gives:   `Figures`, at any time; times in ms, None where there is nothing to say
Holds:   waits and completion times count from submission, over all attempts · only jobs that ended
         well have a completion time · use is that of the kind of which most was used, from the first
         submission to the last end · lost is what an eviction said that it costs
Cost:    O(entries), a few sums each
Source:  fairness index: Jain, Chiu, Hawe, DEC-TR-301, 1984
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from makeway.model import event as ev
from makeway.model.phase import JobPhase
from makeway.model.resources import Resources
from makeway.report import jain, percentile


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What one policy made of a workload.

    speed         by user: the time its jobs ran over the time from their submission to their end
    jain          how even the users' speeds are: 1 if all are equal
    completions   in ascending order
    """

    jobs: int
    ended: int
    rejected: int
    makespan_ms: int
    mean_wait_ms: float | None
    mean_completion_ms: float | None
    p50_completion_ms: int | None
    p99_completion_ms: int | None
    use: float | None
    jain: float | None
    preemptions: int
    lost_worker_ms: int
    speed: dict[str, float]
    completions: Sequence[int]


class _Open(msgspec.Struct):
    """A job that has not ended."""

    user: str
    submitted_ms: int
    waited_ms: int | None = None
    ran_ms: int = 0
    since_ms: int | None = None
    vector: Resources = Resources()


class Fold:
    """The sums that the events move; see the module."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.submitted = self.over = 0
        self._open: dict[str, _Open] = {}
        self._rules = _rules(self)
        self._specs: dict[str, tuple[tuple[str, Resources], ...]] = {}
        self._waits_ms = self._started = 0
        self._completions: list[int] = []
        self._rejected = self._preemptions = self._lost_worker_ms = 0
        self._begin_ms: int | None = None
        self._end_ms = self._at_ms = 0
        self._nodes: dict[str, Resources] = {}
        self._capacity: dict[str, int] = {}
        self._there: dict[str, int] = {}
        self._held: dict[str, int] = {}
        self._users: dict[str, list[int]] = {}

    def add(self, entries: Iterable[ev.Entry]) -> None:
        """Count these."""
        rules = self._rules
        for entry in entries:
            rule = rules.get(type(entry.event))
            if rule is not None:
                rule(entry.event, entry.at_ms)

    def figures(self) -> Figures:
        """Say what has come of it so far."""
        completions = sorted(self._completions)
        makespan_ms = self._end_ms - (self._begin_ms or 0) if completions else 0
        self._pass(self._end_ms)
        uses = [self._held.get(kind, 0) / there for kind, there in self._there.items() if there]
        speed = {user: ran / took for user, (ran, took) in self._users.items() if took}
        return Figures(
            jobs=self.submitted,
            ended=self.over,
            rejected=self._rejected,
            makespan_ms=makespan_ms,
            mean_wait_ms=self._waits_ms / self._started if self._started else None,
            mean_completion_ms=sum(completions) / len(completions) if completions else None,
            p50_completion_ms=percentile(completions, 50),
            p99_completion_ms=percentile(completions, 99),
            use=max(uses, default=None),
            jain=jain([*speed.values()]),
            preemptions=self._preemptions,
            lost_worker_ms=self._lost_worker_ms,
            speed=speed,
            completions=completions,
        )

    def _submit(self, event: ev.JobSubmitted, at_ms: int) -> None:
        if self._begin_ms is None:
            self._begin_ms = self._at_ms = at_ms
        self.submitted += 1
        since_ms = at_ms if event.since_ms is None else event.since_ms
        self._open[event.job] = _Open(event.spec.user, since_ms)
        self._specs[event.job] = tuple((one.name, one.per_worker) for one in event.spec.groups)

    def _start(self, event: ev.AttemptStarted, at_ms: int) -> None:
        job = self._open[event.job]
        if job.waited_ms is None:
            job.waited_ms = at_ms - job.submitted_ms
            self._waits_ms += job.waited_ms
            self._started += 1
        job.since_ms, job.vector = at_ms, self._vector(event)

    def _adopt(self, event: ev.AttemptAdopted, at_ms: int) -> None:
        job = self._open[event.job]
        job.waited_ms, job.since_ms, job.vector = 0, at_ms, self._vector(event)
        self._started += 1

    def _resize(self, event: ev.AttemptResized, at_ms: int) -> None:
        job = self._open[event.job]
        self._charge(job, at_ms)
        job.since_ms, job.vector = at_ms, self._vector(event)

    def _vector(
        self, event: ev.AttemptStarted | ev.AttemptAdopted | ev.AttemptResized
    ) -> Resources:
        counts: dict[str, int] = {}
        for row in event.allocation.placements:
            counts[row.group] = counts.get(row.group, 0) + row.count
        total = Resources()
        for name, per_worker in self._specs[event.job]:
            if name in counts:
                vector = per_worker.times(counts[name])
                total = total + vector if total else vector
        return total

    def _stop(self, event: ev.AttemptStopped, _at_ms: int) -> None:
        if event.cause == "preempted":
            self._preemptions += 1
            self._lost_worker_ms += event.lost_worker_ms

    def _end(self, event: ev.AttemptEnded, at_ms: int) -> None:
        job = self._open[event.job]
        self._charge(job, at_ms)
        job.since_ms = None

    def _charge(self, job: _Open, at_ms: int) -> None:
        if job.since_ms is not None:
            ran_ms = at_ms - job.since_ms
            job.ran_ms += ran_ms
            for kind, amount in job.vector.amounts.items():
                self._held[kind] = self._held.get(kind, 0) + amount * ran_ms

    def _reject(self, _event: ev.JobRejected, _at_ms: int) -> None:
        self._rejected += 1

    def _finish(self, event: ev.JobFinished, at_ms: int) -> None:
        job = self._open.pop(event.job)
        del self._specs[event.job]
        self.over += 1
        if event.phase is not JobPhase.SUCCEEDED:
            return
        took_ms = at_ms - job.submitted_ms
        self._end_ms = at_ms
        self._completions.append(took_ms)
        sums = self._users.setdefault(job.user, [0, 0])
        sums[0] += job.ran_ms
        sums[1] += took_ms

    def _join(self, event: ev.NodeJoined, at_ms: int) -> None:
        self._pass(at_ms)
        self._swap(event.node.name, event.node.capacity)

    def _lose(self, event: ev.NodeLost | ev.NodeRemoved, at_ms: int) -> None:
        self._pass(at_ms)
        self._swap(event.name, Resources())

    def _swap(self, name: str, capacity: Resources) -> None:
        before = self._nodes.get(name, Resources())
        self._nodes[name] = capacity
        for kind in {*before, *capacity}:
            self._capacity[kind] = self._capacity.get(kind, 0) + capacity[kind] - before[kind]

    def _pass(self, at_ms: int) -> None:
        if self._begin_ms is None or at_ms <= self._at_ms:
            return
        for kind, amount in self._capacity.items():
            self._there[kind] = self._there.get(kind, 0) + amount * (at_ms - self._at_ms)
        self._at_ms = at_ms


# `Any`, in effect: each rule takes the one type that it is filed under.
def _rules(fold: Fold) -> dict[type, Callable[..., None]]:
    return {
        ev.NodeJoined: fold._join,  # noqa: SLF001 - of this module
        ev.NodeLost: fold._lose,  # noqa: SLF001
        ev.NodeRemoved: fold._lose,  # noqa: SLF001
        ev.JobSubmitted: fold._submit,  # noqa: SLF001
        ev.AttemptStarted: fold._start,  # noqa: SLF001
        ev.AttemptAdopted: fold._adopt,  # noqa: SLF001
        ev.AttemptResized: fold._resize,  # noqa: SLF001
        ev.AttemptStopped: fold._stop,  # noqa: SLF001
        ev.AttemptEnded: fold._end,  # noqa: SLF001
        ev.JobRejected: fold._reject,  # noqa: SLF001
        ev.JobFinished: fold._finish,  # noqa: SLF001
    }
