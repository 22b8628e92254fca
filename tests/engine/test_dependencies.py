"""A job that waits for others is held until they have ended as they should."""

from __future__ import annotations

from typing import Any

import pytest

from makeway.model import event as ev
from makeway.model.cluster import Queue
from makeway.model.job import After, On
from makeway.model.phase import JobPhase
from makeway.model.wait import Reason
from makeway.policy.plan import Start
from tests.engine.hand import Led, on
from tests.engine.house import House, spec


def after(*names: str, on: On = On.SUCCEEDED) -> tuple[After, ...]:
    return tuple(After(job=name, on=on) for name in names)


def test_a_job_is_held_until_its_parent_has_succeeded() -> None:
    house = House()
    house.submit("a")
    assert house.submit("b", after=after("a")) == ["JobWaiting b: DependencyPending"]
    state = house.engine.state
    assert state.waits["b"].text == "waits for a to succeed"
    assert state.waits["b"].blocked_by == ("a",)
    assert state.waiting == {}
    assert house.finish("a")[-2:] == ["JobEligible b", "AttemptStarted b/1 on n1"]
    assert state.pending == state.dependents == {}


def test_its_age_counts_from_the_end_of_its_last_parent() -> None:
    house = House("n1", cpus=1)
    house.submit("a")
    house.submit("b", after=after("a"))
    house.submit("c")
    assert house.job("b").order < house.job("c").order
    told = house.finish("a")
    assert "JobEligible b" in told
    assert "AttemptStarted c/1 on n1" in told
    assert house.job("b").order > house.job("c").order


def test_a_job_whose_parents_have_ended_well_is_not_held_at_all() -> None:
    house = House()
    house.submit("a")
    house.finish("a")
    assert house.submit("b", after=after("a")) == ["AttemptStarted b/1 on n1"]


def test_a_parent_that_nobody_knows_yet_may_still_come() -> None:
    house = House()
    assert house.submit("b", after=after("a")) == ["JobWaiting b: DependencyPending"]
    house.submit("a")
    assert "AttemptStarted b/1 on n1" in house.finish("a")


def test_all_parents_are_awaited() -> None:
    house = House()
    for name in ("a", "b"):
        house.submit(name)
    house.submit("c", after=(*after("a"), *after("b", on=On.ENDED)))
    assert house.engine.state.waits["c"].text == "waits for a to succeed, b to end"
    assert "JobEligible c" not in house.finish("a")
    assert "JobEligible c" in house.finish("b")


def test_a_failed_parent_cancels_all_who_wait_for_it_and_says_why() -> None:
    house = House()
    house.submit("a")
    house.submit("b", after=after("a"))
    house.submit("c", after=after("b", "a"))
    house.go("a")
    told = house.exits("a", code=1)
    assert told[1:] == [
        "JobFinished a failed",
        "JobWaiting b: DependencyPending",
        "JobFinished b cancelled",
        "JobWaiting c: DependencyPending",
        "JobFinished c cancelled",
    ]
    texts = {
        entry.event.job: entry.event.text
        for entry in house.log
        if isinstance(entry.event, ev.JobFinished)
    }
    assert texts["b"] == "dependency never satisfied: a failed"
    assert texts["c"] == "dependency never satisfied: a failed"
    assert house.engine.state.jobs == {}


def test_a_job_that_comes_too_late_for_its_parent_is_cancelled_at_once() -> None:
    house = House()
    house.submit("a")
    house.tell(ev.JobCancelRequested(job="a"))
    house.exits("a", signal=15)
    assert house.submit("b", after=after("a")) == [
        "JobWaiting b: DependencyPending",
        "JobFinished b cancelled",
    ]
    assert house.last(ev.JobWaiting).wait.text == "dependency never satisfied: a was cancelled"


# which end is meant    how the parent ends    what becomes of the job
ENDS: list[tuple[On, dict[str, Any], str]] = [
    (On.SUCCEEDED, {"code": 0}, "AttemptStarted b/1 on n1"),
    (On.SUCCEEDED, {"code": 1}, "JobFinished b cancelled"),
    (On.FAILED, {"code": 1}, "AttemptStarted b/1 on n1"),
    (On.FAILED, {"code": 0}, "JobFinished b cancelled"),
    (On.ENDED, {"code": 0}, "AttemptStarted b/1 on n1"),
    (On.ENDED, {"code": 1}, "AttemptStarted b/1 on n1"),
]


@pytest.mark.parametrize("meant,end,then", ENDS, ids=str)
def test_which_end_is_meant(meant: On, end: dict[str, Any], then: str) -> None:
    house = House()
    house.submit("a")
    house.submit("b", after=after("a", on=meant))
    house.go("a")
    assert house.exits("a", **end)[-1] == then


def test_a_job_that_is_held_can_be_cancelled() -> None:
    house = House()
    house.submit("a")
    house.submit("b", after=after("a"))
    assert house.tell(ev.JobCancelRequested(job="b")) == ["JobFinished b cancelled"]
    assert house.engine.state.dependents == {}


@pytest.mark.parametrize(
    "first,closing,circle",
    [
        ({}, ("a", "a"), "a -> a"),
        ({"a": "b"}, ("b", "a"), "b -> a -> b"),
        ({"a": "b", "b": "c"}, ("c", "a"), "c -> a -> b -> c"),
    ],
    ids=str,
)
def test_a_circle_is_refused_by_name(
    first: dict[str, str], closing: tuple[str, str], circle: str
) -> None:
    house = House()
    for name, parent in first.items():
        house.submit(name, after=after(parent))
    assert house.submit(closing[0], after=after(closing[1])) == []
    assert house.refused == [f"its dependencies go in a circle: {circle}"]


def test_a_job_inherits_the_class_of_who_waits_for_it_all_the_way_up() -> None:
    house = Led("n1")
    house.submit("a")
    house.submit("b", after=after("a"))
    house.submit("c", priority=100, after=after("b"))
    assert [house.job(name).priority for name in "abc"] == [100, 100, 100]
    assert house.job("a").spec.priority == 0
    assert [kind.priority for kind in house.engine.state.lanes] == [100]
    house.decide(Start(job="a", allocation=on("n1")))
    assert house.engine.state.running["a"].job.priority == 100
    house.tell(ev.JobCancelRequested(job="c"))
    assert house.engine.state.running["a"].job.priority == 0


def test_nobody_inherits_more_than_their_queue_allows() -> None:
    house = Led("n1")
    house.tell(ev.QueuesConfigured(queues=(Queue(path="lab", max_class=10),)))
    house.submit("a")
    house.submit("b", queue="other", priority=100, after=after("a"))
    assert house.job("a").inherited == 10
    house.tell(ev.QueuesConfigured(queues=(Queue(path="lab"),)))
    assert house.job("a").inherited == 100


def test_what_waits_for_a_refused_job_is_cancelled() -> None:
    house = House("n1", cpus=4)
    house.submit("b", after=after("a"))
    told = house.submit("a", cpus=5)
    assert told[-1] == "JobFinished b cancelled"
    assert house.engine.state.ended == {"a": JobPhase.FAILED, "b": JobPhase.CANCELLED}


def test_dependencies_outlive_a_restart() -> None:
    house = House()
    house.submit("a")
    house.tell(ev.JobSubmitted(job="b", spec=spec(after=after("a"))))
    house.restart()
    assert house.engine.state.waits["b"].reason is Reason.DEPENDENCY_PENDING
    assert house.finish("a")[-2:] == ["JobEligible b", "AttemptStarted b/1 on n1"]
