"""The same failure at two jobs is no fault of either: what hit others lately is remembered."""

from __future__ import annotations

from makeway.engine import hits
from makeway.model import event as ev
from makeway.model.record import Cause
from tests.engine.house import House


def two() -> House:
    house = House("n1", cpus=2)
    for job in ("a", "b"):
        house.submit(job)
        house.go(job)
    return house


def test_a_permission_that_two_jobs_lack_at_once_is_the_storage_and_no_mistake_of_theirs() -> None:
    house = two()
    house.fails("a", "PermissionError", errno=13)
    assert house.last(ev.AttemptEnded).diagnosis.cause is Cause.PERMISSION
    house.fails("b", "PermissionError", errno=13)
    second = house.last(ev.AttemptEnded).diagnosis
    assert second.cause is Cause.STORAGE
    assert "cluster.others_hit[0]" in [one.ref for one in second.evidence]


def test_what_hit_another_long_ago_or_was_no_failure_counts_for_nothing() -> None:
    house = two()
    house.fails("a", "PermissionError", errno=13)
    house.pass_time(hits.LATELY_MS + 1)
    house.fails("b", "PermissionError", errno=13)
    assert house.last(ev.AttemptEnded).diagnosis.cause is Cause.PERMISSION

    house = two()
    house.exits("a")
    assert hits.of_others(house.engine.state, "b", house.now_ms) == ()


def test_its_own_failures_are_none_of_others() -> None:
    house = two()
    house.fails("a", "ConnectionError", errno=104)
    now_ms = house.now_ms
    assert hits.of_others(house.engine.state, "a", now_ms) == ()
    [hit] = hits.of_others(house.engine.state, "b", now_ms)
    assert (hit.node, hit.cause) == ("n1", Cause.CONNECTION)


def test_who_is_killed_while_the_kernel_kills_elsewhere_may_be_a_victim_of_that() -> None:
    house = two()
    house.exits("a", signal=9, host_oom_kills=2)
    ended = house.last(ev.AttemptEnded).diagnosis
    assert ended.cause is Cause.OOM_VICTIM
    assert ended.evidence[0].ref == "kernel.host_oom_kill"
    house.exits("b", signal=9, host_oom_kills=2, over_memory=True)
    assert house.last(ev.AttemptEnded).diagnosis.cause is Cause.OOM_HOST
