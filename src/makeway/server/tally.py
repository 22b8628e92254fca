"""Count what becomes of attempts, for /metrics: a fold over the log since the service began.

A step counts under its workflow and its name, all slots of a mapped step together; a job by itself
counts under neither. No run and no id is a label, so the table stays as small as the code that
people write.

Takes:   entries of the log, in order; and whom to ask about a job that was there before
Holds:   wasted is what an attempt held that failed, from its start to its end, and of one that was
         evicted what was done since its last checkpoint; a job that a user cancelled wasted nothing
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import msgspec

from makeway.errors import MakewayError
from makeway.model import event as ev
from makeway.model.cluster import Allocation
from makeway.model.record import Cause, CauseClass, Diagnosis
from makeway.wire.amounts import Amounts, amounts
from makeway.wire.jobs import JobView

ENDED = (CauseClass.PREEMPTED, CauseClass.CANCELLED)
Step = tuple[str, str]  # workflow and step; both empty for a job by itself


class _Known(msgspec.Struct, kw_only=True):
    """What must be known of an open job when an attempt of it ends. Instants in ms."""

    step: Step
    per_worker: Mapping[str, Amounts]
    waits_since_ms: int
    started_ms: int | None = None
    workers: Mapping[str, int] = {}
    lost_worker_ms: int = 0


class Tally:
    """The counters; see the module. Only the thread that follows the log writes here."""

    def __init__(self, asked: Callable[[str], JobView]) -> None:
        """Take whom to ask about a job."""
        self._asked = asked
        self._jobs: dict[str, _Known] = {}
        self.attempts: Counter[tuple[str, str, str, str]] = Counter()
        self.diagnoses: Counter[tuple[str, str]] = Counter()
        self.retries: Counter[str] = Counter()
        self.wasted: Counter[tuple[str, str]] = Counter()
        self.queued_ms: Counter[Step] = Counter()
        self.starts: Counter[Step] = Counter()
        self.ran_ms: Counter[Step] = Counter()
        self.ends: Counter[Step] = Counter()
        self.dropped = 0

    def add(self, entry: ev.Entry) -> None:
        """Count one entry."""
        match entry.event:
            case ev.JobSubmitted(job=job, spec=spec):
                shape = {name: amounts(one) for name, one in spec.shape().items()}
                step = _step(spec.name, spec.run)
                self._jobs[job] = _Known(step=step, per_worker=shape, waits_since_ms=entry.at_ms)
            case ev.JobEligible(job=job) | ev.JobRequeued(job=job) as moved:
                if isinstance(moved, ev.JobRequeued) and moved.decision.ledger is not None:
                    self.retries[moved.decision.ledger] += 1
                if known := self._known(job):
                    known.waits_since_ms = entry.at_ms
            case ev.AttemptStarted(job=job, allocation=allocation):
                self._started(job, allocation, entry.at_ms)
            case ev.AttemptResized(job=job, allocation=allocation):
                if known := self._known(job):
                    known.workers = _counted(allocation)
            case ev.AttemptStopped(job=job, lost_worker_ms=lost_ms):
                if known := self._known(job):
                    known.lost_worker_ms = lost_ms
            case ev.AttemptEnded() as ended:
                self._ended(ended, entry.at_ms)
            case ev.JobFinished(job=job):
                self._jobs.pop(job, None)
            case _:
                pass

    def _started(self, job: str, allocation: Allocation, at_ms: int) -> None:
        if known := self._known(job):
            known.started_ms, known.workers, known.lost_worker_ms = at_ms, _counted(allocation), 0
            self.starts[known.step] += 1
            self.queued_ms[known.step] += max(0, at_ms - known.waits_since_ms)

    def _ended(self, ended: ev.AttemptEnded, at_ms: int) -> None:
        diagnosis, known = ended.diagnosis, self._known(ended.job)
        self.dropped += ended.report.dropped if ended.report else 0
        if diagnosis.cause is not Cause.NONE:
            self.diagnoses[str(diagnosis.cause), diagnosis.confidence] += 1
        if known is None:
            return
        outcome = _outcome(diagnosis)
        self.attempts[(*known.step, outcome, str(diagnosis.cause))] += 1
        if known.started_ms is None:
            return
        ran_ms = max(0, at_ms - known.started_ms)
        self.ends[known.step] += 1
        self.ran_ms[known.step] += ran_ms
        for resource, amount in _wasted(known, outcome, ran_ms).items():
            self.wasted[resource, str(diagnosis.cause)] += amount
        known.started_ms = None

    def _known(self, job: str) -> _Known | None:
        """Give what is known of a job; one from before the service began is asked for once."""
        if job not in self._jobs:
            try:
                view = self._asked(job)
            except MakewayError:
                return None
            last = view.attempts[-1] if view.attempts else None
            self._jobs[job] = _Known(
                step=_step(view.name, view.run),
                per_worker={group.name: group.per_worker for group in view.groups},
                waits_since_ms=_ms(view.submitted_s),
                started_ms=_ms(last.started_s) if last is not None else None,
                workers={view.groups[0].name: view.workers} if view.groups else {},
            )
        return self._jobs[job]


def _wasted(known: _Known, outcome: str, ran_ms: int) -> dict[str, int]:
    """Give the resource-milliseconds that came to nothing, by resource."""
    workers = sum(known.workers.values())
    if outcome == "succeeded" or not workers:
        return {}
    part = ran_ms if outcome == "failed" else known.lost_worker_ms / workers
    wasted: Counter[str] = Counter()
    for group, count in known.workers.items():
        for resource, amount in known.per_worker.get(group, {}).items():
            wasted[resource] += round(amount * count * part)
    return wasted


def _step(name: str, run: str | None) -> Step:
    if run is None:
        return "", ""
    workflow, _, step = name.partition(".")
    return workflow, step.partition("[")[0]


def _counted(allocation: Allocation) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for placement in allocation.placements:
        counts[placement.group] += placement.count
    return counts


def _outcome(diagnosis: Diagnosis) -> str:
    if diagnosis.cause is Cause.NONE:
        return "succeeded"
    return "aborted" if diagnosis.cause_class in ENDED else "failed"


def _ms(at_s: float) -> int:
    return round(at_s * 1000)
