"""An attempt that is judged to be stuck: who waits for it says so, and it may be started again."""

from __future__ import annotations

from makeway.model import event as ev
from makeway.model.job import After, OnHang
from makeway.model.record import Cause, Evidence, Symptom
from tests.engine.house import House
from tests.engine.replayed import believed

STUCK = Symptom(
    name="stuck",
    text="rank 0 says the same error again and again: 12 times in 180 s: connection refused",
    since_ms=5,
    ranks=(0,),
    evidence=(Evidence(text="rank 0 gave a sign of life 1 s ago", ref="workers[0].alive"),),
)


def judged(house: House, symptom: Symptom | None = STUCK) -> list[str]:
    job = house.job("a")
    return house.tell(
        ev.AttemptJudged(job="a", number=job.attempts, fence=job.fence, symptom=symptom)
    )


def waiting() -> House:
    """Give a house where `a` runs, `b` waits for it, and `c` for `b`."""
    house = House("n1")
    house.submit("a")
    house.go("a")
    house.submit("b", after=(After(job="a"),))
    house.submit("c", after=(After(job="b"),))
    return house


def test_all_who_wait_for_a_stuck_job_say_so_along_the_chain() -> None:
    house = waiting()
    assert judged(house) == ["JobWaiting b: DependencyPending", "JobWaiting c: DependencyPending"]
    waits = house.engine.state.waits
    assert waits["b"].text == f"waits for a to succeed; a is stuck: {STUCK.text}"
    assert waits["c"].text == f"waits for b to succeed; a is stuck: {STUCK.text}"
    assert waits["c"].detail == {
        "a": {"symptom": "stuck", "since_ms": 5, "evidence": [STUCK.evidence[0].text]}
    }


def test_who_comes_later_is_told_as_well() -> None:
    house = waiting()
    judged(house)
    house.submit("d", after=(After(job="c"),))
    assert "a is stuck" in house.engine.state.waits["d"].text


def test_who_waits_for_the_room_of_a_stuck_job_says_so_too() -> None:
    house = House("n1", cpus=4)
    house.submit("a", cpus=4, on_hang=OnHang.REPORT)
    house.go("a")
    house.submit("b", cpus=4)
    assert judged(house) == ["JobWaiting b: InsufficientFree"]
    text = house.engine.state.waits["b"].text
    assert text.endswith(f"0 cpus are free; a is stuck: {STUCK.text}")
    assert judged(house, None) == ["JobWaiting b: InsufficientFree"]
    assert house.engine.state.waits["b"].text.endswith("0 cpus are free")


def test_as_long_as_a_job_says_nothing_else_it_is_only_reported() -> None:
    house = waiting()
    judged(house)
    assert house.orders == []
    assert house.attempt("a").symptom == STUCK
    assert house.exits("a")[1] == "JobFinished a succeeded"


def test_a_symptom_that_is_gone_is_taken_back_everywhere() -> None:
    house = waiting()
    judged(house)
    assert judged(house, None) == [
        "JobWaiting b: DependencyPending",
        "JobWaiting c: DependencyPending",
    ]
    assert house.engine.state.waits["c"].text == "waits for b to succeed"


def test_a_job_may_ask_to_be_started_again_and_the_hang_ledger_pays() -> None:
    house = House("n1")
    house.submit("a", on_hang=OnHang.RESTART)
    for number in (1, 2, 3):
        house.go("a")
        assert judged(house) == [f"AttemptStopped a/{number} for hang"]
        told = house.exits("a", signal=9)
        assert told[0] == f"AttemptEnded a/{number}: HUNG"
        last = f"JobRequeued a at {house.now_ms}: HUNG, hang {number} of 2"
        assert told[1] == (last if number < 3 else "JobFinished a failed")
    diagnosis = house.last(ev.AttemptEnded).diagnosis
    assert (diagnosis.cause, diagnosis.evidence[-1]) == (Cause.HUNG, STUCK.evidence[0])
    assert "connection refused" in house.last(ev.JobFinished).text


def test_when_it_is_started_again_those_who_wait_say_so_no_longer() -> None:
    house = House("n1")
    house.submit("a", on_hang=OnHang.RESTART)
    house.go("a")
    house.submit("b", after=(After(job="a"),))
    judged(house)
    assert "a is stuck" in house.engine.state.waits["b"].text
    assert "JobWaiting b: DependencyPending" in house.exits("a", signal=9)
    assert house.engine.state.waits["b"].text == "waits for a to succeed"


def test_who_is_held_goes_on_saying_that_it_is() -> None:
    house = waiting()
    house.tell(ev.JobHoldRequested(job="b"))
    assert judged(house) == ["JobWaiting c: DependencyPending"]
    house.tell(ev.JobReleaseRequested(job="b"))
    assert "a is stuck" in house.engine.state.waits["b"].text


def test_a_judgement_that_comes_late_twice_or_too_early_changes_nothing() -> None:
    house = House("n1")
    house.submit("a")
    judged(house)
    assert house.refused == ["its workers are not at work: it is preparing"]
    house.go("a")
    judged(house, None)
    assert house.refused == ["said already"]
    judged(house)
    judged(house)
    assert house.refused == ["said already"]
    house.tell(ev.AttemptJudged(job="a", number=1, fence=9, symptom=STUCK))
    assert house.refused == ["stale: fence 9, the living attempt has 1"]
    house.tell(ev.AttemptJudged(job="x", number=1, fence=1, symptom=STUCK))
    assert house.refused == ["no attempt of x is alive"]


def test_the_log_gives_it_again() -> None:
    house = waiting()
    judged(house)
    lived = believed(house.engine.state, house.now_ms)
    house.restart()
    assert believed(house.engine.state, house.now_ms) == lived
