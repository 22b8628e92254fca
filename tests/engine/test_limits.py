"""What a queue does not take is refused when it comes, with the limit, the queue and the count."""

from __future__ import annotations

from typing import Any

import pytest

from makeway.model import event as ev
from makeway.model.cluster import Budget, Queue
from makeway.model.job import After
from makeway.model.wait import Reason
from tests.engine.hand import Led, on
from tests.engine.house import House, spec


def limited(**limits: Any) -> Led:
    """Give a house where nobody starts and queue `lab` has these limits."""
    house = Led()
    house.tell(ev.QueuesConfigured(queues=(Queue(path="lab", **limits),)))
    return house


def refusal(house: House) -> str:
    wait = house.last(ev.JobRejected).wait
    assert wait.reason is Reason.EXCEEDS_LIMIT
    assert house.last(ev.JobFinished).text == wait.text
    text: str = wait.text
    return text


def test_a_class_above_the_highest_of_the_queue_or_of_one_above_it() -> None:
    house = limited(max_class=0)
    told = house.submit("a", queue="lab/ada", priority=100)
    assert told == ["JobRejected a: ExceedsLimit", "JobFinished a failed"]
    assert refusal(house) == "queue lab allows classes up to medium, and this job's is high"
    assert house.last(ev.JobRejected).wait.detail == {"limit": 0, "count": 100, "queue": "lab"}
    assert house.submit("b", queue="lab/ada") == ["JobWaiting b: InsufficientFree"]


def test_more_jobs_than_may_queue_in_the_queue_and_below_it() -> None:
    house = limited(max_queued=2)
    house.submit("a", queue="lab/ada")
    house.submit("b", queue="lab/bob")
    house.submit("c", queue="lab")
    assert refusal(house) == "queue lab allows 2 queued jobs, and 2 are queued"
    assert house.last(ev.JobRejected).wait.detail == {"limit": 2, "count": 2, "queue": "lab"}
    house.tell(ev.JobCancelRequested(job="a"))
    house.submit("d", queue="lab")
    assert "d" in house.engine.state.waiting


def test_jobs_of_one_instant_are_counted_one_after_the_other() -> None:
    house = limited(max_queued=1)
    told = house.tell(*(ev.JobSubmitted(job=name, spec=spec()) for name in "abc"))
    assert told[:4] == [
        "JobRejected b: ExceedsLimit",
        "JobFinished b failed",
        "JobRejected c: ExceedsLimit",
        "JobFinished c failed",
    ]
    assert refusal(house) == "queue lab allows 1 queued job, and 1 is queued"


def test_a_job_that_is_held_for_another_queues_for_nothing() -> None:
    house = limited(max_queued=1)
    house.submit("a")
    assert house.submit("b", after=(After(job="a"),)) == ["JobWaiting b: DependencyPending"]


def test_more_submissions_than_a_minute_allows() -> None:
    house = limited(submits_per_minute=2)
    house.submit("a")
    house.pass_time(30_000)
    house.submit("b")
    house.submit("c")
    assert refusal(house) == ("queue lab allows 2 submissions a minute, and 2 came in the last one")
    house.pass_time(30_000)
    house.submit("d")
    assert "d" in house.engine.state.waiting


def test_the_root_can_have_limits_too() -> None:
    house = Led()
    house.tell(ev.QueuesConfigured(queues=(Queue(path="", max_queued=0),)))
    house.submit("a", queue="anywhere")
    assert refusal(house) == "the root queue allows 0 queued jobs, and 0 are queued"


@pytest.mark.parametrize("limit", ["max_queued", "submits_per_minute"])
def test_a_job_that_runs_already_may_exceed_them(limit: str) -> None:
    house = limited(**{limit: 0})
    told = house.tell(
        ev.JobSubmitted(job="a", spec=spec()),
        ev.AttemptAdopted(job="a", allocation=on("n1"), started_at_ms=-5_000),
    )
    assert told == []
    assert {*house.engine.state.running} == {"a"}
    assert house.engine.state.submits == {}


# ── budgets above the normal class ────────────────────────────────────────────────────────────────


def spending(**budget: Any) -> House:
    """Give a house in which the queue lab has a budget."""
    return limited(budget=Budget(per_ms=100_000, **budget))


def test_more_jobs_above_normal_than_the_budget_are_refused_until_the_next_window() -> None:
    house = spending(jobs=1)
    house.submit("a", queue="lab/ada", priority=100)
    house.submit("b", queue="lab/bob", priority=100)
    assert refusal(house) == (
        "queue lab has a budget of 1 job above class medium in 100 seconds, and 1 came"
    )
    house.submit("c", queue="lab")
    house.pass_time(100_000)
    house.submit("d", queue="lab", priority=100)
    assert {*house.engine.state.waiting} == {"a", "c", "d"}


def test_a_budget_that_is_set_later_counts_from_then_on() -> None:
    house = limited()
    house.submit("a", queue="lab", priority=100)
    house.tell(ev.QueuesConfigured(queues=(Queue(path="lab", budget=Budget(jobs=1)),)))
    house.submit("b", queue="lab", priority=100)
    assert {*house.engine.state.waiting} == {"a", "b"}
    house.tell(ev.QueuesConfigured(queues=(Queue(path="lab", budget=Budget(jobs=1)),)))
    house.submit("c", queue="lab", priority=100)
    assert refusal(house).startswith("queue lab has a budget of 1 job")
