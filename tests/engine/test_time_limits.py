"""Who runs longer than its time limit is stopped, where the rules say so; and how far jobs come."""

from __future__ import annotations

from makeway.model import event as ev
from makeway.model.cluster import Allocation, Placement
from makeway.model.phase import AttemptPhase
from makeway.model.record import Cause, Yielded
from makeway.model.rules import LIVE, Rules
from tests.engine.house import House
from tests.engine.replayed import believed

ENFORCED = Rules(enforce_time_limits=True)


def enforced() -> House:
    """Give a house that holds jobs to their limits."""
    house = House("n1")
    house.tell(ev.RulesConfigured(rules=ENFORCED))
    return house


def test_who_runs_longer_than_its_limit_is_stopped_and_fails() -> None:
    house = enforced()
    house.submit("a", time_limit_ms=60_000, retries=5)
    house.go("a")
    assert house.pass_time(59_999) == []
    assert house.pass_time(1) == ["AttemptStopped a/1 for timeout"]
    assert house.orders == ["stop a/1 for timeout in 30 s"]
    assert house.exits("a", signal=15) == ["AttemptEnded a/1: TIMED_OUT", "JobFinished a failed"]
    assert "its time was over at 60 s: its limit is 60 s" in house.last(ev.JobFinished).text


def test_time_at_the_barrier_does_not_count() -> None:
    house = enforced()
    house.submit("a", time_limit_ms=30_000)
    house.pass_time(50_000)
    house.go("a")
    assert house.pass_time(29_999) == []
    assert house.pass_time(1) == ["AttemptStopped a/1 for timeout"]


def test_each_attempt_has_the_whole_time() -> None:
    house = enforced()
    house.submit("a", time_limit_ms=60_000, retries=1)
    house.go("a")
    house.pass_time(50_000)
    house.exits("a", code=1)
    house.wait_for("a")
    house.go("a")
    assert house.pass_time(59_999) == []
    assert house.pass_time(1) == ["AttemptStopped a/2 for timeout"]


def test_who_ends_well_at_the_last_moment_has_succeeded() -> None:
    house = enforced()
    house.submit("a", time_limit_ms=60_000)
    house.go("a")
    house.pass_time(60_000)
    assert house.exits("a")[-1] == "JobFinished a succeeded"


def test_who_saved_its_work_may_go_on_if_it_has_retries() -> None:
    house = enforced()
    house.submit("a", time_limit_ms=60_000, retries=5)
    for number, step in ((1, 10), (2, 20)):
        house.go("a")
        house.pass_time(60_000)
        told = house.exits("a", code=75, yielded=Yielded(fence=number, step=step))
        assert told[0] == f"AttemptEnded a/{number}: TIMED_OUT"
        assert told[1].endswith(f"TIMED_OUT, app {number} of 5")
        house.wait_for("a")
    house.go("a")
    house.pass_time(60_000)
    told = house.exits("a", code=75, yielded=Yielded(fence=3, step=20))
    assert told[-1] == "JobFinished a failed"


def test_a_simulation_holds_nobody_to_a_limit_and_a_live_cluster_does() -> None:
    house = House("n1")
    house.submit("a", time_limit_ms=60_000)
    house.go("a")
    assert house.wake_at_ms is None
    assert house.pass_time(600_000) == []
    assert (Rules().enforce_time_limits, LIVE.enforce_time_limits) == (False, True)


def test_a_rule_that_comes_later_holds_for_who_runs_already() -> None:
    house = House("n1")
    house.submit("a", time_limit_ms=60_000)
    house.go("a")
    house.tell(ev.RulesConfigured(rules=ENFORCED))
    house.tell(ev.RulesConfigured(rules=Rules()))
    assert house.pass_time(30_000) == []
    house.tell(ev.RulesConfigured(rules=ENFORCED))
    assert house.pass_time(30_000) == ["AttemptStopped a/1 for timeout"]


def test_a_limit_that_is_over_when_the_rule_comes_is_over_at_once() -> None:
    house = House("n1")
    house.submit("a", time_limit_ms=60_000)
    house.go("a")
    house.now_ms += 100_000
    assert house.tell(ev.RulesConfigured(rules=ENFORCED)) == ["AttemptStopped a/1 for timeout"]


def test_who_was_adopted_is_held_to_its_limit_from_its_own_start() -> None:
    house = enforced()
    house.tell(ev.NodeDrained(name="n1"))
    house.submit("a", time_limit_ms=60_000)
    placed = Allocation((Placement("n1", "worker", 1),))
    adopted = ev.AttemptAdopted(job="a", allocation=placed, started_at_ms=house.now_ms - 50_000)
    house.tell(ev.JobHoldRequested(job="a"), ev.NodeUndrained(name="n1"), adopted)
    assert house.attempt("a").phase is AttemptPhase.RUNNING
    assert house.pass_time(10_000) == ["AttemptStopped a/1 for timeout"]


def test_after_a_restart_the_limit_is_the_same() -> None:
    house = enforced()
    house.submit("a", time_limit_ms=60_000)
    house.go("a")
    house.pass_time(40_000)
    lived = believed(house.engine.state, house.now_ms)
    house.restart()
    assert believed(house.engine.state, house.now_ms) == lived
    assert house.pass_time(20_000) == ["AttemptStopped a/1 for timeout"]


# ── how far a job comes ───────────────────────────────────────────────────────────────────────────


def fail_at(house: House, step: int | None, code: int = 1) -> str:
    """Let `a` run once more and fail at this step; give what becomes of it."""
    house.go("a")
    told = house.exits("a", code=code, step=step)
    if "a" in house.engine.state.jobs:
        house.wait_for("a")
    return told[1]


def test_a_job_that_three_restarts_bring_no_further_ends() -> None:
    house = House("n1")
    house.submit("a", retries=9)
    for step, code in ((100, 1), (90, 3), (100, 1)):
        assert fail_at(house, step, code).startswith("JobRequeued a")
    assert fail_at(house, 100, 3) == "JobFinished a failed"
    decision = house.last(ev.JobFinished).decision
    assert decision.cause is Cause.NO_PROGRESS
    assert "3 restarts came no further than step 100" in decision.text


def test_a_step_gained_begins_the_count_again() -> None:
    house = House("n1")
    house.submit("a", retries=9)
    for number, step in enumerate((100, 100, 100, 101, 101, 101)):
        assert fail_at(house, step, code=1 + 2 * (number % 2)).startswith("JobRequeued a")
    assert fail_at(house, 101, code=1) == "JobFinished a failed"
    assert house.last(ev.JobFinished).decision.cause is Cause.NO_PROGRESS


def test_the_same_failure_three_times_without_a_step_gained_ends_it() -> None:
    house = House("n1")
    house.submit("a", retries=9)
    for step in (100, 100):
        assert fail_at(house, step).startswith("JobRequeued a")
    assert fail_at(house, 100) == "JobFinished a failed"
    assert "the same failure ended 3 attempts in a row" in house.last(ev.JobFinished).text


def test_what_is_not_known_counts_neither_way() -> None:
    house = House("n1")
    house.submit("a", retries=9)
    for step in (100, None, None, None, 100, None):
        assert fail_at(house, step).startswith("JobRequeued a")
    assert fail_at(house, 100) == "JobFinished a failed"


def test_an_eviction_is_no_restart_that_failed() -> None:
    house = House("n1", "n2")
    house.submit("a")
    for number in range(1, 7):
        node = house.attempt("a").workers[0].node
        house.go("a")
        house.tell(ev.NodeDrained(name=node, evict=True))
        house.exits("a", code=75, yielded=Yielded(fence=number, step=5))
        house.tell(ev.NodeUndrained(name=node))
    assert [past.checkpoint_step for past in house.job("a").past] == [5] * 6
    assert [decision.ledger for decision in house.job("a").history] == [None] * 6


def test_who_leaves_by_itself_again_and_again_without_a_gain_ends() -> None:
    house = House("n1")
    house.submit("a")
    for fence in (1, 2, 3):
        house.go("a")
        told = house.exits("a", code=75, yielded=Yielded(fence=fence, step=5))
        assert told[1] == f"JobRequeued a at {house.now_ms}: PREEMPTED"
    house.go("a")
    told = house.exits("a", code=75, yielded=Yielded(fence=4, step=5))
    assert told[-1] == "JobFinished a failed"
