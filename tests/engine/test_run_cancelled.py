"""A run that is cancelled: what becomes of its steps in whatever phase they are."""

from __future__ import annotations

from makeway.model import event as ev
from tests import builders
from tests.engine.house import House
from tests.engine.test_runs import flow, phases, step


def test_a_cancelled_run_stops_its_jobs_and_ends_when_the_last_worker_has_left() -> None:
    house = House("n1", cpus=4)
    whole = builders.amounts(cpus=4)
    house.runs("r", flow(step("a", per_worker=whole), step("b", per_worker=whole), step("c", "a")))
    house.go("r.a")
    told = house.tell(ev.RunCancelRequested(run="r", text="enough"))
    assert told == [
        "JobCancelRequested r.a",
        "AttemptStopped r.a/1 for cancel",
        "JobCancelRequested r.b",
        "JobFinished r.b cancelled",
        "ExecutionEnded r.b cancelled",
        "ExecutionEnded r.c cancelled",
    ]
    assert house.exits("r.a", signal=15) == [
        "AttemptEnded r.a/1: CANCELLED",
        "JobFinished r.a cancelled",
        "ExecutionEnded r.a cancelled",
        "RunFinished r cancelled",
    ]


def test_a_cancelled_run_submits_nothing_more_even_if_its_last_job_succeeds() -> None:
    house = House()
    house.runs("r", flow(step("a"), step("b", "a")))
    house.go("r.a")
    house.tell(ev.RunCancelRequested(run="r"))
    assert house.exits("r.a")[-2:] == ["ExecutionEnded r.a succeeded", "RunFinished r cancelled"]


def test_a_job_of_a_run_that_is_cancelled_alone_omits_what_hangs_on_it() -> None:
    house = House()
    house.runs("r", flow(step("a"), step("b", "a"), step("c")))
    house.tell(ev.JobCancelRequested(job="r.a"))
    house.exits("r.a", signal=15, started=False)
    assert phases(house) == {"a": "cancelled", "b": "omitted", "c": "starting"}


def test_a_run_cancelled_while_a_job_waits_to_be_tried_again() -> None:
    house = House()
    house.runs("r", flow(step("a")))
    house.go("r.a")
    house.fails("r.a", "ConnectionError")
    told = house.tell(ev.RunCancelRequested(run="r"))
    assert told[-1] == "RunFinished r cancelled"


def test_a_run_that_is_cancelled_with_a_job_that_is_being_cancelled_does_not_ask_twice() -> None:
    house = House()
    house.runs("r", flow(step("a")))
    house.tell(ev.JobCancelRequested(job="r.a"))
    assert house.tell(ev.RunCancelRequested(run="r")) == []
