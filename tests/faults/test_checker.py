"""The checker is checked: each promise that is broken on purpose must be named."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from makeway.model import event as ev
from makeway.model.cluster import Allocation, Placement
from makeway.model.job import JobSpec
from makeway.model.phase import JobPhase
from makeway.model.record import Cause, CauseClass, Diagnosis, Exit
from tests.faults.checker import BEAT, END, OVERLAP, START, History, Mark, complaints

PLACE = Allocation((Placement("n1", "worker", 1),))
GONE = Diagnosis(
    cause=Cause.KILLED_UNKNOWN, cause_class=CauseClass.TEMPORARY, confidence="high", text="gone"
)
SUBMITTED = ev.JobSubmitted(job="a", spec=JobSpec(name="a", user="u", queue="q"))
FINISHED = ev.JobFinished(job="a", phase=JobPhase.SUCCEEDED)


def attempt(fence: int) -> list[ev.Event]:
    """One attempt from its start to its end."""
    return [
        ev.AttemptStarted(job="a", number=fence, fence=fence, allocation=PLACE, barrier_at_ms=9),
        ev.WorkerReady(job="a", fence=fence, rank=0),
        ev.AttemptReleased(job="a", number=fence, fence=fence, address="", port=0),
        ev.WorkerStarted(job="a", fence=fence, rank=0),
        ev.WorkerExited(job="a", fence=fence, rank=0, exit=Exit(at_ms=5)),
        ev.AttemptEnded(job="a", number=fence, fence=fence, diagnosis=GONE),
    ]


def logged(events: Sequence[ev.Event]) -> list[ev.Entry]:
    return [ev.Entry(seq=seq, at_ms=seq, cause=0, event=e) for seq, e in enumerate(events, start=1)]


def mark(kind: str, fence: int) -> Mark:
    return Mark(kind, "a", 0, fence, 100 + fence, float(fence))


EVENTS = [SUBMITTED, *attempt(1), *attempt(2), FINISHED]
MARKS = [mark(START, 1), mark(BEAT, 1), mark(START, 2), mark(END, 2)]
GOOD = History(entries=logged(EVENTS), marks=MARKS, acknowledged={"a"})


def told(**changes: object) -> list[str]:
    """What is said of the good history with something in it changed."""
    return complaints(msgspec.structs.replace(GOOD, **changes))


def test_of_a_good_history_nothing_is_said() -> None:
    assert complaints(GOOD) == []


@pytest.mark.parametrize(
    "events, complaint",
    [
        (EVENTS[:-1], "lost: a has no end"),
        (EVENTS[1:], "lost: a was acknowledged and is not in the log"),
        ([*EVENTS, FINISHED], "ends twice: a"),
        (
            [SUBMITTED, *attempt(1)[:4], *attempt(2), *attempt(1)[4:], FINISHED],
            "overlaps: a begins fence 2 while 1 lives",
        ),
        (
            [SUBMITTED, *attempt(1), *attempt(1), *attempt(2), FINISHED],
            "started twice: a begins fence 1 after 1",
        ),
        ([*EVENTS[:7], attempt(1)[4], *EVENTS[7:]], "stale: entry 8 believes fence 1 of a"),
        (
            [event for event in EVENTS if not isinstance(event, ev.AttemptReleased)],
            "too early: rank 0 of a by fence 1 was never let go",
        ),
    ],
)
def test_a_log_that_breaks_a_promise_is_caught(events: Sequence[ev.Event], complaint: str) -> None:
    assert complaint in told(entries=logged(events))


@pytest.mark.parametrize(
    "marks, complaint",
    [
        ([mark(START, 1), *MARKS], "started twice: rank 0 of a by fence 1, 2 times"),
        ([*MARKS, mark(BEAT, 1)], "stale: beat of rank 0 of a by fence 1"),
        ([*MARKS, mark(END, 1)], "stale: end of rank 0 of a by fence 1"),
        ([*MARKS[:3], mark(OVERLAP, 2), MARKS[3]], "overlaps: rank 0 of a by fence 2"),
        (MARKS[:3], "lost: a succeeded, and its last worker never came to its end"),
    ],
)
def test_workers_that_saw_a_promise_broken_are_heard(marks: Sequence[Mark], complaint: str) -> None:
    assert complaint in told(marks=marks)


def test_a_gap_in_the_log_is_caught() -> None:
    entries = logged(EVENTS)
    assert "gap: 4 is missing, 5 is there" in told(entries=entries[:3] + entries[4:])


def test_an_entry_that_is_there_twice_is_caught() -> None:
    entries = logged(EVENTS)
    assert "gap: 5 is missing, 4 is there" in told(entries=[*entries[:4], entries[3], *entries[4:]])


def test_a_damaged_entry_is_no_gap_but_is_named() -> None:
    entries = logged(EVENTS)
    said = told(entries=entries[:4] + entries[5:], damaged=[5])
    assert "damaged: entry 5" in said
    assert not any(one.startswith("gap") for one in said)


def test_an_effect_before_its_cause_is_caught() -> None:
    entries = logged(EVENTS)
    entries[2] = msgspec.structs.replace(entries[2], cause=7)
    assert "gap: entry 3 follows from 7" in told(entries=entries)


def test_what_is_left_is_named() -> None:
    assert told(left=["process 77"]) == ["left: process 77"]
