"""How many of the steps before a step have to succeed, how many run at a time, and who goes on."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from makeway.model import event as ev
from makeway.model.workflow import Binding, Failure, FromStep, Many, Parallel, Step, Workflow
from tests.engine.house import House
from tests.engine.test_runs import flow, phases, step

SLOTS = ("s1", "s2", "s3")


def gathering(trigger: str = "", **many: Any) -> Workflow:
    """Three slots, and a step that takes what they give in one list."""
    gathered = Many(tuple(FromStep(slot) for slot in SLOTS), **many)
    last = step("last", arguments={"all": gathered}, trigger=trigger)
    return flow(*(step(slot) for slot in SLOTS), last, result="last")


def run(house: House, workflow: Workflow, *ends: bool) -> list[str]:
    """Let the slots end one by one, well or badly."""
    house.runs("r", workflow)
    told: list[str] = []
    for slot, good in zip(SLOTS, ends, strict=False):
        if good:
            told = house.finish(f"r.{slot}")
        else:
            house.go(f"r.{slot}")
            told = house.fails(f"r.{slot}", "NameError")
    return told


def given(house: House) -> tuple[Binding, ...]:
    """What the last step was given in its list."""
    call = house.job("r.last").spec.program.call
    assert call is not None
    gathered = call.arguments["all"]
    assert isinstance(gathered, Many)
    return gathered.items


def ended(house: House, execution: str) -> ev.ExecutionEnded:
    [event] = [
        entry.event
        for entry in house.log
        if isinstance(entry.event, ev.ExecutionEnded) and entry.event.execution == execution
    ]
    return event


# ── how many of a list have to succeed ────────────────────────────────────────────────────────────


def test_all_of_a_list_have_to_succeed_if_nothing_is_said() -> None:
    house = House()
    assert "ExecutionEnded r.last omitted" in run(house, gathering(), True, False, True)


def test_with_a_minimum_the_others_are_a_failure_in_their_place() -> None:
    house = House()
    run(house, gathering(min_success=0.6), True, False, True)
    one, two, three = given(house)
    assert isinstance(two, Failure)
    assert two.step == "s2"
    assert "NameError" in two.text
    assert not isinstance(one, Failure)
    assert not isinstance(three, Failure)
    assert house.finish("r.last")[-1] == "RunFinished r succeeded_with_failures"


def test_below_the_minimum_the_step_is_omitted_and_says_the_numbers() -> None:
    house = House()
    run(house, gathering(min_success=0.67), True, False, True)
    assert ended(house, "r.last").text == "3 of 3 have to succeed, and s2 did not"


def test_when_too_many_have_failed_nobody_waits_for_the_rest_which_goes_on() -> None:
    house = House()
    told = run(house, gathering(min_success=0.9), False)
    assert "ExecutionEnded r.last omitted" in told
    assert phases(house)["s2"] == "starting"


def test_a_third_of_three_is_one() -> None:
    house = House()
    run(house, gathering(min_success=1 / 3), False, False, True)
    assert len(given(house)) == 3


def test_with_a_minimum_it_still_waits_for_all() -> None:
    house = House()
    run(house, gathering(min_success=0.3), True, True)
    assert phases(house)["last"] == "pending"


# ── how many are waited for ───────────────────────────────────────────────────────────────────────


def test_it_may_begin_with_the_first_that_succeed_and_the_others_go_on() -> None:
    house = House()
    told = run(house, gathering(wait=2), True, True)
    assert "JobSubmitted r.last" in told
    assert len(given(house)) == 2
    assert phases(house)["s3"] == "starting"
    house.finish("r.last")
    assert house.finish("r.s3")[-1] == "RunFinished r succeeded"


def test_who_failed_does_not_count_among_the_first() -> None:
    house = House()
    run(house, gathering(wait=1), False)
    assert phases(house)["last"] == "pending"
    assert "JobSubmitted r.last" in house.finish("r.s2")


def test_if_too_few_succeed_it_is_omitted() -> None:
    house = House()
    run(house, gathering(wait=2), False, False, True)
    assert ended(house, "r.last").text == "2 of 3 have to succeed, and s1, s2 did not"


# ── triggers ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "trigger, good, runs",
    [
        ("all_done", 0, True),
        ("any_success", 1, True),
        ("any_success", 0, False),
        ("at_least(2)", 2, True),
        ("at_least(2)", 1, False),
        ("quorum(0.67)", 2, False),
        ("quorum(0.66)", 2, True),
        ("quorum(1)", 3, True),
    ],
)
def test_a_trigger_says_how_many_of_those_before_have_to_succeed(
    trigger: str, good: int, runs: bool
) -> None:
    house = House()
    told = run(house, gathering(trigger), *(number < good for number in range(3)))
    assert ("JobSubmitted r.last" in told) == runs
    assert ("ExecutionEnded r.last omitted" in told) != runs


def test_a_step_that_runs_whatever_has_happened_reads_none_and_failures() -> None:
    clean = step("clean", "a", arguments={"one": FromStep("a")}, trigger="all_done")
    house = House()
    house.runs("r", flow(step("a"), replace(clean, after=("a",))))
    house.go("r.a")
    house.fails("r.a", "NameError")
    call = house.job("r.clean").spec.program.call
    assert call is not None
    assert getattr(call.arguments["one"], "value", "something") is None
    assert house.finish("r.clean")[-1] == "RunFinished r failed"


# ── how many at a time ────────────────────────────────────────────────────────────────────────────


def test_of_a_group_only_so_many_are_submitted_at_a_time() -> None:
    two = Parallel(group="s", most=2)
    house = House()
    house.runs("r", flow(*(step(f"s{number}", parallel=two) for number in range(5))))
    assert [*phases(house).values()].count("pending") == 3
    assert "JobSubmitted r.s2" in house.finish("r.s0")
    house.go("r.s1")
    assert "JobSubmitted r.s3" in house.fails("r.s1", "NameError")
    for slot in ("s2", "s3", "s4"):
        told = house.finish(f"r.{slot}")
    assert told[-1] == "RunFinished r succeeded_with_failures" or told[-1] == "RunFinished r failed"


# ── a run that fails fast ─────────────────────────────────────────────────────────────────────────


def test_when_a_step_fails_what_does_not_depend_on_it_goes_on() -> None:
    house = House()
    house.runs("r", flow(step("a"), step("b"), step("c", "b")))
    house.go("r.a")
    house.fails("r.a", "NameError")
    assert phases(house) == {"a": "failed", "b": "starting", "c": "pending"}


def test_a_run_that_fails_fast_cancels_the_rest() -> None:
    workflow = replace(flow(step("a"), step("b"), step("c", "b")), on_failure="fail_fast")
    house = House()
    house.runs("r", workflow)
    house.go("r.a")
    house.go("r.b")
    told = house.fails("r.a", "NameError")
    assert "AttemptStopped r.b/1 for cancel" in told
    assert ended(house, "r.c").text == "a failed, and the run is to fail fast"
    assert house.exits("r.b", signal=15)[-1] == "RunFinished r failed"


def test_a_step_of_its_own_group_counts_alone() -> None:
    one, other = Parallel(group="x", most=1), Parallel(group="y", most=1)
    steps: list[Step] = [
        step("x1", parallel=one),
        step("x2", parallel=one),
        step("y1", parallel=other),
    ]
    house = House()
    house.runs("r", flow(*steps))
    assert phases(house) == {"x1": "starting", "x2": "pending", "y1": "starting"}
