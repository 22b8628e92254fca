"""Who is not worth it goes on only where nobody else wants the room, unless somebody keeps it."""

from __future__ import annotations

from makeway.model import event as ev
from makeway.model.job import OnHopeless, WorkerGroup
from makeway.model.phase import JobPhase
from tests import builders
from tests.engine.house import House
from tests.engine.test_verdict import sees

SLOW = {"progress": tuple((1800.0 * at, 0.01 * at) for at in range(1, 8))}


def test_who_is_too_slow_waits_until_no_elastic_job_wants_its_room() -> None:
    house = House("n1", cpus=3)
    house.submit("slow", min_rate=0.1)
    house.go("slow")
    group = WorkerGroup(count_min=1, count_max=3, per_worker=builders.amounts(cpus=1))
    house.submit("sibling", groups=(group,))
    house.go("sibling")
    house.pass_time(4 * 3_600_000)
    sees(house, "slow", samples=SLOW)
    house.fails("slow", "ConnectionError", errno=104)
    house.pass_time(600_000)
    assert house.job("slow").phase is JobPhase.QUEUED
    assert len(house.attempt("sibling").workers) == 3
    house.exits("sibling")
    assert house.job("slow").phase is JobPhase.RUNNING


def test_who_is_kept_yields_no_more_and_has_its_old_place() -> None:
    house = House("n1", cpus=1)
    house.submit("a", min_rate=0.1, priority=5)
    house.submit("b", priority=5)
    house.go("a")
    house.pass_time(4 * 3_600_000)
    sees(house, samples=SLOW)
    house.fails("a", "ConnectionError", errno=104)
    assert house.job("a").spec.yielded_from == 5
    house.tell(ev.JobKeepRequested(job="a"))
    spec = house.job("a").spec
    assert (spec.priority, spec.yielded_from, spec.on_hopeless) == (5, None, OnHopeless.FLAG)
    house.tell(ev.JobKeepRequested(job="a"))
    assert house.refused == ["it is kept already"]


def test_who_is_too_slow_goes_on_as_the_last_of_all_or_ends_as_was_asked() -> None:
    for wish in (OnHopeless.YIELD, OnHopeless.STOP):
        house = House("n1", cpus=1)
        house.submit("a", min_rate=0.1, on_hopeless=wish)
        house.submit("b")
        house.go("a")
        house.pass_time(4 * 3_600_000)
        sees(house, samples=SLOW)
        house.fails("a", "ConnectionError", errno=104)
        if wish is OnHopeless.STOP:
            assert house.last(ev.JobFinished).decision.action == "stop"
            continue
        assert house.last(ev.JobRequeued).decision.action == "yield"
        spec = house.job("a").spec
        assert (spec.priority, spec.preemptible, spec.yielded_from) == (-100, True, 0)
        assert house.attempt("b").number == 1
