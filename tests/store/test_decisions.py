"""Every decision is in the ledger: what, when, for whom, by which rule, at what cost."""

from __future__ import annotations

import pytest

from makeway.errors import InvalidInput
from makeway.model import event as ev
from makeway.model.cluster import Allocation, Placement
from makeway.store.database import Database
from makeway.store.decisions import DecisionFilter, list_decisions
from makeway.store.log import Log
from tests.store.look import look
from tests.store.world import DAWN_MS, World, bad_exit, spec


def held(workers: int) -> Allocation:
    return Allocation((Placement("n1", "worker", workers),))


def story(database: Database) -> None:
    """Start a job, let it grow, take it back for another one that is kept slots, and start that."""
    events: tuple[ev.Event, ...] = (
        ev.JobSubmitted(job="j1", spec=spec()),
        ev.JobSubmitted(job="j2", spec=spec()),
        ev.AttemptStarted(job="j1", number=1, fence=1, allocation=held(1), barrier_at_ms=0),
        ev.AttemptResized(job="j1", number=1, fence=1, generation=2, allocation=held(3)),
        ev.SlotsReserved(job="j2", allocation=held(3), rule="priority", victims=("j1",)),
        ev.AttemptStopped(
            job="j1", number=1, fence=1, cause="preempted", grace_ms=9, beneficiary="j2",
            rule="priority", text="j2 is of a higher class", lost_worker_ms=2**70,
        ),
        ev.AttemptStarted(job="j2", number=1, fence=2, allocation=held(3), barrier_at_ms=0),
        ev.AttemptStopped(job="j2", number=1, fence=2, cause="cancel", grace_ms=9),
    )  # fmt: skip
    entries = [
        ev.Entry(seq=seq, at_ms=DAWN_MS + seq, cause=0, event=event)
        for seq, event in enumerate(events, 1)
    ]
    Log(database).append(entries)


def test_the_ledger_says_who_got_what_and_who_gave_it(database: Database) -> None:
    story(database)
    told = [
        (row.seq, row.kind, row.job, row.workers, row.beneficiary, row.rule, row.cause, row.text)
        for row in reversed(list_decisions(database))
    ]
    assert told == [
        (3, "start", "j1", 1, None, None, None, ""),
        (4, "resize", "j1", 3, None, None, None, ""),
        (5, "reserve", "j2", 3, None, "priority", None, "when these have left: j1"),
        (6, "preempt", "j1", None, "j2", "priority", "preempted", "j2 is of a higher class"),
        (7, "start", "j2", 3, None, None, None, ""),
        (8, "stop", "j2", None, None, None, "cancel", ""),
    ]
    assert list_decisions(database)[2].lost_worker_ms == 2**63 - 1  # as much as a column holds
    assert look(database, "SELECT id, workers FROM job ORDER BY id") == [("j1", 3), ("j2", 3)]


def test_what_is_decided_about_ends_and_refusals(database: Database) -> None:
    world = World()
    world.submit_job(workers=9)  # too large for the only node
    for end in (bad_exit(world.now_ms), bad_exit(world.now_ms, "TypeError")):
        job = world.submit_job()
        world.ready(job)
        world.end(job, end)
    Log(database).append(world.entries)
    kinds = [(row.job, row.kind, row.cause) for row in reversed(list_decisions(database))]
    assert kinds == [
        ("j0001", "reject", "NoNodeFits"),
        ("j0002", "start", None),
        ("j0002", "retry", "CONNECTION"),
        ("j0003", "start", None),
        ("j0003", "stop", "CODE_ERROR"),
    ]
    assert all(row.text for row in list_decisions(database) if row.kind in {"retry", "stop"})
    assert look(database, "SELECT count(*) FROM job WHERE workers IS NOT NULL") == [(0,)]


@pytest.mark.parametrize(
    "wanted, seqs",
    [
        (DecisionFilter(job="j1"), [6, 4, 3]),
        (DecisionFilter(cause="preempted"), [6]),
        (DecisionFilter(kind="start"), [7, 3]),
        (DecisionFilter(since_ms=DAWN_MS + 7), [8, 7]),
        (DecisionFilter(limit=2), [8, 7]),
        (DecisionFilter(limit=2, before=7), [6, 5]),
        (DecisionFilter(job="j2", since_ms=DAWN_MS + 6, before=8), [7]),
        (DecisionFilter(job="nobody"), []),
        (DecisionFilter(before=0), []),
    ],
)
def test_decisions_are_chosen_and_paged(
    database: Database, wanted: DecisionFilter, seqs: list[int]
) -> None:
    story(database)
    assert [row.seq for row in list_decisions(database, wanted)] == seqs


@pytest.mark.parametrize("limit", [0, -1, 1_001])
def test_a_limit_that_is_none(database: Database, limit: int) -> None:
    with pytest.raises(InvalidInput, match="is not between 1 and 1000"):
        list_decisions(database, DecisionFilter(limit=limit))
