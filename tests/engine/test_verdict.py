"""What a decision changes for the next attempt: its memory, where it may run, when, and how."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from makeway.model import event as ev
from makeway.model.cluster import Queue
from makeway.model.incident import Checkpoint, InputSeen, Seen
from makeway.model.job import OnHang
from makeway.model.phase import JobPhase
from makeway.model.record import Cause, Evidence, Exit, Symptom
from makeway.model.resources import MEMORY
from makeway.model.wait import Reason
from makeway.model.workflow import Goal
from tests import builders
from tests.engine.house import House

MB = 10**6
RISING = tuple((float(at), 20.0 + 4 * at) for at in range(24))


def roomy(*names: str, memory: int = 1000 * MB) -> House:
    """Have machines with memory."""
    house = House("tiny", cpus=0)
    house.tell(ev.NodeRemoved(name="tiny"))
    for name in names or ("n1", "n2"):
        house.tell(ev.NodeJoined(node=builders.node(name, cpus=4, memory=memory)))
    return house


def asks(house: House, memory: int = 100 * MB, workers: int = 1, **more: Any) -> None:
    """Submit `a`, each of whose workers asks for memory."""
    group = builders.group(count=workers, cpus=1, memory=memory)
    house.submit("a", groups=(group,), **more)
    house.go("a")


def killed(house: House, rank: int = 0, **how: Any) -> list[str]:
    """Let the kernel kill a worker of `a` at its limit, and its peers leave."""
    asked = house.job("a").spec.groups[0].per_worker[MEMORY]
    end = {"signal": 9, "oom_kills": 1, "memory_peak_bytes": asked, **how}
    others = len(house.attempt("a").workers) > 1
    told = house.exits("a", rank, **end)
    return house.exits("a", signal=15) if others else told


def sees(house: House, job: str = "a", **seen: Any) -> list[str]:
    """Let somebody look at the living attempt."""
    attempt = house.attempt(job)
    return house.tell(
        ev.AttemptSeen(job=job, number=attempt.number, fence=attempt.fence, seen=Seen(**seen))
    )


def memory_of(house: House) -> list[int]:
    return [group.per_worker[MEMORY] // MB for group in house.job("a").spec.groups]


# ── memory ────────────────────────────────────────────────────────────────────────────────────────


def test_every_worker_of_a_gang_gets_more_memory_and_everybody_sees_it() -> None:
    house = roomy()
    asks(house, workers=2)
    told = killed(house, rank=1)
    assert "AttemptEnded a/1: OOM_HOST" in told
    decision = house.last(ev.JobRequeued).decision
    assert (decision.action, decision.ledger, decision.ledger_after) == ("retry", "oom", (1, 3))
    assert memory_of(house) == [200]
    held = house.engine.state.running["a"].usage
    assert held[MEMORY] == 400 * MB
    assert house.engine.state.snapshot(house.now_ms).running["a"].usage == held


def test_what_a_retry_got_is_kept_after_an_eviction() -> None:
    house = roomy()
    asks(house)
    killed(house)
    house.go("a")
    node = house.attempt("a").workers[0].node
    house.tell(ev.NodeDrained(name=node, evict=True))
    house.exits("a", signal=15)
    assert house.last(ev.JobRequeued).decision.ledger is None
    assert memory_of(house) == [200]
    house.go("a")
    killed(house)
    assert memory_of(house) == [400]
    assert house.last(ev.JobRequeued).decision.ledger_after == (2, 3)


def test_only_the_group_that_ran_out_gets_more() -> None:
    house = roomy()
    groups = (
        builders.group("ps", cpus=1, memory=50 * MB),
        builders.group("worker", count=2, cpus=1, memory=100 * MB),
    )
    house.submit("a", groups=groups)
    house.go("a")
    house.exits("a", 1, signal=9, oom_kills=1, memory_peak_bytes=100 * MB)
    house.exits("a", signal=15)
    assert memory_of(house) == [50, 200]


def test_the_guard_of_an_agent_is_believed_like_the_kernel() -> None:
    house = roomy()
    asks(house)
    house.exits("a", signal=9, over_memory=True, memory_peak_bytes=130 * MB)
    ended = house.last(ev.AttemptEnded)
    assert (ended.diagnosis.cause, ended.diagnosis.confidence) == (Cause.OOM_HOST, "established")
    assert memory_of(house) == [200]


def test_the_ledger_of_memory_pays_three_times() -> None:
    house = roomy(memory=100_000 * MB)
    asks(house)
    for used in (1, 2, 3):
        killed(house)
        assert house.last(ev.JobRequeued).decision.ledger_after == (used, 3)
        house.go("a")
    assert killed(house)[-1] == "JobFinished a failed"
    assert "the oom ledger is empty (3 of 3)" in house.last(ev.JobFinished).text


def test_nobody_gets_more_than_was_allowed_or_than_there_is() -> None:
    bounded, limited, largest = roomy(), roomy(), roomy(memory=100 * MB)
    limited.tell(ev.QueuesConfigured(queues=(Queue(path="lab", limit={MEMORY: 200 * MB}),)))
    asks(bounded, max_memory_bytes=150 * MB)
    asks(limited, memory=75 * MB, workers=2)
    asks(largest)
    killed(bounded)
    killed(limited)
    assert (memory_of(bounded), memory_of(limited)) == ([150], [100])
    bounded.go("a")
    assert killed(bounded)[-1] == "JobFinished a failed"
    assert "150MB is the most it may have" in bounded.last(ev.JobFinished).text
    assert killed(largest)[-1] == "JobFinished a failed"


def test_a_gang_that_has_outgrown_all_machines_together_is_refused() -> None:
    house = roomy("n1", memory=500 * MB)
    asks(house, memory=125 * MB, workers=4)
    killed(house)
    assert house.last(ev.JobFinished).phase is JobPhase.FAILED
    assert "the whole cluster" in house.last(ev.JobFinished).text


def test_what_does_not_fit_now_waits_in_the_queue_and_no_retry_is_burnt() -> None:
    house = roomy("n1", memory=300 * MB)
    asks(house)
    group = builders.group(cpus=1, memory=150 * MB)
    house.submit("b", groups=(group,))
    house.go("b")
    killed(house)
    decision = house.last(ev.JobRequeued).decision
    assert (decision.action, decision.memory_bytes) == ("wait", 200 * MB)
    assert house.engine.state.waits["a"].reason is Reason.INSUFFICIENT_FREE
    house.pass_time(3_600_000)
    assert len(house.job("a").history) == 1
    assert house.exits("b")[-1] == "AttemptStarted a/2 on n1"


# ── where, and when ───────────────────────────────────────────────────────────────────────────────


def crash(house: House) -> None:
    house.go("a")
    house.exits("a", signal=11)


def test_a_machine_that_an_attempt_was_ill_of_is_avoided() -> None:
    house = House("n1", "n2")
    house.submit("a")
    ill = house.attempt("a").workers[0].node
    crash(house)
    assert house.last(ev.JobRequeued).decision.exclude_nodes == (ill,)
    house.wait_for("a")
    assert house.attempt("a").workers[0].node != ill


def test_it_is_used_again_when_no_other_is_left_and_left_when_one_comes() -> None:
    house = House("n1", "n2")
    house.submit("a")
    ill = house.attempt("a").workers[0].node
    (other,) = {"n1", "n2"} - {ill}
    crash(house)
    house.tell(ev.NodeLost(name=other))
    assert house.job("a").nodes == ()
    house.tell(ev.NodeJoined(node=builders.node("n3")))
    assert house.job("a").nodes == ("n3",)
    house.wait_for("a")
    assert house.attempt("a").workers[0].node == "n3"


def test_a_gang_that_needs_the_machine_is_not_kept_from_it() -> None:
    house = House("n1", cpus=2)
    house.tell(*(ev.NodeJoined(node=builders.node(name, cpus=1)) for name in ("n2", "n3")))
    house.submit("a", workers=3)
    assert house.attempt("a").workers[0].node == "n1"
    house.go("a")
    house.exits("a", 0, signal=11)
    house.exits("a", signal=15)
    assert house.last(ev.JobRequeued).decision.exclude_nodes == ("n1",)
    assert house.wait_for("a") == ["AttemptStarted a/2 on n1*2 n2"]


def test_data_that_are_away_are_waited_for_and_somebody_may_decide_otherwise() -> None:
    for back in ("found", "wished"):
        house = House("n1")
        house.submit("a")
        house.go("a")
        there = ((0.0, 1.0), (5.0, 0.0))
        away = InputSeen(name="table", path="/data/table.csv", available=False)
        house.pass_time(10_000)
        sees(house, available={"table": there}, inputs=(away,))
        house.fails("a", "FileNotFoundError", errno=2)
        decision = house.last(ev.JobRequeued).decision
        assert (decision.cause, decision.action) == (Cause.DATA_UNAVAILABLE, "wait")
        assert decision.lacks == ("/data/table.csv",)
        assert house.engine.state.waits["a"].reason is Reason.DATA_UNAVAILABLE
        house.pass_time(600_000)
        assert "a" not in house.engine.state.attempts
        if back == "found":
            assert house.tell(ev.DataFound(job="a")) == ["AttemptStarted a/2 on n1"]
            house.tell(ev.DataFound(job="a"))
            assert house.refused == ["it does not wait for data"]
        else:
            told = house.tell(ev.JobRetryRequested(job="a", text="now"))
            assert told == ["AttemptStarted a/2 on n1"]


def test_data_that_are_back_do_not_shorten_the_backoff() -> None:
    house = House("n1")
    house.submit("a")
    house.go("a")
    there = ((0.0, 1.0), (5.0, 0.0))
    house.pass_time(10_000)
    sees(house, available={"/data/t": there})
    house.fails("a", "FileNotFoundError", errno=2)
    assert house.tell(ev.DataFound(job="a")) == ["JobWaiting a: Backoff"]
    assert house.wait_for("a") == ["AttemptStarted a/2 on n1"]


# ── what was seen ─────────────────────────────────────────────────────────────────────────────────


def test_what_is_seen_of_an_attempt_is_believed_once_and_of_the_living_one_alone() -> None:
    house = House("n1")
    house.submit("a", retries=1)
    house.go("a")
    attempt = house.attempt("a")
    sees(house, log=("first",))
    sees(house, log=("second",))
    assert house.refused == ["it was looked at already"]
    house.exits("a", code=1)
    house.wait_for("a")
    stale = ev.AttemptSeen(job="a", number=1, fence=attempt.fence, seen=Seen())
    house.tell(stale)
    assert house.refused == ["stale: fence 1, the living attempt has 2"]


def test_a_program_that_says_its_mistake_in_its_log_alone_is_stopped() -> None:
    house = House("n1")
    house.submit("a", retries=5)
    house.go("a")
    sees(house, log=("Traceback (most recent call last):", "NameError: name 'x' is not defined"))
    assert house.exits("a", code=1) == ["AttemptEnded a/1: CODE_ERROR", "JobFinished a failed"]


def test_whose_metric_falls_is_not_tried_again_and_whose_rises_is() -> None:
    for values, what in (((0.30, 0.29, 0.28, 0.27), "failed"), ((0.3, 0.4, 0.5, 0.6), "again")):
        house = House("n1")
        house.submit("a", goal=Goal("accuracy", target=0.9))
        house.go("a")
        series = tuple((60.0 * at, value) for at, value in enumerate(values))
        progress = tuple((60.0 * at, 0.1 * at) for at, _ in enumerate(values))
        sees(house, samples={"accuracy": series, "progress": progress})
        told = house.fails("a", "ConnectionError", errno=104)
        assert (told[-1] == "JobFinished a failed") == (what == "failed")
        assert house.last(ev.AttemptEnded).past.progress == progress[-1][1]


def test_memory_that_always_rises_gets_more_once_and_then_ends() -> None:
    house = roomy(memory=100_000 * MB)
    asks(house)
    for step, last in ((10, False), (20, True)):
        sees(house, samples={"memory_mb": RISING})
        killed(house, step=step)
        if not last:
            assert house.last(ev.JobRequeued).decision.cause is Cause.OOM_HOST
            house.go("a")
    # Once more is tried for a leak as well: it may have been the first that was seen as one.
    assert house.last(ev.AttemptEnded).diagnosis.cause is Cause.MEMORY_LEAK
    assert house.last(ev.JobFinished).phase is JobPhase.FAILED


def test_more_saved_work_fills_the_ledger_of_the_infrastructure_again() -> None:
    house = House("n1")
    house.submit("a")
    used = []
    for step in (0, 10, 20, 30, 40, 50, 60, 70):
        house.go("a")
        sees(house, checkpoint=Checkpoint(step=step))
        house.fails("a", "ConnectionError", errno=104)
        used.append(house.last(ev.JobRequeued).decision.ledger_used)
        house.wait_for("a")
    assert used == [1] * 8


def test_what_is_lost_and_would_have_to_be_made_again_says_who_makes_it() -> None:
    house = House("n1")
    house.submit("a")
    house.go("a")
    lost = InputSeen(
        name="table", producer="ingest", durability="node", available=False, managed=True
    )
    sees(house, inputs=(lost,))
    told = house.fails("a", "FileNotFoundError", errno=2)
    assert told == ["AttemptEnded a/1: DATA_LOST", "JobFinished a failed"]
    decision = house.last(ev.JobFinished).decision
    assert (decision.action, decision.rerun) == ("stop", ("ingest",))
    assert decision.hint == "run ingest again, then resume"
    assert decision.ledger_after == decision.ledger_before


def test_a_restart_decides_by_what_had_been_seen_before_it() -> None:
    house = roomy()
    asks(house, workers=2)
    sees(house, samples={"memory_mb": ((0.0, 20.0), (1.0, 90.0))})
    house.exits("a", 0, signal=9, oom_kills=1, memory_peak_bytes=100 * MB)
    house.restart()
    end = Exit(at_ms=house.now_ms, signal=15)
    fence = house.job("a").fence
    house.tell(ev.WorkerExited(job="a", fence=fence, rank=1, exit=end))
    refs = [one.ref for one in house.last(ev.AttemptEnded).diagnosis.evidence]
    assert any(ref.startswith("samples.memory_mb") for ref in refs)
    before = replace(house.job("a"))
    house.restart()
    assert house.job("a") == before


def test_who_hung_goes_on_away_from_the_machine_of_those_who_were_stuck_alone() -> None:
    for ranks, away in (((1,), ("n2",)), ((0, 1), ())):
        house = House("n1", "n2", "n3", cpus=1)
        house.submit("a", workers=2, on_hang=OnHang.RESTART)
        house.go("a")
        seen = Evidence(text="rank 1 stands in all_reduce", ref="workers[1].traces")
        symptom = Symptom(
            name="hung", text="no step for 40 s", since_ms=1, ranks=ranks, evidence=(seen,)
        )
        house.tell(ev.AttemptJudged(job="a", number=1, fence=1, symptom=symptom))
        house.exits("a", signal=9)
        decision = house.last(ev.JobRequeued).decision
        assert (decision.cause, decision.ledger_after) == (Cause.HUNG, (1, 2))
        assert decision.exclude_nodes == away
        assert seen in house.last(ev.AttemptEnded).diagnosis.evidence
        assert "no step for 40 s" in decision.text
