"""A machine that is drained gets no new work and keeps what runs; one that is removed is forgotten."""

from __future__ import annotations

import pytest

from makeway.model import event as ev
from makeway.model.job import WorkerGroup
from makeway.model.record import Cause
from makeway.model.wait import Reason
from makeway.policy.ledger import Ledger
from makeway.policy.plan import Reserve, Start
from makeway.policy.why import why
from tests import builders
from tests.engine.hand import Led, on
from tests.engine.house import House
from tests.engine.replayed import believed


def drained(*jobs: str) -> House:
    """Give a house of n1 and n2 in which n1 is drained while these jobs, one a machine, run."""
    house = House("n1", "n2", cpus=4)
    for job in jobs:
        house.submit(job, cpus=4)
        house.go(job)
    house.tell(ev.NodeDrained(name="n1", text="a new disk"))
    return house


def capacity(house: House) -> float:
    """Give the processors that count as the cluster."""
    return Ledger(house.engine.state.snapshot(house.now_ms)).capacity["cpu_milli"] / 1000


def test_nothing_starts_on_a_machine_that_is_drained() -> None:
    house = drained()
    assert house.submit("a") == ["AttemptStarted a/1 on n2"]
    assert house.submit("b", cpus=4)[-1] == "JobWaiting b: InsufficientFree"
    assert "n1 is being drained (a new disk)" in house.engine.state.waits["b"].text


def test_what_runs_there_goes_on_and_its_room_is_not_given_again() -> None:
    house = drained("a")
    house.submit("b", cpus=4)
    house.submit("c", cpus=4)
    assert house.exits("a") == ["AttemptEnded a/1: NONE", "JobFinished a succeeded"]
    house.go("b")
    assert house.exits("b")[-1] == "AttemptStarted c/1 on n2"


def test_a_drained_machine_counts_as_long_as_it_works() -> None:
    house = drained("a")
    assert capacity(house) == 8
    house.exits("a")
    assert capacity(house) == 4
    house.tell(ev.NodeUndrained(name="n1"))
    assert capacity(house) == 8


def test_a_job_that_only_a_drained_machine_could_hold_waits_and_is_not_refused() -> None:
    house = House("n1", cpus=4)
    house.tell(ev.NodeJoined(node=builders.node("n2", cpus=16)), ev.NodeDrained(name="n2"))
    house.submit("a", cpus=16)
    wait = house.engine.state.waits["a"]
    assert (wait.reason, "n2 is being drained" in wait.text) == (Reason.INSUFFICIENT_FREE, True)
    assert house.tell(ev.NodeUndrained(name="n2"))[-1] == "AttemptStarted a/1 on n2"


def test_when_every_machine_is_drained_the_wait_says_so() -> None:
    house = House("n1")
    house.tell(ev.NodeDrained(name="n1"))
    house.submit("a")
    assert house.engine.state.waits["a"].text.endswith("; n1 is being drained")


def test_whoever_asks_why_is_told_that_the_machine_might_take_work_again() -> None:
    house = drained("a", "b")
    house.submit("c", cpus=4)
    house.submit("d", cpus=1)
    snapshot = house.engine.state.snapshot(house.now_ms)
    assert not [one for one in why(snapshot, "c").unblock if "undrain" in one]
    house.exits("a")
    snapshot = house.engine.state.snapshot(house.now_ms)
    assert "undrain n1, if you may" in why(snapshot, "c").unblock


def test_a_job_is_not_evicted_from_it_to_make_room_that_nobody_gets() -> None:
    house = drained("a", "b")
    house.submit("c", cpus=4, priority=100)
    assert house.orders == ["stop b/1 for preempted in 0 s"]


def test_an_elastic_job_does_not_grow_onto_it() -> None:
    house = House("n1", "n2", cpus=4)
    group = WorkerGroup(count_min=1, count_max=8, per_worker=builders.amounts(cpus=1))
    house.tell(ev.NodeDrained(name="n1"))
    house.submit("a", groups=(group,))
    assert {worker.node for worker in house.attempt("a").workers} == {"n2"}
    assert len(house.attempt("a").workers) == 4


def test_slots_that_were_kept_there_are_kept_no_longer() -> None:
    house = Led("n1")
    house.submit("a")
    house.decide(Reserve(job="a", allocation=on("n1"), victims=()))
    assert house.tell(ev.NodeDrained(name="n1"))[0] == "ReservationDropped a"


def test_with_evict_what_runs_there_leaves_and_nothing_is_charged() -> None:
    house = House("n1", "n2", cpus=4)
    house.submit("a", cpus=3)
    house.go("a")
    told = house.tell(ev.NodeDrained(name="n1", text="a new disk", evict=True))
    assert told == ["AttemptStopped a/1 for drained"]
    assert house.orders == ["stop a/1 for drained in 30 s"]
    told = house.exits("a", signal=15)
    assert told[:2] == [
        "AttemptEnded a/1: PREEMPTED",
        f"JobRequeued a at {house.now_ms}: PREEMPTED",
    ]
    assert told[2] == "AttemptStarted a/2 on n2"
    diagnosis = next(e.event.diagnosis for e in house.log if isinstance(e.event, ev.AttemptEnded))
    assert (diagnosis.cause, "n1 is being drained" in diagnosis.text) == (Cause.PREEMPTED, True)


def test_with_evict_an_elastic_job_that_can_go_on_without_only_shrinks() -> None:
    house = Led("n1", "n2", cpus=4)
    group = WorkerGroup(count_min=2, count_max=8, per_worker=builders.amounts(cpus=1))
    for job in ("a", "b"):
        house.submit(job, groups=(group,))
    house.decide(Start(job="a", allocation=on("n2*2", "n1*1")))
    house.decide(Start(job="b", allocation=on("n2", "n1*2")))
    house.go("a")
    house.go("b")
    assert house.tell(ev.NodeDrained(name="n1", evict=True)) == [
        "AttemptResized a/1 on n2*2",
        "AttemptStopped b/1 for drained",
    ]
    assert house.tell(ev.NodeDrained(name="n1", evict=True)) == []


def test_surplus_workers_there_are_not_taken_for_somebody_who_gains_nothing() -> None:
    house = House("n1", "n2", cpus=4)
    group = WorkerGroup(count_min=1, count_max=4, per_worker=builders.amounts(cpus=1))
    house.submit("a", groups=(group,))
    house.submit("b", groups=(group,))
    assert {worker.node for worker in house.attempt("a").workers} == {"n1"}
    house.go("a")
    house.go("b")
    house.tell(ev.NodeDrained(name="n1"))
    house.submit("c", cpus=1)
    assert house.orders == ["resize b/1 to n2*3 in 0 s"]


def test_who_is_drained_already_may_still_be_told_to_evict() -> None:
    house = drained("a")
    assert house.tell(ev.NodeDrained(name="n1", evict=True)) == ["AttemptStopped a/1 for drained"]


def test_a_machine_that_comes_back_is_still_drained() -> None:
    house = drained("a")
    house.tell(ev.NodeLost(name="n1"))
    house.tell(ev.NodeJoined(node=builders.node("n1", cpus=8)))
    node = house.engine.state.draining["n1"]
    assert (node.drain_text, node.capacity["cpu_milli"]) == ("a new disk", 8_000)
    assert "n1" not in house.engine.state.nodes


def test_a_machine_may_be_drained_and_undrained_while_it_is_away() -> None:
    house = House("n1", "n2")
    house.tell(ev.NodeLost(name="n1"))
    house.tell(ev.NodeDrained(name="n1"))
    house.tell(ev.NodeJoined(node=builders.node("n1")))
    assert {*house.engine.state.draining} == {"n1"}
    house.tell(ev.NodeLost(name="n1"))
    house.tell(ev.NodeUndrained(name="n1"))
    house.tell(ev.NodeJoined(node=builders.node("n1")))
    assert {*house.engine.state.nodes} == {"n1", "n2"}


def test_a_machine_that_is_removed_takes_its_work_with_it_and_nobody_waits_for_it() -> None:
    house = House("n1", cpus=4)
    house.tell(ev.NodeJoined(node=builders.node("n2", cpus=16)))
    house.submit("a", cpus=16)
    house.go("a")
    told = house.tell(ev.NodeRemoved(name="n2"))
    assert told[:2] == ["WorkerExited a rank 0: node n2 is gone", "AttemptEnded a/1: NODE_LOST"]
    assert told[-2:] == ["JobRejected a: NoNodeFits", "JobFinished a failed"]
    assert {**house.engine.state.nodes, **house.engine.state.lost}.keys() == {"n1"}


def test_a_machine_that_is_away_can_be_removed() -> None:
    house = drained()
    house.tell(ev.NodeLost(name="n1"))
    house.tell(ev.NodeRemoved(name="n1"))
    assert (house.engine.state.lost, house.engine.state.draining) == ({}, {})


@pytest.mark.parametrize(
    "event, why_not",
    [
        (ev.NodeDrained(name="n1"), "n1 is being drained already"),
        (ev.NodeDrained(name="n9"), "no such node: n9"),
        (ev.NodeUndrained(name="n2"), "n2 is not being drained"),
        (ev.NodeUndrained(name="n9"), "no such node: n9"),
        (ev.NodeRemoved(name="n9"), "no such node: n9"),
    ],
)
def test_what_makes_no_sense_is_refused(event: ev.Event, why_not: str) -> None:
    house = drained()
    before = believed(house.engine.state, house.now_ms)
    assert house.tell(event) == []
    assert house.refused == [why_not]
    assert believed(house.engine.state, house.now_ms) == before


def test_the_log_gives_it_all_again() -> None:
    house = drained("a", "b")
    house.submit("c", cpus=4)
    house.tell(ev.NodeUndrained(name="n1"), ev.NodeDrained(name="n2"))
    lived = believed(house.engine.state, house.now_ms)
    house.restart()
    assert believed(house.engine.state, house.now_ms) == lived
