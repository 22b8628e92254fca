"""What a policy decides becomes facts, in that order; why others wait is written down once."""

from __future__ import annotations

import pytest

from makeway.model import event as ev
from makeway.model.cluster import Queue
from makeway.model.phase import JobPhase
from makeway.model.rules import PastUsage, Preemption, Rules
from makeway.model.wait import Reason, Wait
from makeway.policy.plan import Preempt, Promise, Reject, Release, Reserve, Start
from tests import builders
from tests.engine.hand import Led, on
from tests.engine.house import spec


def busy() -> Led:
    """Give a house where `a` fills n1, and `b` and `c` wait."""
    house = Led("n1", "n2", cpus=2)
    house.submit("a", workers=2)
    house.decide(Start(job="a", allocation=on("n1*2")))
    house.go("a")
    house.submit("b", workers=2, priority=100)
    house.submit("c")
    return house


# ── eviction ──────────────────────────────────────────────────────────────────────────────────────


def test_a_preempted_job_is_queued_again_at_once_in_its_old_place_and_nothing_is_charged() -> None:
    house = busy()
    order = house.job("a").order
    house.pass_time(5_000)
    keep = Reserve(job="b", allocation=on("n1*2"), rule="priority", victims=("a",))
    evict = Preempt(job="a", beneficiary="b", rule="priority", text="why", lost_worker_ms=7)
    assert house.decide(evict, keep)[:2] == [
        "AttemptStopped a/1 for preempted",
        "SlotsReserved b on n1*2",
    ]
    stopped = house.last(ev.AttemptStopped)
    assert (stopped.beneficiary, stopped.rule, stopped.lost_worker_ms) == ("b", "priority", 7)
    assert house.orders == ["stop a/1 for preempted in 0 s"]
    assert house.engine.state.leaving == {"a": on("n1*2").placements}
    told = house.exits("a", signal=15)
    assert told[0] == "AttemptEnded a/1: PREEMPTED"
    assert told[1] == f"JobRequeued a at {house.now_ms}: PREEMPTED"
    job = house.job("a")
    assert (job.phase, job.order) == (JobPhase.QUEUED, order)
    assert (job.evicted_at_ms, job.served_ms) == (house.now_ms, 5_000)
    assert house.engine.state.paused == {}


@pytest.mark.parametrize("own_ms,time", [(60_000, "30 s"), (1_000, "1 s")])
def test_a_victim_gets_no_more_time_than_the_rules_and_its_job_give(own_ms: int, time: str) -> None:
    house = Led("n1", cpus=2)
    house.tell(ev.RulesConfigured(rules=Rules(preemption=Preemption(grace_ms=30_000))))
    house.hand.next = [Start(job="a", allocation=on("n1"))]
    house.submit("a", grace_ms=own_ms)
    house.hand.next = [Preempt(job="a", beneficiary="b", rule="priority")]
    house.submit("b")
    assert house.orders == [f"stop a/1 for preempted in {time}"]
    assert house.restart()[-1] == f"stop a/1 for preempted in {time}"


def test_a_victim_that_had_finished_is_finished() -> None:
    house = busy()
    house.decide(Preempt(job="a", beneficiary="b", rule="priority"))
    assert house.exits("a") == ["AttemptEnded a/1: NONE", "JobFinished a succeeded"]


# ── slots that are kept ───────────────────────────────────────────────────────────────────────────


def test_a_reservation_lasts_until_its_job_starts_or_ends() -> None:
    house = busy()
    state = house.engine.state
    house.decide(Reserve(job="b", allocation=on("n2*2")), Promise(job="c"))
    assert state.reserved == {"b": on("n2*2")}
    assert state.planned == {"b": house.log[-2].seq, "c": house.log[-1].seq}
    house.decide(Start(job="b", allocation=on("n2*2")))
    assert state.reserved == {}
    house.tell(ev.JobCancelRequested(job="c"))
    assert state.planned == {}


def test_a_reservation_can_be_given_up() -> None:
    house = busy()
    house.decide(Reserve(job="b", allocation=on("n2*2")))
    assert house.decide(Release(job="b", text="no longer wanted")) == ["ReservationDropped b"]
    assert house.engine.state.reserved == {}


def test_a_reservation_falls_with_its_machine() -> None:
    house = busy()
    house.decide(Reserve(job="b", allocation=on("n2*2")))
    assert house.tell(ev.NodeLost(name="n2")) == ["ReservationDropped b"]
    assert house.last(ev.ReservationDropped).text == "node n2 is gone"


# ── why others wait ───────────────────────────────────────────────────────────────────────────────


def test_each_job_is_told_once_and_then_the_head_of_its_lane_when_the_family_changes() -> None:
    house = Led("n1")
    assert house.submit("a") == ["JobWaiting a: InsufficientFree"]
    assert house.submit("b") == ["JobWaiting b: InsufficientFree"]
    house.hand.reason = Reason.FRAGMENTED  # the same family
    assert house.decide() == []
    house.hand.reason = Reason.QUEUE_LIMIT
    assert house.decide() == ["JobWaiting a: QueueLimit"]
    assert house.decide() == []


def test_who_starts_or_is_refused_is_told_nothing() -> None:
    house = Led("n1")
    house.hand.next = [
        Start(job="a", allocation=on("n1")),
        Reject(job="b", wait=Wait(reason=Reason.NO_NODE_FITS, text="never")),
    ]
    told = house.tell(*(ev.JobSubmitted(job=name, spec=spec()) for name in "abc"))
    assert told == [
        "AttemptStarted a/1 on n1",
        "JobRejected b: NoNodeFits",
        "JobFinished b failed",
        "JobWaiting c: InsufficientFree",
    ]


def test_after_a_backoff_why_a_job_waits_is_told_anew() -> None:
    house = busy()
    house.fails("a", "ConnectionError", errno=104)
    house.exits("a", 1, signal=15)
    assert house.engine.state.waits["a"].reason is Reason.BACKOFF
    assert {*house.engine.state.paused} == {"a"}
    assert house.wait_for("a") == ["JobWaiting a: InsufficientFree"]
    assert house.engine.state.paused == {}


# ── when to ask again ─────────────────────────────────────────────────────────────────────────────


def test_the_policy_is_asked_again_when_it_wants_to_be() -> None:
    house = Led("n1")
    house.hand.wake_at_ms = house.now_ms + 9_000
    house.submit("a")
    house.hand.wake_at_ms = asked = house.now_ms + 5_000
    house.submit("b")
    assert house.wake_at_ms == asked  # the latest word alone counts
    house.hand.wake_at_ms = None
    house.hand.next = [Start(job="a", allocation=on("n1"))]
    assert house.pass_time(4_999) == []
    assert house.pass_time(1) == ["AttemptStarted a/1 on n1"]


def test_a_policy_cannot_ask_to_be_woken_for_the_past() -> None:
    house = Led("n1")
    house.hand.wake_at_ms = house.now_ms
    with pytest.raises(AssertionError, match="wants to be woken now"):
        house.submit("a")


def test_the_policy_is_not_asked_when_there_is_nothing_to_decide() -> None:
    house = Led("n1")
    house.tell(ev.NodeJoined(node=builders.node("n2")))
    assert house.hand.asked == 0


# ── jobs that ran before ──────────────────────────────────────────────────────────────────────────


def adopt(house: Led, *rows: str, started_at_ms: int = -5_000) -> list[str]:
    return house.tell(
        ev.JobSubmitted(job="a", spec=spec(2), since_ms=-9_000),
        ev.AttemptAdopted(job="a", allocation=on(*rows), started_at_ms=started_at_ms),
    )


def test_a_job_that_ran_before_is_taken_over_as_it_is() -> None:
    house = Led("n1", "n2")
    assert adopt(house, "n1", "n2") == []
    assert house.orders == ["launch a/1 on n1 n2", "release a/1 to meet at :0"]
    attempt, job = house.attempt("a"), house.job("a")
    assert (attempt.released_at_ms, attempt.number, attempt.fence) == (-5_000, 1, 1)
    assert (job.submitted_at_ms, job.phase) == (-9_000, JobPhase.RUNNING)
    assert house.engine.state.running["a"].started_at_ms == -5_000
    assert house.restart()[0] == "launch a/1 on n1 n2"
    assert house.exits("a")[-1] == "JobFinished a succeeded"


@pytest.mark.parametrize(
    "rows,why",
    [
        (("n1*9",), "it does not fit on n1"),
        (("n7*2",), "it does not fit on n7"),
        (("n1",), "it has 1 of 2 workers"),
    ],
    ids=str,
)
def test_what_cannot_run_there_is_not_taken_over(rows: tuple[str, ...], why: str) -> None:
    house = Led("n1")
    adopt(house, *rows)
    assert why in house.refused[0]
    assert {*house.engine.state.waiting} == {"a"}


def test_nobody_is_taken_over_twice() -> None:
    house = Led("n1")
    adopt(house, "n1*2")
    house.tell(ev.AttemptAdopted(job="a", allocation=on("n1*2"), started_at_ms=0))
    house.tell(ev.AttemptAdopted(job="b", allocation=on("n1*2"), started_at_ms=0))
    assert house.refused == ["no such job, or it has ended"]


# ── queues and their past ─────────────────────────────────────────────────────────────────────────


def test_a_queue_that_nobody_set_is_there_as_long_as_it_has_an_unfinished_job() -> None:
    house = Led("n1")
    house.tell(ev.QueuesConfigured(queues=(Queue(path="org/d"),)))
    known = {"", "org", "org/d"}
    house.submit("a", queue="org/e")
    assert {*house.engine.state.queues} == known | {"org/e"}
    house.submit("b", queue="org/e")
    house.tell(ev.JobCancelRequested(job="a"))
    assert {*house.engine.state.queues} == known | {"org/e"}
    house.tell(ev.JobCancelRequested(job="b"))
    assert {*house.engine.state.queues} == known
    house.submit("c", queue="org/e")
    assert {*house.engine.state.queues} == known | {"org/e"}


def test_what_a_queue_used_halves_in_a_half_life_and_goes_on_while_it_holds_something() -> None:
    house = Led("n1")
    rules = Rules(usage=PastUsage(half_life_ms=10_000, weight=1.0))
    queues = (Queue(path="lab", past_usage={"cpu_milli": 4_000}), Queue(path="other"))
    house.tell(ev.RulesConfigured(rules=rules), ev.QueuesConfigured(queues=queues))
    house.pass_time(10_000)
    past = house.engine.state.snapshot(house.now_ms).past
    assert past["lab"] == {"cpu_milli": pytest.approx(2_000)}
    assert past[""] == past["lab"]
    house.hand.next = [Start(job="a", allocation=on("n1"))]
    house.submit("a", queue="lab/ada")
    # Whoever holds one processor for ever has used h / ln 2 of it in the end.
    end = house.engine.state.snapshot(house.now_ms + 1_000_000).past
    assert end["lab/ada"]["cpu_milli"] == pytest.approx(1_000 * 10_000 / 0.693147, rel=1e-3)
    assert end["lab"] == pytest.approx(end["lab/ada"])
    house.tell(ev.RulesConfigured(rules=Rules()))
    assert house.engine.state.past is None


def test_past_usage_that_is_set_later_takes_the_place_of_what_there_was() -> None:
    house = Led("n1")
    rules = Rules(usage=PastUsage(half_life_ms=10_000, weight=1.0))
    before, after = [
        Queue(path="lab", past_usage={"cpu_milli": amount}) for amount in (4_000, 9_000)
    ]
    house.tell(ev.RulesConfigured(rules=rules), ev.QueuesConfigured(queues=(before,)))
    house.tell(ev.QueuesConfigured(queues=(after,)))
    house.pass_time(10_000)
    past = house.engine.state.snapshot(house.now_ms).past
    assert past["lab"] == past[""] == {"cpu_milli": pytest.approx(4_500)}
