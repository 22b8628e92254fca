"""What the world says too late, twice, or about nothing that is known changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from makeway.model import event as ev
from makeway.model.record import Exit
from makeway.model.workflow import Step, Workflow
from tests.engine.house import House, spec

FLOW = Workflow(name="flow", file="flow.py", steps=(Step(key="only"),))
END = Exit(at_ms=0, code=0)


def busy() -> House:
    """Give a house where `a` is in its second attempt (fence 2) and run `r` is under way."""
    house = House("n1", "n2", "n3", cpus=2)
    house.submit("a", workers=2)
    house.tell(ev.NodeLost(name="n1"))
    house.ready("a", 0)
    house.runs("r", FLOW)
    return house


# what is said                                                              why it is not believed
CASES: list[tuple[ev.Event, str]] = [
    (ev.WorkerReady(job="a", fence=1, rank=0), "stale: fence 1, the living attempt has 2"),
    (ev.WorkerStarted(job="a", fence=1, rank=0), "stale: fence 1, the living attempt has 2"),
    (ev.WorkerExited(job="a", fence=1, rank=0, exit=END), "stale: fence 1, the living"),
    (ev.WorkerExited(job="a", fence=3, rank=0, exit=END), "stale: fence 3, the living"),
    (ev.WorkerReady(job="a", fence=2, rank=2), "no rank 2 in an attempt of 2"),
    (ev.WorkerReady(job="a", fence=2, rank=-1), "no rank -1 in an attempt of 2"),
    (ev.WorkerReady(job="a", fence=2, rank=0), "said already"),
    (ev.WorkerReady(job="zzz", fence=1, rank=0), "no attempt of zzz is alive"),
    (ev.WorkerExited(job="zzz", fence=1, rank=0, exit=END), "no attempt of zzz is alive"),
    (ev.NodeLost(name="n1"), "no such node"),
    (ev.JobSubmitted(job="a", spec=spec()), "the job is known"),
    (ev.JobCancelRequested(job="zzz"), "no such job, or it has ended"),
    (ev.RunSubmitted(run="r", workflow=FLOW, user="ada", queue="lab"), "the run is known"),
    (ev.RunCancelRequested(run="zzz"), "no such run, or it has ended"),
]


@pytest.mark.parametrize(
    "said,why", CASES, ids=[f"{why} {type(said).__name__}" for said, why in CASES]
)
def test_it_is_refused_and_changes_nothing(said: ev.Event, why: str) -> None:
    house = busy()
    seq = house.engine.state.seq
    assert house.tell(said) == []
    assert house.refused[0].startswith(why)
    assert house.engine.state.seq == seq
    assert house.orders == []


def after_the_end(house: House) -> ev.Event:
    house.exits("a", 0, code=1)
    return house.exited("a", 0, code=1)


def started_twice(house: House) -> ev.Event:
    house.ready("a", 1)
    said = house.said(ev.WorkerStarted, "a", 0)
    house.tell(said)
    return said


def started_after_the_end(house: House) -> ev.Event:
    house.ready("a", 1)
    house.exits("a", 0)
    return house.said(ev.WorkerStarted, "a", 0)


@pytest.mark.parametrize("before", [after_the_end, started_twice, started_after_the_end])
def test_what_was_said_already_is_refused(before: Callable[[House], ev.Event]) -> None:
    house = busy()
    again = before(house)
    assert house.tell(again) == []
    assert house.refused == ["said already"]


def test_one_bad_message_does_not_keep_the_others_of_its_step_from_being_believed() -> None:
    house = busy()
    stale = ev.WorkerReady(job="a", fence=1, rank=1)
    good = house.said(ev.WorkerReady, "a", 1)
    assert house.tell(stale, good, good) == ["AttemptReleased a/2"]
    assert house.refused == ["stale: fence 1, the living attempt has 2", "said already"]


def test_two_people_cancel_at_once() -> None:
    house = busy()
    cancel = ev.JobCancelRequested(job="a")
    assert house.tell(cancel, cancel) == ["AttemptStopped a/2 for cancel"]
    assert house.refused == ["it is being cancelled"]
    run = ev.RunCancelRequested(run="r")
    house.tell(run, run)
    assert house.refused == ["it is being cancelled"]
