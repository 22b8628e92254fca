"""Tell of each job what a log says of it: the rows that `makeway simulate -o json` prints.

Takes:   the entries of a log, one after the other, from the first on
Gives:   `jobs` by name, in the order of submission; `decisions`, in the order of the log;
         `refusals`, why a job was rejected
"""

from __future__ import annotations

from collections.abc import Mapping

from makeway.model import event as ev
from makeway.model.cluster import Allocation
from makeway.model.job import JobSpec
from makeway.model.record import Cause
from makeway.model.wait import Wait
from makeway.wire.placed import placed

Row = dict[str, object]
ENDS = {Cause.NONE: "succeeded", Cause.PREEMPTED: "preempted", Cause.CANCELLED: "cancelled"}


class Story:
    """The rows, as of the last entry that was added."""

    def __init__(self, classes: Mapping[str, int]) -> None:
        """Begin with nothing; `classes` are priorities by name."""
        self.jobs: dict[str, Row] = {}
        self.decisions: list[Row] = []
        self.adopted: dict[str, int] = {}  # by job: with so many workers it ran at the beginning
        self.refusals: dict[str, Wait] = {}
        self._specs: dict[str, JobSpec] = {}
        self._classes = {priority: name for name, priority in classes.items()}
        self._attempts: dict[str, list[Row]] = {}

    def add(self, entry: ev.Entry) -> None:
        """Take in one entry."""
        at_s, event = entry.at_ms / 1000, entry.event
        match event:
            case ev.JobSubmitted(job=job, spec=spec, since_ms=since_ms):
                self._submit(job, spec, at_s if since_ms is None else since_ms / 1000)
            case ev.AttemptAdopted(job=job, allocation=allocation, started_at_ms=started_ms):
                self.adopted[job] = allocation.workers
                self._begin(job, 1, allocation, started_ms / 1000)
            case ev.AttemptStarted(job=job, number=number, allocation=allocation):
                self._begin(job, number, allocation, at_s)
                self._decide(at_s, "start", job, {"workers": allocation.workers})
            case ev.AttemptEnded(job=job, diagnosis=diagnosis):
                end = ENDS.get(diagnosis.cause, "failed")
                self.jobs[job] |= {"workers": 0, "placement": {}}
                self._attempts[job][-1] |= {"ended_s": at_s, "end": end}
            case ev.JobRequeued(job=job):
                self.jobs[job]["phase"] = "queued"
            case ev.JobFinished(job=job, phase=phase, text=text):
                over = {"phase": phase.value, "ended_s": at_s, "text": text or None}
                self.jobs[job] |= over | ({} if job in self.refusals else {"wait": None})
            case ev.JobRejected(job=job, wait=wait):
                self.refusals[job] = wait
                self.jobs[job]["refused"] = True
                self._decide(at_s, "reject", job, {"reason": wait.reason.value})
            case _:
                self._add_decision(at_s, event)

    def _add_decision(self, at_s: float, event: ev.Event) -> None:
        match event:
            case ev.AttemptResized(job=job, allocation=allocation):
                self._hold(job, allocation)
                more = {"for": event.beneficiary, "rule": event.rule}
                self._decide(at_s, "resize", job, {"workers": allocation.workers, **more})
            case ev.AttemptStopped(job=job, cause=cause):
                row = self.jobs[job]
                row["phase"], workers, row["workers"] = "evicting", row["workers"], 0
                if cause == "preempted":
                    row["preemptions"] = int(str(row["preemptions"])) + 1
                    more = {"for": event.beneficiary, "rule": event.rule}
                    self._decide(
                        at_s,
                        "preempt",
                        job,
                        {"workers": workers, "reason": event.text or None, **more},
                    )
            case ev.JobWaiting(job=job, wait=wait):
                self._decide(at_s, "wait", job, {"reason": wait.reason.value})
            case ev.SlotsReserved(job=job, allocation=allocation, rule=rule):
                self._decide(at_s, "reserve", job, {"workers": allocation.workers, "rule": rule})
            case ev.StartPlanned(job=job, at_ms=at_ms):
                starts_s = None if at_ms is None else at_ms / 1000
                self._decide(at_s, "reserve", job, {"starts_s": starts_s})
            case _:
                pass

    def _submit(self, job: str, spec: JobSpec, since_s: float) -> None:
        self._specs[job], self._attempts[job] = spec, []
        self.jobs[job] = {
            "name": job, "queue": spec.queue, "class": self._classes.get(spec.priority),
            "priority": spec.priority, "phase": "queued", "workers": 0, "placement": {},
            "submitted_s": since_s, "started_s": None, "ended_s": None, "preemptions": 0,
            "attempts": self._attempts[job], "wait": None, "text": None, "refused": False,
        }  # fmt: skip

    def _begin(self, job: str, number: int, allocation: Allocation, at_s: float) -> None:
        row = self.jobs[job]
        row["phase"] = "running"
        if row["started_s"] is None:
            row["started_s"] = at_s
        attempt: Row = {"number": number, "started_s": at_s, "ended_s": None, "end": None}
        self._attempts[job].append(attempt | {"workers_max": 0})
        self._hold(job, allocation)

    def _hold(self, job: str, allocation: Allocation) -> None:
        row, attempt = self.jobs[job], self._attempts[job][-1]
        row["workers"] = allocation.workers
        row["placement"] = placed(allocation.placements, self._specs[job].groups)
        attempt["workers_max"] = max(int(str(attempt["workers_max"])), allocation.workers)

    def _decide(self, at_s: float, kind: str, job: str, more: Row) -> None:
        row: Row = {"at_s": at_s, "kind": kind, "job": job, "workers": None, "for": None}
        self.decisions.append(row | {"rule": None, "reason": None} | more)
