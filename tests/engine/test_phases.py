"""The tables of phases are the truth: what they name can happen, and nothing else can."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest

from makeway.engine.apply import HANDLERS, apply
from makeway.engine.react import RULES
from makeway.model import event as ev
from makeway.model.phase import (
    ATTEMPT_CHANGES,
    EXECUTION_CHANGES,
    JOB_CHANGES,
    RUN_CHANGES,
    AttemptPhase,
    ExecutionPhase,
    JobPhase,
    RunPhase,
    changed,
)
from makeway.model.wait import Reason, Wait
from makeway.model.workflow import Step, Workflow
from tests.engine.house import House
from tests.engine.replayed import believed

Table = Mapping[tuple[Any, Any], str]

TABLES: dict[type[StrEnum], tuple[Table, StrEnum]] = {
    JobPhase: (JOB_CHANGES, JobPhase.QUEUED),
    AttemptPhase: (ATTEMPT_CHANGES, AttemptPhase.PREPARING),
    ExecutionPhase: (EXECUTION_CHANGES, ExecutionPhase.PENDING),
    RunPhase: (RUN_CHANGES, RunPhase.RUNNING),
}
FINAL = {
    JobPhase: {phase for phase in JobPhase if phase.final},
    AttemptPhase: {AttemptPhase.ENDED},
    ExecutionPhase: {phase for phase in ExecutionPhase if phase.final},
    RunPhase: {phase for phase in RunPhase if phase.final},
}

every_table = pytest.mark.parametrize("kind", TABLES, ids=lambda kind: kind.__name__)


@every_table
def test_a_change_is_legal_exactly_if_the_table_names_it(kind: type[StrEnum]) -> None:
    table, _ = TABLES[kind]
    for before in kind:
        for after in kind:
            if (before, after) in table:
                assert changed(table, before, after) is after
            else:
                with pytest.raises(AssertionError, match=f"illegal change of {kind.__name__}"):
                    changed(table, before, after)


@every_table
def test_every_phase_can_be_reached_from_the_first(kind: type[StrEnum]) -> None:
    table, first = TABLES[kind]
    reached, found = set(), {first}
    while found:
        reached |= found
        found = {after for before, after in table if before in reached} - reached
    assert reached == {*kind}


@every_table
def test_nothing_follows_a_final_phase_and_something_follows_every_other(kind: Any) -> None:
    table, _ = TABLES[kind]
    assert {before for before, _ in table} == {*kind} - FINAL[kind]


@every_table
def test_every_change_has_a_sentence_of_its_own(kind: type[StrEnum]) -> None:
    table, _ = TABLES[kind]
    assert all(len(sentence.split()) >= 3 for sentence in table.values())
    assert len({*table.values()}) == len(table)


def test_every_event_is_handled() -> None:
    assert {*HANDLERS} == {*ev.Event.__args__}
    assert {*RULES} <= {*HANDLERS}


# ── what is illegal raises, and changes nothing ───────────────────────────────────────────────────


def preparing() -> House:
    """Give a house where `a` is prepared, `b` runs, `c` waits, and run `r` waits for its step."""
    house = House("n1", "n2", cpus=2)
    house.submit("a", workers=2)
    house.submit("b")
    house.go("b")
    house.submit("c", cpus=2)
    house.runs("r", Workflow(name="f", file="f.py", steps=(Step(key="s"),)))
    return house


def illegal(house: House) -> list[ev.Event]:
    a, b = house.last(ev.AttemptStarted), house.attempt("b")
    state = house.engine.state
    again = {"allocation": state.attempts["a"].allocation, "barrier_at_ms": 0}
    wait = Wait(reason=Reason.HELD, text="")
    assert wait
    assert a
    return [
        ev.AttemptStarted(job="a", number=2, fence=2, **again),
        ev.AttemptReleased(job="b", number=1, fence=1, address="", port=0),
        ev.JobRequeued(job="c", not_before_ms=0, decision=decision(house)),
        ev.JobFinished(job="c", phase=JobPhase.SUCCEEDED),
        ev.JobFinished(job="b", phase=JobPhase.QUEUED),
        ev.JobFinished(job="b", phase=JobPhase.CANCELLED),
        ev.ExecutionSubmitted(execution="r.s", cache_key=""),
        ev.ExecutionEnded(execution="r.s", phase=ExecutionPhase.SUCCEEDED),
        ev.ExecutionEnded(execution="r.s", phase=ExecutionPhase.OMITTED),
        ev.RunFinished(run="r", phase=RunPhase.CANCELLED),
        ev.RunFinished(run="r", phase=RunPhase.RUNNING),
    ] + ([] if b.stop_cause else [])
