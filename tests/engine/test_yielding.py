"""Who is not worth it goes on only where nobody else wants the room, unless somebody keeps it."""

from __future__ import annotations

from makeway.model import event as ev
from makeway.model.job import OnHopeless, WorkerGroup
from makeway.model.phase import ExecutionPhase, JobPhase
from makeway.model.record import NOT_IMPROVING, TOO_SLOW, Cause, Decision, Symptom
from tests import builders
from tests.engine.house import House
from tests.engine.test_runs import flow, step
from tests.engine.test_verdict import sees

SLOW = {"progress": tuple((1800.0 * at, 0.01 * at) for at in range(1, 8))}


def test_who_is_too_slow_waits_until_no_elastic_job_wants_its_room() -> None:
    house = House("n1", cpus=3)
    house.submit("slow", min_rate=0.1)
    house.go("slow")
    group = WorkerGroup(count_min=1, count_max=3, per_worker=builders.amounts(cpus=1))
    house.submit("sibling", groups=(group,))
    house.go("sibling")
    house.pass_time(4 * 3_600_000)
    sees(house, "slow", samples=SLOW)
    house.fails("slow", "ConnectionError", errno=104)
    house.pass_time(600_000)
    assert house.job("slow").phase is JobPhase.QUEUED
    assert len(house.attempt("sibling").workers) == 3
    house.exits("sibling")
    assert house.job("slow").phase is JobPhase.RUNNING


def test_who_is_kept_yields_no_more_and_has_its_old_place() -> None:
    house = House("n1", cpus=1)
    house.submit("a", min_rate=0.1, priority=5)
    house.submit("b", priority=5)
    house.go("a")
    house.pass_time(4 * 3_600_000)
    sees(house, samples=SLOW)
    house.fails("a", "ConnectionError", errno=104)
    assert house.job("a").spec.yielded_from == 5
    house.tell(ev.JobKeepRequested(job="a"))
    spec = house.job("a").spec
    assert (spec.priority, spec.yielded_from, spec.on_hopeless) == (5, None, OnHopeless.FLAG)
    house.tell(ev.JobKeepRequested(job="a"))
    assert house.refused == ["it is kept already"]


def test_who_is_too_slow_goes_on_as_the_last_of_all_or_ends_as_was_asked() -> None:
    for wish in (OnHopeless.YIELD, OnHopeless.STOP):
        house = House("n1", cpus=1)
        house.submit("a", min_rate=0.1, on_hopeless=wish)
        house.submit("b")
        house.go("a")
        house.pass_time(4 * 3_600_000)
        sees(house, samples=SLOW)
        house.fails("a", "ConnectionError", errno=104)
        if wish is OnHopeless.STOP:
            assert house.last(ev.JobFinished).decision.action == "stop"
            continue
        assert house.last(ev.JobRequeued).decision.action == "yield"
        spec = house.job("a").spec
        assert (spec.priority, spec.preemptible, spec.yielded_from) == (-100, True, 0)
        assert house.attempt("b").number == 1


def judged(house: House, job: str, verdict: str, action: str) -> list[str]:
    """Let whoever watches say that a running job is not worth it, and what is decided about it."""
    attempt = house.attempt(job)
    house.pass_time(1_000)
    decision = Decision(
        action=action, cause=Cause.TOO_SLOW, fingerprint="f", text="2 % an hour", rule="slow"
    )
    return house.tell(
        ev.AttemptJudged(
            job=job, number=attempt.number, fence=attempt.fence, decision=decision,
            symptom=Symptom(name=verdict, text="2 % an hour", since_ms=house.now_ms),
        )
    )  # fmt: skip


def elastic(most: int) -> tuple[WorkerGroup, ...]:
    return (WorkerGroup(count_min=1, count_max=most, per_worker=builders.amounts(cpus=1)),)


def test_who_runs_and_is_too_slow_leaves_for_an_elastic_sibling_and_is_charged_nothing() -> None:
    house = House("n1", cpus=3)
    house.submit("slow")
    house.go("slow")
    house.submit("sibling", groups=elastic(3))
    house.go("sibling")
    judged(house, "slow", TOO_SLOW, "yield")
    assert house.last(ev.AttemptStopped).cause == "yielded"
    house.exits("slow", signal=15)
    assert house.last(ev.JobRequeued).decision.action == "requeue"
    assert house.last(ev.JobRequeued).decision.ledger is None
    assert len(house.attempt("sibling").workers) == 3
    assert house.job("slow").phase is JobPhase.QUEUED
    house.exits("sibling")
    assert house.job("slow").phase is JobPhase.RUNNING


def test_who_yields_goes_on_while_nobody_wants_its_room_and_leaves_once_somebody_does() -> None:
    house = House("n1", cpus=2)
    house.submit("slow")
    house.go("slow")
    judged(house, "slow", TOO_SLOW, "yield")
    assert house.attempt("slow").stop_cause is None
    assert house.job("slow").spec.yielded_from == 0
    house.submit("sibling", groups=elastic(2))
    house.go("sibling")
    judged(house, "slow", TOO_SLOW, "yield")
    assert house.attempt("slow").stop_cause == "yielded"


def test_who_yields_leaves_for_nobody_who_yields_as_well() -> None:
    house = House("n1", cpus=1)
    for job in ("a", "b"):
        house.submit(job)
    house.go("a")
    judged(house, "a", NOT_IMPROVING, "yield")
    house.exits("a", signal=15)
    house.go("b")
    judged(house, "b", NOT_IMPROVING, "yield")
    assert house.attempt("b").stop_cause is None, "they would take turns for ever"


def test_who_must_not_be_repeated_is_not_made_to_leave() -> None:
    house = House("n1", cpus=1)
    house.submit("a", idempotent=False)
    house.go("a")
    house.submit("b", priority=-100)
    judged(house, "a", TOO_SLOW, "yield")
    assert house.attempt("a").stop_cause is None


def test_who_is_to_stop_ends_with_the_cause_that_it_was_judged_by() -> None:
    house = House("n1", cpus=1)
    house.submit("a", on_hopeless=OnHopeless.STOP, retries=3)
    house.go("a")
    judged(house, "a", NOT_IMPROVING, "stop")
    house.exits("a", signal=15)
    ended = house.last(ev.AttemptEnded)
    assert (ended.diagnosis.cause, ended.decision.action) == (Cause.NOT_IMPROVING, "stop")
    assert "2 % an hour" in ended.decision.text
    assert house.last(ev.JobFinished).phase is JobPhase.FAILED


def test_who_is_kept_is_neither_moved_nor_ended_whatever_is_said_of_it() -> None:
    house = House("n1", cpus=1)
    house.submit("a", on_hopeless=OnHopeless.STOP)
    house.go("a")
    house.submit("b")
    house.tell(ev.JobKeepRequested(job="a"))
    for action in ("yield", "stop"):
        judged(house, "a", TOO_SLOW, action)
        assert house.attempt("a").stop_cause is None
        assert house.job("a").spec.yielded_from is None


def test_a_step_that_ends_because_it_is_not_worth_it_is_stopped_and_has_not_failed() -> None:
    house = House("n1", cpus=1)
    house.runs("r", flow(step("train", on_hopeless=OnHopeless.STOP)))
    house.go("r.train")
    judged(house, "r.train", NOT_IMPROVING, "stop")
    house.exits("r.train", signal=15)
    assert house.last(ev.ExecutionEnded).phase is ExecutionPhase.STOPPED
