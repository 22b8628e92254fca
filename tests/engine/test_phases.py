"""The tables of phases are the truth: what they name can happen, and nothing else can."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest

from makeway.engine.apply import HANDLERS, apply
from makeway.engine.react import RULES
from makeway.model import event as ev
from makeway.model.cluster import Allocation
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
from makeway.model.record import Cause, Decision
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
    final: Any = FINAL[kind]
    assert {before for before, _ in table} == {*kind} - final


@every_table
def test_every_change_has_a_sentence_of_its_own(kind: type[StrEnum]) -> None:
    table, _ = TABLES[kind]
    assert all(len(sentence.split()) >= 3 for sentence in table.values())
    assert len({*table.values()}) == len(table)


def test_every_event_is_handled() -> None:
    assert {*HANDLERS} == {*ev.Event.__args__}
    assert {*RULES} <= {*HANDLERS}


# ── what is illegal raises, and changes nothing ───────────────────────────────────────────────────


def busy() -> House:
    """Give a house where `a` is prepared, `b` runs, `c` waits, `d` leaves, and run `r` begins."""
    house = House("n1", "n2", cpus=2)
    house.submit("a", workers=2)
    house.submit("b")
    house.go("b")
    house.submit("d")
    house.submit("c", cpus=2)
    house.tell(ev.JobCancelRequested(job="d"))
    house.runs("r", Workflow(name="f", file="f.py", steps=(Step(key="s"), Step(key="t"))))
    return house


NOWHERE = Allocation(())
RETRY = Decision(action="retry", cause=Cause.UNKNOWN, fingerprint="", text="", rule="")
STOPPED: dict[str, Any] = {"number": 1, "fence": 1, "cause": "peer", "grace_ms": 0}

ILLEGAL: dict[str, ev.Event] = {
    "an attempt of a job that has one": ev.AttemptStarted(
        job="a", number=2, fence=2, allocation=NOWHERE, barrier_at_ms=0
    ),
    "a barrier that opens twice": ev.AttemptReleased(
        job="b", number=1, fence=1, address="", port=0
    ),
    "a barrier that opens for workers who leave": ev.AttemptReleased(
        job="d", number=1, fence=1, address="", port=0
    ),
    "an attempt that is stopped twice": ev.AttemptStopped(job="d", **STOPPED),
    "a job that is queued again while it is queued": ev.JobRequeued(
        job="c", not_before_ms=0, decision=RETRY
    ),
    "a job that succeeds without an attempt": ev.JobFinished(job="c", phase=JobPhase.SUCCEEDED),
    "a job that finishes as queued": ev.JobFinished(job="b", phase=JobPhase.QUEUED),
    "a job that is cancelled while its workers run": ev.JobFinished(
        job="b", phase=JobPhase.CANCELLED
    ),
    "a step that is submitted twice": ev.ExecutionSubmitted(execution="r.s", cache_key=""),
    "a step that succeeds before its job has begun": ev.ExecutionEnded(
        execution="r.s", phase=ExecutionPhase.SUCCEEDED
    ),
    "a step that is omitted although it was submitted": ev.ExecutionEnded(
        execution="r.s", phase=ExecutionPhase.OMITTED
    ),
    "a run that was cancelled without anybody asking": ev.RunFinished(
        run="r", phase=RunPhase.CANCELLED
    ),
    "a job that succeeds while its workers run": ev.JobFinished(job="b", phase=JobPhase.SUCCEEDED),
    "a job that is queued again while its workers run": ev.JobRequeued(
        job="b", not_before_ms=0, decision=RETRY
    ),
    "a step that ends as running": ev.ExecutionEnded(execution="r.s", phase=ExecutionPhase.RUNNING),
    "a run that finishes as running": ev.RunFinished(run="r", phase=RunPhase.RUNNING),
}


@pytest.mark.parametrize("what", ILLEGAL)
def test_an_illegal_event_raises_and_changes_nothing(what: str) -> None:
    house = busy()
    state = house.engine.state
    before = believed(state, 0)
    entry = ev.Entry(seq=state.seq + 1, at_ms=house.now_ms, cause=0, event=ILLEGAL[what])
    with pytest.raises(AssertionError, match=r"^illegal"):
        apply(state, entry)
    assert believed(state, 0) == before


@pytest.mark.parametrize("ahead", [0, 2], ids=["again", "with a gap"])
def test_an_entry_out_of_its_place_is_not_applied(ahead: int) -> None:
    house = House()
    state = house.engine.state
    entry = ev.Entry(seq=state.seq + ahead, at_ms=0, cause=0, event=ev.NodeLost(name="n1"))
    with pytest.raises(AssertionError, match="cannot follow entry 2"):
        apply(state, entry)
    assert {*state.nodes} == {"n1", "n2"}
