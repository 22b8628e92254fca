"""An elastic attempt grows at its end and shrinks from its end, and whoever leaves is no failure."""

from __future__ import annotations

import pytest

from makeway.model import event as ev
from makeway.model.cluster import Placement
from makeway.model.job import WorkerGroup
from makeway.model.rules import Preemption, Rules
from makeway.policy.plan import Resize, Start
from tests import builders
from tests.engine.hand import Led, on

GROUP = WorkerGroup(count_min=2, count_max=8, per_worker=builders.amounts(cpus=1))


def elastic(*rows: str) -> Led:
    """Give a house where `a` runs on these rows, with room for more."""
    house = Led("n1", "n2", cpus=4)
    house.submit("a", groups=(GROUP,))
    house.decide(Start(job="a", allocation=on(*rows)))
    house.go("a")
    return house


def resize(house: Led, *rows: str) -> list[str]:
    return house.decide(Resize(job="a", allocation=on(*rows)))


def held(house: Led) -> float:
    return house.engine.state.held["lab/ada", 0].usage["cpu_milli"] / 1000


def test_more_workers_hold_their_place_at_once_and_are_at_work() -> None:
    house = elastic("n1*2")
    assert resize(house, "n1*2", "n2") == ["AttemptResized a/1 on n1*2 n2"]
    assert house.orders == ["resize a/1 to n1*2 n2 in 0 s"]
    assert (held(house), house.free_cpus()) == (3, {"n1": 2, "n2": 3})
    newest = house.attempt("a").workers[2]
    assert (newest.rank, newest.node, newest.ready, newest.started) == (2, "n2", True, True)
    row = house.engine.state.running["a"]
    assert row.allocation == on("n1*2", "n2")
    assert row.resized_seq > row.started_seq > 0
    assert house.exits("a")[-1] == "JobFinished a succeeded"


def test_fewer_workers_hold_their_place_until_each_has_left() -> None:
    house = elastic("n1*2", "n2*2")
    house.decide()  # no resize: nothing happens
    assert resize(house, "n1*2") == ["AttemptResized a/1 on n1*2"]
    assert house.engine.state.leaving == {"a": (Placement("n2", "worker", 2),)}
    assert held(house) == 4
    assert house.exits("a", 3, signal=15) == []
    assert (held(house), house.free_cpus()) == (3, {"n1": 2, "n2": 3})
    assert house.exits("a", 2, code=1) == []
    assert (held(house), house.engine.state.leaving) == (2, {})
    assert house.exits("a")[-1] == "JobFinished a succeeded"


def test_those_who_leave_may_go_in_any_order() -> None:
    house = elastic("n1*2", "n2*3")
    resize(house, "n1*2")
    house.exits("a", 2, signal=15)
    assert [worker.rank for worker in house.attempt("a").workers] == [0, 1, 3, 4]
    house.exits("a", 4, signal=9)
    house.exits("a", 3, signal=15)
    assert house.engine.state.running["a"].allocation == on("n1*2")


def test_they_get_no_more_time_than_the_rules_and_the_job_give() -> None:
    house = elastic("n1*3")
    house.tell(ev.RulesConfigured(rules=Rules(preemption=Preemption(grace_ms=7_000))))
    house.hand.next = [Resize(job="a", allocation=on("n1*2"))]
    house.tell(ev.NodeJoined(node=builders.node("n3", cpus=1)))
    assert house.orders == ["resize a/1 to n1*2 in 7 s"]


def test_a_worker_that_stays_and_fails_stops_all_those_who_leave_too() -> None:
    house = elastic("n1*3", "n2")
    resize(house, "n1*2")
    assert house.exits("a", 0, code=1) == ["AttemptStopped a/1 for peer"]
    assert house.exits("a", 3, signal=15) == []
    assert house.exits("a", 2, signal=15) == []
    assert house.exits("a", 1, signal=15)[0] == "AttemptEnded a/1: UNKNOWN"
    assert house.engine.state.held == {}
    assert house.free_cpus() == {"n1": 4, "n2": 4}


def test_an_attempt_ends_when_the_last_who_leaves_has_left() -> None:
    house = elastic("n1*3")
    resize(house, "n1*2")
    assert house.exits("a", 0, 1) == []
    assert house.exits("a", 2, signal=9) == ["AttemptEnded a/1: NONE", "JobFinished a succeeded"]


def test_a_machine_that_takes_only_workers_who_leave_is_no_loss() -> None:
    house = elastic("n1*2", "n2*2")
    resize(house, "n1*2")
    told = house.tell(ev.NodeLost(name="n2"))
    assert told == [
        "WorkerExited a rank 2: node n2 is gone",
        "WorkerExited a rank 3: node n2 is gone",
    ]
    assert held(house) == 2
    assert {*house.engine.state.lost} == {"n2"}


def test_a_worker_that_had_ended_before_it_was_to_go_is_gone_at_once() -> None:
    house = elastic("n1*3")
    house.exits("a", 2)
    resize(house, "n1*2")
    assert (held(house), house.engine.state.leaving) == (2, {})


def test_an_attempt_may_shrink_further_while_some_leave_but_not_grow() -> None:
    house = elastic("n1*4")
    resize(house, "n1*3")
    resize(house, "n1*2")
    assert house.attempt("a").generation == 2
    assert house.engine.state.leaving == {"a": (Placement("n1", "worker", 2),)}
    with pytest.raises(AssertionError, match="while workers still leave"):
        resize(house, "n1*3")


def test_what_an_earlier_worker_of_a_rank_says_is_old() -> None:
    house = elastic("n1*3")
    resize(house, "n1*2")
    end = house.exited("a", 2, signal=15)
    house.tell(end)
    house.pass_time(1_000)
    resize(house, "n1*3")
    assert house.tell(end) == []
    assert house.refused == ["stale: rank 2 is another worker since then"]


def test_nobody_shrinks_below_the_minimum_or_in_the_middle() -> None:
    house = elastic("n1*2", "n2")
    with pytest.raises(AssertionError, match="cannot go on with 1 workers"):
        resize(house, "n1")
    house = elastic("n1*2", "n2")
    with pytest.raises(AssertionError, match="elsewhere than at its end"):
        resize(house, "n1", "n2")


def test_before_the_barrier_has_opened_new_workers_are_waited_for() -> None:
    house = Led("n1", "n2", cpus=4)
    house.submit("a", groups=(GROUP,))
    house.decide(Start(job="a", allocation=on("n1*2")))
    resize(house, "n1*3")
    assert house.ready("a", 0, 1) == []
    assert house.ready("a", 2) == ["AttemptReleased a/1"]


def test_before_the_barrier_has_opened_those_who_leave_are_not_waited_for() -> None:
    house = Led("n1", "n2", cpus=4)
    house.submit("a", groups=(GROUP,))
    house.decide(Start(job="a", allocation=on("n1*3")))
    house.ready("a", 0, 1)
    assert resize(house, "n1*2") == ["AttemptResized a/1 on n1*2", "AttemptReleased a/1"]
    assert house.exits("a", 2, signal=15, started=False) == []


def test_after_a_restart_the_last_resize_is_ordered_again() -> None:
    house = elastic("n1*3")
    resize(house, "n1*2")
    assert house.restart() == [
        "launch a/1 on n1*3",
        "release a/1 to meet at 10.0.0.0:29500",
        "resize a/1 to n1*2 in 0 s",
    ]
