"""What people ask of a job that is there: to hold it, release it, resize it, retry it at once."""

from __future__ import annotations

import pytest

from makeway.model import event as ev
from makeway.model.cluster import Queue
from makeway.model.job import After, WorkerGroup
from makeway.model.phase import JobPhase
from makeway.model.wait import Reason
from makeway.policy.plan import Reserve, Start
from makeway.policy.why import why
from tests import builders
from tests.engine.hand import Led, on
from tests.engine.house import House, spec
from tests.engine.replayed import believed

ELASTIC = WorkerGroup(count_min=2, count_max=4, per_worker=builders.amounts(cpus=1))


def replayed(house: House) -> bool:
    """Say whether the log alone gives what is believed."""
    lived = believed(house.engine.state, house.now_ms)
    house.restart()
    return believed(house.engine.state, house.now_ms) == lived


def full() -> House:
    """Give a house with one machine, on which `a` takes everything."""
    house = House("n1", cpus=4)
    house.submit("a", cpus=4)
    return house


# ── hold and release ──────────────────────────────────────────────────────────────────────────────


def test_a_job_that_is_held_does_not_start_and_says_why() -> None:
    house = full()
    house.submit("b", cpus=4)
    assert house.tell(ev.JobHoldRequested(job="b", text="by root: the data is wrong")) == [
        "JobWaiting b: Held"
    ]
    wait = house.engine.state.waits["b"]
    assert wait.text == "it is held: by root: the data is wrong"
    house.finish("a")
    assert house.free_cpus() == {"n1": 4}
    assert replayed(house)
    assert house.tell(ev.JobReleaseRequested(job="b")) == ["AttemptStarted b/1 on n1"]


def test_a_job_that_is_held_keeps_its_place_in_line() -> None:
    house = full()
    house.submit("b", cpus=4)
    house.submit("c", cpus=4)
    house.tell(ev.JobHoldRequested(job="b"))
    house.tell(ev.JobReleaseRequested(job="b"))
    house.go("a")
    assert house.exits("a")[-1] == "AttemptStarted b/1 on n1"


def test_others_pass_a_job_while_it_is_held() -> None:
    house = full()
    house.submit("b", cpus=4)
    house.tell(ev.JobHoldRequested(job="b"))
    house.submit("c", cpus=4)
    house.go("a")
    assert house.exits("a")[-1] == "AttemptStarted c/1 on n1"


def test_a_job_may_be_held_from_its_submission_on() -> None:
    house = House("n1")
    told = house.tell(
        ev.JobSubmitted(job="a", spec=spec()), ev.JobHoldRequested(job="a", text="by ada")
    )
    assert told == ["JobWaiting a: Held"]
    assert house.orders == []


def test_whoever_asks_is_told_that_the_job_is_held_and_what_to_do() -> None:
    house = full()
    house.submit("b")
    house.tell(ev.JobHoldRequested(job="b"))
    wait = why(house.engine.state.snapshot(house.now_ms), "b")
    assert (wait.reason, wait.starts_at_ms) == (Reason.HELD, None)
    assert wait.unblock == ("release it: makeway job release b",)


def test_what_was_kept_for_a_job_is_given_up_when_it_is_held() -> None:
    house = Led("n1")
    house.submit("a")
    house.decide(Reserve(job="a", allocation=on("n1"), victims=()))
    house.tell(ev.JobHoldRequested(job="a"))
    assert house.engine.state.reserved == {}
    assert replayed(house)


def test_a_job_that_waits_for_another_stays_held_when_that_has_ended() -> None:
    house = full()
    house.submit("b", after=(After(job="a"),))
    assert house.tell(ev.JobHoldRequested(job="b")) == ["JobWaiting b: Held"]
    house.go("a")
    assert house.exits("a")[-2:] == ["JobEligible b", "JobWaiting b: Held"]
    assert house.tell(ev.JobReleaseRequested(job="b")) == ["AttemptStarted b/1 on n1"]


def test_a_release_before_that_says_again_what_the_job_waits_for() -> None:
    house = full()
    house.submit("b", after=(After(job="a"),))
    house.tell(ev.JobHoldRequested(job="b"))
    assert house.tell(ev.JobReleaseRequested(job="b")) == ["JobWaiting b: DependencyPending"]


def test_a_pause_that_ends_while_a_job_is_held_starts_nothing() -> None:
    house = House("n1")
    house.submit("a", retries=1)
    house.go("a")
    house.exits("a", code=1)
    house.tell(ev.JobHoldRequested(job="a"))
    assert house.wait_for("a") == []
    assert replayed(house)
    assert house.tell(ev.JobReleaseRequested(job="a")) == ["AttemptStarted a/2 on n1"]


def test_a_pause_goes_on_after_a_release() -> None:
    house = House("n1")
    house.submit("a", retries=1)
    house.go("a")
    house.exits("a", code=1)
    house.tell(ev.JobHoldRequested(job="a"))
    assert house.tell(ev.JobReleaseRequested(job="a")) == ["JobWaiting a: Backoff"]
    assert house.wait_for("a") == ["AttemptStarted a/2 on n1"]


def test_a_job_that_is_held_can_be_cancelled() -> None:
    house = full()
    house.submit("b")
    house.tell(ev.JobHoldRequested(job="b"))
    assert house.tell(ev.JobCancelRequested(job="b")) == ["JobFinished b cancelled"]
    assert house.engine.state.paused == {}


# ── retry ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_in_its_pause_is_tried_at_once_when_somebody_asks() -> None:
    house = House("n1")
    house.submit("a", retries=1)
    house.go("a")
    house.exits("a", code=1)
    assert house.tell(ev.JobRetryRequested(job="a")) == ["AttemptStarted a/2 on n1"]
    assert replayed(house)


def test_a_retry_at_the_instant_at_which_the_pause_is_over_changes_nothing() -> None:
    house = House("n1")
    house.submit("a", retries=1)
    house.go("a")
    house.exits("a", code=1)
    house.now_ms = house.job("a").not_before_ms
    assert house.tell(ev.JobRetryRequested(job="a")) == ["AttemptStarted a/2 on n1"]


def test_a_job_that_runs_is_started_again_and_nothing_is_charged_for_that() -> None:
    house = House("n1")
    house.submit("a")
    house.go("a")
    asked = ev.JobRetryRequested(job="a", text="restarted by ada")
    assert house.tell(asked) == ["AttemptStopped a/1 for restarted"]
    assert house.tell(asked) == []
    assert house.refused == ["it is leaving already"]
    told = house.exits("a", signal=15)
    assert told[0] == "AttemptEnded a/1: PREEMPTED"
    assert "AttemptStarted a/2 on n1" in told
    assert "restarted by ada" in house.last(ev.AttemptEnded).diagnosis.text
    assert [decision.ledger for decision in house.job("a").history] == [None]
    assert replayed(house)


# ── resize ────────────────────────────────────────────────────────────────────────────────────────


def resize(house: House, least: int, most: int, group: str | None = None) -> list[str]:
    return house.tell(ev.JobResizeRequested(job="a", group=group, count_min=least, count_max=most))


def test_a_job_that_waits_may_ask_for_anything_else() -> None:
    house = House("n1", cpus=4)
    house.submit("b", workers=3)
    house.submit("a", workers=3)
    assert resize(house, 1, 1) == ["JobChanged a", "AttemptStarted a/1 on n1"]
    assert len(house.attempt("a").workers) == 1
    assert replayed(house)


def test_an_elastic_job_shrinks_at_once_below_its_new_maximum() -> None:
    house = Led("n1", cpus=8)
    house.submit("a", groups=(ELASTIC,))
    house.decide(Start(job="a", allocation=on("n1*4")))
    house.go("a")
    assert resize(house, 1, 2) == ["JobChanged a", "AttemptResized a/1 on n1*2"]
    assert house.orders == ["resize a/1 to n1*2 in 0 s"]
    assert house.last(ev.AttemptResized).rule == "resize"
    assert replayed(house)


def test_an_elastic_job_grows_into_its_new_maximum_by_the_usual_rules() -> None:
    house = House("n1", cpus=8)
    house.submit("a", groups=(ELASTIC,))
    house.go("a")
    assert resize(house, 2, 6) == ["JobChanged a", "AttemptResized a/1 on n1*6"]
    assert house.last(ev.AttemptResized).rule is None


def test_an_elastic_job_may_become_a_rigid_one() -> None:
    house = House("n1", cpus=8)
    house.submit("a", groups=(ELASTIC,))
    house.go("a")
    assert resize(house, 2, 2) == ["JobChanged a", "AttemptResized a/1 on n1*2"]
    assert house.engine.state.elastic == set()
    resize(house, 1, 4)
    assert house.refused == [
        "it runs with a fixed number of workers (2); only an elastic job can be resized while it runs"
    ]


# ── what is refused ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "event, why_not",
    [
        (ev.JobHoldRequested(job="a"), "it is running; only a job that waits can be held"),
        (ev.JobHoldRequested(job="x"), "no such job"),
        (ev.JobReleaseRequested(job="a"), "it is not held"),
        (ev.JobReleaseRequested(job="b"), "it is not held"),
        (ev.JobRetryRequested(job="b"), "it does not wait for its next attempt"),
        (ev.JobResizeRequested(job="x", count_min=1, count_max=1), "no such job"),
        (ev.JobResizeRequested(job="a", count_min=1, count_max=2), "fixed number of workers"),
        (ev.JobResizeRequested(job="b", count_min=1, count_max=1), "it has these bounds already"),
        (ev.JobResizeRequested(job="b", count_min=3, count_max=2), "at most 2 workers is less"),
        (ev.JobResizeRequested(job="b", count_min=0, count_max=0), "at most 0 workers is none"),
        (ev.JobResizeRequested(job="b", count_min=0, count_max=1), "at least 1 worker"),
        (ev.JobResizeRequested(job="b", count_min=-1, count_max=1), "nobody starts with -1"),
        (ev.JobResizeRequested(job="b", count_min=9, count_max=9), "it could never run: needs 9"),
        (
            ev.JobResizeRequested(job="b", group="ps", count_min=1, count_max=2),
            "it has no group ps; there is worker",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason_and_changes_nothing(
    event: ev.Event, why_not: str
) -> None:
    house = full()
    house.submit("b")
    before = believed(house.engine.state, house.now_ms)
    assert house.tell(event) == []
    assert [why_not in said for said in house.refused] == [True], house.refused
    assert believed(house.engine.state, house.now_ms) == before


def test_what_a_queue_would_never_let_start_is_refused_too() -> None:
    house = full()
    house.tell(ev.QueuesConfigured(queues=(Queue(path="lab", limit={"cpu_milli": 2_000}),)))
    house.submit("b")
    house.tell(ev.JobResizeRequested(job="b", count_min=1, count_max=3))
    assert house.refused == []
    house.tell(ev.JobResizeRequested(job="b", count_min=3, count_max=3))
    assert "queue lab may never hold more than 2 cpus" in house.refused[0]


def test_a_job_is_held_once() -> None:
    house = full()
    house.submit("b")
    house.tell(ev.JobHoldRequested(job="b"), ev.JobHoldRequested(job="b"))
    assert house.refused == ["it is held already"]
    house.tell(ev.JobRetryRequested(job="b"))
    assert house.refused == ["it is held; release it first"]


def test_who_runs_with_fewer_workers_than_the_new_minimum_is_refused_it() -> None:
    house = House("n1", cpus=2)
    house.submit("a", groups=(ELASTIC,))
    house.go("a")
    resize(house, 3, 4)
    assert house.refused == ["it runs with 2 workers, fewer than the new minimum of 3"]


def test_of_several_groups_one_must_be_named_and_no_other_may_fall_below_its_minimum() -> None:
    house = Led("n1", cpus=8)
    cpu = builders.amounts(cpus=1)
    groups = (
        WorkerGroup(name="worker", count_min=1, count_max=3, per_worker=cpu),
        WorkerGroup(name="reader", count_min=1, count_max=1, per_worker=cpu),
    )
    house.submit("a", groups=groups)
    resize(house, 1, 2)
    assert house.refused == ["it has several groups (worker and reader): name one"]
    placements = (*on("n1*3").placements, on("n1").placements[0])
    reader = type(placements[0])("n1", "reader", 1)
    allocation = type(on("n1"))((placements[0], reader))
    house.decide(Start(job="a", allocation=allocation))
    house.go("a")
    resize(house, 1, 2, group="worker")
    assert house.refused == [
        "workers leave from the end alone, and group reader would be left with 0 of 1"
    ]
    assert house.job("a").phase is JobPhase.RUNNING
