"""What /metrics counts of attempts, told event by event."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from makeway.errors import NotFound
from makeway.model import event as ev
from makeway.model.cluster import Allocation, Placement
from makeway.model.job import JobSpec
from makeway.model.phase import JobPhase
from makeway.model.record import Cause, CauseClass, Decision, Diagnosis, Report
from makeway.server.tally import Tally
from makeway.wire.jobs import AttemptView, GroupView, JobView
from tests.builders import group

TWO = Allocation((Placement(node="n1", group="worker", count=2),))


def unknown(job: str) -> JobView:
    raise NotFound(f"there is no job {job}")


class Told:
    """A tally that is told events at instants in seconds."""

    def __init__(self) -> None:
        self.tally = Tally(unknown)
        self._seq: Iterator[int] = iter(range(1, 1000))

    def at(self, at_s: float, *events: ev.Event) -> Told:
        for event in events:
            entry = ev.Entry(seq=next(self._seq), at_ms=round(at_s * 1000), cause=0, event=event)
            self.tally.add(entry)
        return self


def submitted(name: str, run: str | None = None) -> ev.JobSubmitted:
    shape = (group(count=2, cpus=1.5),)
    return ev.JobSubmitted(
        job="j", spec=JobSpec(name=name, user="ada", queue="main", groups=shape, run=run)
    )


def started(number: int = 1) -> ev.AttemptStarted:
    return ev.AttemptStarted(job="j", number=number, fence=number, allocation=TWO, barrier_at_ms=0)


def ended(cause: Cause, cause_class: CauseClass, dropped: int = 0) -> ev.AttemptEnded:
    found = Diagnosis(cause=cause, cause_class=cause_class, confidence="established", text="")
    return ev.AttemptEnded(
        job="j", number=1, fence=1, diagnosis=found, report=Report(dropped=dropped)
    )


WELL = ended(Cause.NONE, CauseClass.NONE)
OUT_OF_MEMORY = ended(Cause.OOM_HOST, CauseClass.RESOURCE)


def test_an_attempt_counts_under_its_workflow_and_step() -> None:
    told = Told().at(0, submitted("flow.train[3]", run="r")).at(4, started()).at(10, WELL)
    assert told.tally.attempts == {("flow", "train", "succeeded", "NONE"): 1}
    assert told.tally.queued_ms == {("flow", "train"): 4_000}
    assert told.tally.ran_ms == {("flow", "train"): 6_000}
    assert not told.tally.wasted
    assert not told.tally.diagnoses


def test_a_job_by_itself_is_no_label() -> None:
    told = Told().at(0, submitted("my.experiment")).at(1, started()).at(2, WELL)
    assert told.tally.attempts == {("", "", "succeeded", "NONE"): 1}


def test_a_failed_attempt_has_wasted_all_that_it_held() -> None:
    told = Told().at(0, submitted("flow.train", run="r")).at(0, started()).at(10, OUT_OF_MEMORY)
    assert told.tally.wasted == {("cpus", "OOM_HOST"): 2 * 1.5 * 10_000}
    assert told.tally.diagnoses == {("OOM_HOST", "established"): 1}


def test_an_evicted_attempt_has_wasted_what_was_not_saved() -> None:
    stop = ev.AttemptStopped(
        job="j", number=1, fence=1, cause="preempted", grace_ms=0, lost_worker_ms=2 * 3_000
    )
    gone = ended(Cause.PREEMPTED, CauseClass.PREEMPTED)
    told = Told().at(0, submitted("flow.train", run="r")).at(0, started()).at(10, stop, gone)
    assert told.tally.wasted == {("cpus", "PREEMPTED"): 2 * 1.5 * 3_000}
    assert told.tally.attempts == {("flow", "train", "aborted", "PREEMPTED"): 1}


def test_a_retry_counts_for_the_ledger_that_paid_and_its_wait_begins_anew() -> None:
    decision = Decision(
        action="retry", cause=Cause.OOM_HOST, fingerprint="", text="", rule="", ledger="oom"
    )
    again = ev.JobRequeued(job="j", not_before_ms=0, decision=decision)
    told = Told().at(0, submitted("flow.train", run="r")).at(1, started()).at(5, OUT_OF_MEMORY)
    told.at(5, again).at(7, started(2)).at(9, WELL)
    assert told.tally.retries == {"oom": 1}
    assert told.tally.queued_ms == {("flow", "train"): 1_000 + 2_000}
    assert told.tally.starts == {("flow", "train"): 2}


def test_dropped_samples_add_up() -> None:
    told = Told().at(0, submitted("a")).at(0, started())
    told.at(1, ended(Cause.NONE, CauseClass.NONE, dropped=7))
    assert told.tally.dropped == 7


def test_what_is_final_is_forgotten_and_what_nobody_knows_is_only_counted() -> None:
    told = Told().at(0, submitted("a")).at(1, started()).at(2, WELL)
    told.at(2, ev.JobFinished(job="j", phase=JobPhase.SUCCEEDED)).at(3, OUT_OF_MEMORY)
    assert told.tally.diagnoses == {("OOM_HOST", "established"): 1}
    assert told.tally.attempts == {("", "", "succeeded", "NONE"): 1}


def test_a_job_from_before_the_service_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    view = JobView(
        id="j", name="flow.train", user="ada", queue="main", job_class="medium", priority=0,
        phase="running", workers=2, run="r", submitted_s=0, attempts=(
            AttemptView(number=1, phase="running", started_s=2),
        ),
        groups=(GroupView(name="worker", min=2, max=2, per_worker={"cpus": 1.5}),),
    )  # fmt: skip
    monkeypatch.setattr(told.tally, "_asked", lambda _job: view)
    told.at(12, OUT_OF_MEMORY)
    assert told.tally.wasted == {("cpus", "OOM_HOST"): 2 * 1.5 * 10_000}
    assert told.tally.ran_ms == {("flow", "train"): 10_000}
