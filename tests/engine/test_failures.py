"""What follows when a worker fails, a machine goes, or somebody changes their mind."""

from __future__ import annotations

import pytest

from makeway.model import event as ev
from makeway.model.phase import AttemptPhase, JobPhase
from tests import builders
from tests.engine.house import House

# ── the peers of a worker that failed ─────────────────────────────────────────────────────────────


def test_a_worker_that_fails_stops_its_peers() -> None:
    house = House()
    house.submit("a", workers=3)
    house.go("a")
    assert house.exits("a", 1, code=1) == ["AttemptStopped a/1 for peer"]
    assert house.orders == ["stop a/1 for peer in 5 s"]
    assert house.job("a").phase is JobPhase.EVICTING


def test_peers_get_no_more_time_to_leave_than_the_job_gives() -> None:
    house = House()
    house.submit("a", workers=2, grace_ms=1_000)
    house.go("a")
    house.exits("a", 1, code=1)
    assert house.orders == ["stop a/1 for peer in 1 s"]


def test_further_failures_of_an_attempt_that_is_stopping_order_nothing_more() -> None:
    house = House()
    house.submit("a", workers=3)
    house.go("a")
    house.exits("a", 1, code=1)
    assert house.exits("a", 2, code=1) == []
    assert house.orders == []


def test_the_first_failure_is_the_cause_and_not_the_one_that_was_told_first() -> None:
    house = House()
    house.submit("a", workers=3)
    house.go("a")
    first_ms = house.now_ms
    house.pass_time(500)
    house.fails("a", "ConnectionResetError", rank=2, errno=104)
    house.exits("a", 0, signal=15)
    house.exits("a", 1, code=1, at_ms=first_ms)
    diagnosis = house.last(ev.AttemptEnded).diagnosis
    assert (diagnosis.rank, diagnosis.text) == (
        1,
        "unknown, because rank 1: exit code 1 says nothing, and nothing else does",
    )


def test_a_lost_machine_is_the_cause_although_its_peers_failed_long_before_it_was_missed() -> None:
    house = House("n1", "n2", cpus=2)
    house.submit("a", workers=4)
    house.go("a")
    house.fails("a", "ConnectionResetError", rank=0, errno=104)
    house.exits("a", 1, signal=15)
    house.pass_time(20_000)
    told = house.tell(ev.NodeLost(name="n2"))
    assert "AttemptEnded a/1: NODE_LOST" in told
    assert house.last(ev.JobRequeued).decision.after_ms == 0


def test_a_lost_machine_does_not_excuse_a_mistake_in_the_program() -> None:
    house = House("n1", "n2", cpus=2)
    house.submit("a", workers=4)
    house.go("a")
    house.fails("a", "NameError", rank=0)
    house.exits("a", 1, signal=15)
    told = house.tell(ev.NodeLost(name="n2"))
    assert told[-2:] == ["AttemptEnded a/1: CODE_ERROR", "JobFinished a failed"]


# ── trying again ──────────────────────────────────────────────────────────────────────────────────


def test_a_lost_connection_is_paid_by_the_infra_ledger_and_waits_before_it_is_tried_again() -> None:
    house = House()
    house.submit("a", retries=0)
    house.go("a")
    told = house.fails("a", "ConnectionError", errno=104)
    decision = house.last(ev.JobRequeued).decision
    assert told[0] == "AttemptEnded a/1: CONNECTION"
    assert told[-1] == "JobWaiting a: Backoff"
    assert (decision.ledger, decision.ledger_used, decision.ledger_allowed) == ("infra", 1, 5)
    assert 5_000 <= decision.after_ms <= 10_000

    assert house.pass_time(decision.after_ms - 1) == []
    assert house.pass_time(1) == ["AttemptStarted a/2 on n1"]


def test_the_wait_doubles_with_each_retry_up_to_five_minutes() -> None:
    house = House()
    house.submit("a", retries=9)
    waits = []
    for _ in range(9):
        house.go("a")
        house.exits("a", code=1)
        waits.append(house.last(ev.JobRequeued).decision.after_ms)
        house.wait_for("a")
    fulls = [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000, 300_000]
    assert all(full / 2 <= wait <= full for wait, full in zip(waits, fulls, strict=True)), waits


def test_what_the_user_allows_is_used_up_by_failures_that_no_rule_knows() -> None:
    house = House()
    house.submit("a", retries=1)
    house.go("a")
    house.exits("a", code=1)
    assert house.job("a").history[-1].ledger == "app"
    house.wait_for("a")
    house.go("a")
    assert house.exits("a", code=1)[-1] == "JobFinished a failed"
    assert house.last(ev.JobFinished).text.endswith("the app ledger is empty (1 of 1), so it stops")


def test_each_ledger_pays_for_its_own() -> None:
    house = House()
    house.submit("a", retries=1)
    house.go("a")
    house.fails("a", "ConnectionError")
    house.wait_for("a")
    house.go("a")
    house.exits("a", code=1)
    used = [(decision.ledger, decision.ledger_used) for decision in house.job("a").history]
    assert used == [("infra", 1), ("app", 1)]


def test_a_permanent_failure_is_not_tried_again_whatever_was_allowed() -> None:
    house = House()
    house.submit("a", retries=5)
    house.go("a")
    assert house.fails("a", "NameError") == [
        "AttemptEnded a/1: CODE_ERROR",
        "JobFinished a failed",
    ]
    assert house.last(ev.JobFinished).decision.action == "stop"


def test_what_may_not_be_repeated_is_not_repeated_once_it_has_begun() -> None:
    house = House()
    house.submit("a", idempotent=False, retries=5)
    house.go("a")
    assert house.fails("a", "ConnectionError")[-1] == "JobFinished a failed"
    assert "it may not be repeated by itself (idempotent: false)" in house.last(ev.JobFinished).text


def test_what_may_not_be_repeated_is_tried_again_as_long_as_it_has_not_begun() -> None:
    house = House()
    house.submit("a", idempotent=False)
    house.pass_time(60_000)
    house.exits("a", signal=15, started=False)
    assert house.wait_for("a") == ["AttemptStarted a/2 on n1"]


def test_a_worker_that_was_let_go_and_lost_may_have_begun_without_having_said_so() -> None:
    house = House("n1", "n2")
    house.submit("a", idempotent=False)
    house.ready("a")  # let go, and no WorkerStarted has come back
    told = house.tell(ev.NodeLost(name="n1"))
    assert told[-1] == "JobFinished a failed"
    assert house.last(ev.AttemptEnded).started


def test_a_job_on_a_lost_machine_starts_elsewhere_at_once() -> None:
    house = House("n1", "n2")
    house.submit("a")
    house.go("a")
    assert house.tell(ev.NodeLost(name="n1")) == [
        "WorkerExited a rank 0: node n1 is gone",
        "AttemptEnded a/1: NODE_LOST",
        f"JobRequeued a at {house.now_ms}: NODE_LOST, infra 1 of 5",
        "AttemptStarted a/2 on n2",
    ]


# ── cancelling, in every phase ────────────────────────────────────────────────────────────────────


def cancel(house: House) -> list[str]:
    return house.tell(ev.JobCancelRequested(job="a", text="enough"))


def test_cancelled_while_it_waits_for_its_next_attempt() -> None:
    house = House()
    house.submit("a", retries=1)
    house.go("a")
    house.exits("a", code=1)
    assert cancel(house) == ["JobFinished a cancelled"]
    assert house.pass_time(300_000) == []


def test_cancelled_while_it_is_prepared() -> None:
    house = House()
    house.submit("a", workers=2)
    house.ready("a", 0)
    assert cancel(house) == ["AttemptStopped a/1 for cancel"]
    assert house.orders == ["stop a/1 for cancel in 30 s"]
    # Agents that leave the barrier may well end with code 0: that is not the work.
    assert house.exits("a", code=0, started=False) == [
        "AttemptEnded a/1: CANCELLED",
        "JobFinished a cancelled",
    ]


def test_cancelled_while_it_runs() -> None:
    house = House()
    house.submit("a", workers=2)
    house.go("a")
    assert cancel(house) == ["AttemptStopped a/1 for cancel"]
    assert house.exits("a", signal=15)[-1] == "JobFinished a cancelled"


def test_cancelled_while_it_is_stopping_for_another_reason() -> None:
    house = House()
    house.submit("a", workers=2, retries=5)
    house.go("a")
    house.exits("a", 0, code=1)
    assert cancel(house) == []
    assert house.orders == []
    assert house.exits("a", 1, signal=15) == [
        "AttemptEnded a/1: UNKNOWN",
        "JobFinished a cancelled",
    ]


def test_cancelled_and_finished_all_the_same() -> None:
    house = House()
    house.submit("a", workers=2)
    house.go("a")
    house.exits("a", 0)
    cancel(house)
    assert house.exits("a", 1) == ["AttemptEnded a/1: NONE", "JobFinished a succeeded"]


def test_cancelled_and_then_its_machine_is_lost() -> None:
    house = House("n1", "n2")
    house.submit("a")
    house.go("a")
    cancel(house)
    assert house.tell(ev.NodeLost(name="n1"))[-1] == "JobFinished a cancelled"


@pytest.mark.parametrize("order", ["lost first", "exit first"])
def test_a_worker_ends_once_whoever_says_so_first(order: str) -> None:
    house = House("n1", "n2")
    house.submit("a")
    house.go("a")
    told: list[ev.Event] = [house.exited("a", 0), ev.NodeLost(name="n1")]
    if order == "lost first":
        told.reverse()
    house.tell(*told)
    if order == "lost first":
        assert house.refused == ["no attempt of a is alive"]
        assert house.attempt("a").number == 2
    else:
        assert house.last(ev.JobFinished).phase is JobPhase.SUCCEEDED


def test_a_machine_is_lost_before_anybody_was_heard_of() -> None:
    house = House("n1", cpus=1)
    house.submit("a")
    told = house.tell(ev.NodeLost(name="n1"))
    assert told[1] == "AttemptEnded a/1: NODE_LOST"
    assert "a" in house.engine.state.waiting
    assert house.tell(ev.NodeJoined(node=builders.node("n9", cpus=1)))[0] == (
        "AttemptStarted a/2 on n9"
    )
    assert house.attempt("a").phase is AttemptPhase.PREPARING
