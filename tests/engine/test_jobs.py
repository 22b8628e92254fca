"""The life of a job of one worker, from its submission to its one end."""

from __future__ import annotations

import pytest

from makeway.model import event as ev
from makeway.model.cluster import Allocation, Placement, Queue
from makeway.model.phase import AttemptPhase, JobPhase
from makeway.model.record import Report
from makeway.model.wait import Reason
from makeway.policy.plan import Plan, Start
from makeway.policy.snapshot import Snapshot
from tests import builders
from tests.engine.house import House, spec


def test_a_job_goes_through_its_life() -> None:
    house = House()

    assert house.submit("a") == ["AttemptStarted a/1 on n1"]
    assert house.orders == ["launch a/1 on n1"]
    assert house.ready("a", 0) == ["AttemptReleased a/1"]
    assert house.orders == ["release a/1 to meet at 10.0.0.0:29500"]
    assert house.tell(house.said(ev.WorkerStarted, "a", 0)) == []
    assert house.exits("a", 0) == ["AttemptEnded a/1: NONE", "JobFinished a succeeded"]

    assert house.engine.state.jobs == {}
    assert house.free_cpus() == {"n1": 4, "n2": 4}


def test_what_rank_0_leaves_behind_is_what_the_job_leaves_behind() -> None:
    house = House()
    house.submit("a", workers=2)
    house.go("a")
    house.exits("a", 1, report=Report(metrics={"loss": 2.0}))
    house.exits("a", 0, report=Report(metrics={"loss": 1.0}))
    assert house.last(ev.JobFinished).report == Report(metrics={"loss": 1.0})


def test_every_event_names_what_it_follows_from() -> None:
    house = House("n1")
    house.submit("a")
    house.ready("a", 0)
    causes = {type(entry.event).__name__: (entry.seq, entry.cause) for entry in house.log}
    assert causes == {
        "NodeJoined": (1, 0),
        "JobSubmitted": (2, 0),
        "AttemptStarted": (3, 2),  # the plan was made from all that was known at 2
        "WorkerReady": (4, 0),
        "AttemptReleased": (5, 4),
    }


def test_a_job_that_has_no_room_waits_and_says_why() -> None:
    house = House("n1", cpus=4)
    house.submit("a", cpus=3)
    assert house.submit("b", cpus=2) == ["StartPlanned b", "JobWaiting b: InsufficientFree"]
    assert house.orders == []
    assert house.engine.state.waits["b"].reason is Reason.INSUFFICIENT_FREE

    house.go("a")
    assert house.exits("a") == [
        "AttemptEnded a/1: NONE",
        "JobFinished a succeeded",
        "AttemptStarted b/1 on n1",
    ]
    assert house.engine.state.waits == {}


def test_the_log_keeps_a_reason_once_however_often_it_is_found_again() -> None:
    house = House("n1", cpus=4)
    house.submit("a", cpus=4)
    assert "JobWaiting b: InsufficientFree" in house.submit("b", cpus=2)
    assert house.submit("c", cpus=2) == ["JobWaiting c: InsufficientFree"]


def test_a_job_that_no_machine_can_ever_hold_is_rejected_at_once() -> None:
    house = House("n1", cpus=4)
    assert house.submit("big", cpus=5) == ["JobRejected big: NoNodeFits", "JobFinished big failed"]
    assert house.last(ev.JobFinished).text
    assert house.engine.state.jobs == {}


def test_a_job_that_waits_is_cancelled_at_once() -> None:
    house = House("n1", cpus=4)
    house.submit("a", cpus=4)
    house.submit("b")
    told = house.tell(ev.JobCancelRequested(job="b", text="not needed"))
    assert told == ["JobFinished b cancelled"]
    assert house.last(ev.JobFinished).text == "not needed"


def test_a_new_queue_gets_its_parents() -> None:
    house = House()
    house.submit("a", queue="org/lab/ada")
    assert {*house.engine.state.queues} == {"", "org", "org/lab", "org/lab/ada"}


def test_queues_that_are_no_longer_named_and_hold_no_job_go() -> None:
    house = House()
    house.submit("a", queue="org/lab/ada")
    house.tell(ev.QueuesConfigured(queues=(Queue(path="org", weight=3), Queue(path="else/x"))))
    queues = house.engine.state.queues
    assert {*queues} == {"", "org", "org/lab", "org/lab/ada", "else", "else/x"}
    assert queues["org"].weight == 3
    house.finish("a")
    house.tell(ev.QueuesConfigured(queues=()))
    assert {*house.engine.state.queues} == {""}


def test_a_machine_that_comes_takes_what_waits() -> None:
    house = House("n1", cpus=1)
    house.submit("a")
    house.submit("b")
    told = house.tell(ev.NodeJoined(node=builders.node("n2", cpus=1)))
    assert told == ["AttemptStarted b/1 on n2"]


def test_a_machine_that_grows_keeps_what_runs_on_it() -> None:
    house = House("n1", cpus=2)
    house.submit("a", cpus=2)
    house.tell(ev.NodeJoined(node=builders.node("n1", cpus=8)))
    assert house.free_cpus() == {"n1": 6}


def test_what_happens_in_one_step_is_known_before_anything_is_decided() -> None:
    house = House("n1", cpus=1)
    early = ev.JobSubmitted(job="early", spec=spec(queue="lab/ada"))
    urgent = ev.JobSubmitted(job="urgent", spec=spec(queue="lab/ada", priority=100))
    assert house.tell(early, urgent)[0] == "AttemptStarted urgent/1 on n1"


def test_the_engine_wants_to_be_called_when_something_is_due() -> None:
    house = House()
    house.submit("a", barrier_ms=60_000)
    assert house.wake_at_ms == house.now_ms + 60_000
    house.go("a")
    assert house.wake_at_ms is None


def test_a_second_step_without_events_gives_nothing() -> None:
    house = House("n1", cpus=1)
    house.submit("a")
    house.submit("b")
    assert house.tell() == []
    assert house.orders == []


def greedy(snapshot: Snapshot) -> Plan:
    """Give every job a place on n1, whether there is room or not."""
    on_n1 = Allocation((Placement("n1", "worker", 1),))
    starts = tuple(Start(job=job.id, allocation=on_n1) for job in snapshot.waiting())
    return Plan(basis=snapshot.basis, decisions=starts)


def test_a_policy_that_gives_more_than_there_is_is_stopped_before_anything_changes() -> None:
    house = House("n1", cpus=4, policy=greedy)
    house.submit("a", cpus=3)
    with pytest.raises(AssertionError, match="b does not fit on n1: a bug of the policy"):
        house.submit("b", cpus=2)
    assert house.free_cpus() == {"n1": 1}
    assert house.job("b").phase is JobPhase.QUEUED
    assert {*house.engine.state.attempts} == {"a"}


def test_running_jobs_are_shown_to_the_policy_as_they_are_now() -> None:
    house = House()
    house.submit("a")
    house.go("a")
    house.tell(ev.JobCancelRequested(job="a"))
    shown = house.engine.state.snapshot(house.now_ms).running["a"].job
    assert shown.phase is JobPhase.EVICTING
    assert shown.cancel_wanted
    assert house.attempt("a").phase is AttemptPhase.STOPPING
