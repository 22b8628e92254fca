"""What somebody decides otherwise: a further try, an end, a step that is missing to nobody."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from makeway.engine.apply import apply
from makeway.engine.state import State
from makeway.model import event as ev
from makeway.model.phase import ExecutionPhase as E
from makeway.model.phase import JobPhase, RunPhase
from makeway.model.workflow import Constant, Execution, Failure, FromStep, Many, Workflow
from tests import builders
from tests.engine.house import House
from tests.engine.test_runs import flow, step

ADA: dict[str, Any] = {"user": "ada", "reason": "I know better"}


def as_it_ended(house: House, job: str, act: str) -> ev.StepOverridden:
    """Override what has ended, with all that the store remembers of it."""
    state, was, run = State(), None, None
    executions: tuple[Execution, ...] = ()
    for entry in house.log:
        match entry.event:
            case ev.JobFinished(job=name, phase=phase) if name == job:
                was = replace(state.jobs[job], phase=phase)
            case ev.RunFinished(run=name):
                run, executions = state.runs[name], tuple(state.executions[name].values())
        apply(state, entry)
    assert was is not None
    mine = was if act == "retry" or was.spec.run is None else None
    return ev.StepOverridden(job=job, act=act, was=mine, run=run, executions=executions, **ADA)


def failed(workflow: Workflow) -> House:
    """Let the first step of a run fail, and the run be over."""
    house = House("n1", cpus=4)
    house.runs("r", workflow)
    house.go("r.one")
    house.fails("r.one", "KeyError")
    return house


def test_a_retry_is_the_next_attempt_and_the_run_that_was_over_goes_on() -> None:
    house = failed(flow(step("one"), step("two", "one"), result="two"))
    assert house.last(ev.RunFinished).phase is RunPhase.FAILED
    house.tell(as_it_ended(house, "r.one", "retry"))
    assert house.attempt("r.one").number == 2
    assert house.job("r.one").past[0].attempt == 1
    assert house.execution("r.two").phase is E.PENDING
    house.restart()
    for name in ("r.one", "r.two"):
        house.finish(name)
    assert house.last(ev.RunFinished).phase is RunPhase.SUCCEEDED


def test_a_retry_that_somebody_wanted_is_charged_to_no_ledger() -> None:
    house = failed(flow(step("one"), step("two", "one")))
    house.tell(as_it_ended(house, "r.one", "retry"))
    house.go("r.one")
    house.fails("r.one", "KeyError")
    house.tell(as_it_ended(house, "r.one", "retry"))
    assert house.attempt("r.one").number == 3
    assert all(one.ledger is None for one in house.job("r.one").history)


def test_what_is_skipped_is_none_to_what_reads_it_and_the_run_is_marked() -> None:
    house = failed(flow(step("one"), step("two", "one"), step("three", "two"), result="three"))
    house.tell(as_it_ended(house, "r.one", "skip"))
    program = house.last(ev.JobSubmitted).spec.program
    assert program.call.arguments == {"of_one": Constant(None)}
    for name in ("r.two", "r.three"):
        house.finish(name)
    assert house.last(ev.RunFinished).phase is RunPhase.SUCCEEDED_WITH_FAILURES


def test_in_a_list_a_skipped_step_is_a_failure_in_its_place() -> None:
    many = Many((FromStep("one"), FromStep("two")), min_success=1.0)
    house = House("n1", cpus=4)
    house.runs("r", flow(step("one"), step("two"), step("all", arguments={"of": many})))
    house.finish("r.two")
    house.go("r.one")
    house.fails("r.one", "KeyError")
    assert house.last(ev.RunFinished).phase is RunPhase.FAILED
    house.tell(as_it_ended(house, "r.one", "skip"))
    given = house.last(ev.JobSubmitted).spec.program.call.arguments["of"]
    assert given.items[0] == Failure("one", "skip by ada: I know better")
    assert given.items[1] == Constant(None)  # it gave nothing


def test_who_is_stopped_while_it_waits_or_runs_has_been_stopped_by_somebody() -> None:
    house = House("n1", cpus=1)
    one = builders.amounts(cpus=1)
    house.runs("r", flow(step("one", per_worker=one), step("two", per_worker=one)))
    house.go("r.one")
    house.tell(ev.StepOverridden(job="r.two", act="stop", **ADA))
    assert house.last(ev.ExecutionEnded).phase is E.STOPPED
    assert house.last(ev.ExecutionEnded).text == "stop by ada: I know better"
    house.tell(ev.StepOverridden(job="r.one", act="stop", **ADA))
    house.exits("r.one", signal=15)
    assert house.last(ev.ExecutionEnded).execution == "r.one"
    assert house.last(ev.ExecutionEnded).phase is E.STOPPED
    assert house.last(ev.RunFinished).phase is RunPhase.FAILED


def test_who_waits_after_a_failure_is_tried_again_at_once() -> None:
    house = House("n1")
    house.submit("a")
    house.go("a")
    house.fails("a", "ConnectionResetError", errno=104)
    assert house.job("a").phase is JobPhase.QUEUED
    house.tell(ev.StepOverridden(job="a", act="retry", **ADA))
    assert house.attempt("a").number == 2


def test_a_job_of_no_run_has_its_next_attempt_too() -> None:
    house = House("n1")
    house.submit("a")
    house.go("a")
    house.fails("a", "KeyError")
    house.tell(as_it_ended(house, "a", "retry"))
    assert house.attempt("a").number == 2
    house.restart()
    assert house.attempt("a").number == 2


@pytest.mark.parametrize(
    "act, why",
    [
        ("skip", "it has not failed: it can be skipped once it has, or was stopped"),
        ("retry", "it waits for its turn already"),
        ("burn", "there is no burn; there are retry, stop, skip"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(act: str, why: str) -> None:
    house = House("n1", cpus=1)
    house.submit("b")
    house.submit("a")
    before = house.job("a")
    house.tell(ev.StepOverridden(job="a", act=act, **ADA))
    assert house.refused == [why]
    assert house.job("a") == before


@pytest.mark.parametrize(
    "act, why",
    [
        ("stop", "it has ended, so there is nothing to stop"),
        ("skip", "it is no step of a run, so that nothing goes on after it"),
    ],
)
def test_a_job_that_has_ended_can_only_be_tried_again(act: str, why: str) -> None:
    house = House("n1")
    house.submit("a")
    house.go("a")
    house.fails("a", "KeyError")
    house.tell(as_it_ended(house, "a", act))
    assert house.refused == [why]
    house.tell(ev.StepOverridden(job="a", act="retry", **ADA))
    assert house.refused == ["no such step, or it has ended meanwhile: look at it again"]


def test_a_step_that_ended_well_or_never_ran_is_not_overridden() -> None:
    house = House("n1", cpus=4)
    house.runs("r", flow(step("one"), step("two", "one"), step("slow")))
    house.go("r.slow")
    house.tell(ev.StepOverridden(job="r.two", act="skip", **ADA))
    assert house.refused == ["it has not begun: it waits for the steps before it"]
    house.go("r.one")
    house.fails("r.one", "KeyError")
    house.tell(ev.StepOverridden(job="r.two", act="retry", **ADA))
    assert house.refused == [
        "it was omitted, so it never ran: override the step that it waited for"
    ]
    house.tell(ev.StepOverridden(job="r.one", act="stop", **ADA))
    assert house.refused == ["it has ended, so there is nothing to stop: it failed"]
    house.tell(ev.StepOverridden(job="r.one", act="skip", **ADA))
    assert house.refused == []
    assert house.execution("r.two").phase in (E.QUEUED, E.STARTING)


def test_an_override_names_who_and_against_what() -> None:
    event = ev.StepOverridden(job="a", act="stop", user="ada", reason="no", against="retry: x")
    assert event.text == "stop by ada: no (against: retry: x)"
