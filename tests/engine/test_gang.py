"""All workers of a job start together or none does: the barrier, and what calls it off."""

from __future__ import annotations

from makeway.model import event as ev
from makeway.model.phase import AttemptPhase
from makeway.model.record import Cause
from tests import builders
from tests.engine.house import House


def test_nobody_is_let_go_before_all_are_ready() -> None:
    house = House()
    assert house.submit("a", workers=3, cpus=2) == ["AttemptStarted a/1 on n1*2 n2"]
    assert house.ready("a", 2) == []
    assert house.ready("a", 0) == []
    assert house.orders == []
    assert house.ready("a", 1) == ["AttemptReleased a/1"]
    assert house.orders == ["release a/1 to meet at 10.0.0.0:29500"]
    assert house.attempt("a").released_at_ms == house.now_ms


def test_a_gang_that_has_room_for_some_only_starts_nobody() -> None:
    house = House("n1", "n2", cpus=4)
    assert house.submit("a", workers=3, cpus=3) != ["AttemptStarted a/1 on n1 n2"]
    assert house.engine.state.attempts == {}
    assert house.free_cpus() == {"n1": 4, "n2": 4}


def test_one_missing_at_the_deadline_stops_all_and_keeps_the_place() -> None:
    house = House("n1", cpus=3)
    house.submit("a", workers=3, barrier_ms=60_000)
    house.submit("b")
    house.ready("a", 0, 2)

    assert house.pass_time(59_999) == []
    assert house.pass_time(1)[0] == "AttemptStopped a/1 for barrier"
    assert house.orders == ["stop a/1 for barrier in 0 s"]
    assert house.exits("a", 0, 2, signal=15, started=False) == []
    assert house.free_cpus() == {"n1": 0}

    told = house.exits("a", 1, signal=15, started=False)
    assert told[0] == "AttemptEnded a/1: START_TIMEOUT"
    assert house.last(ev.AttemptEnded).diagnosis.text == (
        "not all of its workers were ready in time (after 60 s missing: rank 1)"
    )
    assert told[1].startswith("JobRequeued a at ")
    assert told[1].endswith("START_TIMEOUT, infra 1 of 5")
    assert told[2:] == ["AttemptStarted b/1 on n1", "JobWaiting a: Backoff"]
    assert house.job("a").order < house.job("b").order
    assert house.job("a").submitted_at_ms < house.now_ms


def test_after_its_backoff_the_gang_is_prepared_again_under_a_new_fence() -> None:
    house = House()
    house.submit("a", workers=2)
    house.pass_time(60_000)
    house.exits("a", signal=15, started=False)
    assert house.wait_for("a") == ["AttemptStarted a/2 on n1*2"]
    assert house.attempt("a").fence == 2
    assert house.attempt("a").released_at_ms is None


def test_ready_in_the_last_instant_is_in_time() -> None:
    house = House()
    house.submit("a", workers=2, barrier_ms=1_000)
    house.ready("a", 0)
    house.now_ms += 1_000
    assert house.ready("a", 1) == ["AttemptReleased a/1"]


def test_ready_after_the_barrier_was_called_off_is_refused_and_still_counts_as_missing() -> None:
    house = House()
    house.submit("a", workers=2, barrier_ms=1_000)
    house.ready("a", 0)
    house.pass_time(1_000)
    assert house.ready("a", 1) == []
    assert house.refused == ["too late: the barrier was called off"]
    house.exits("a", signal=15, started=False)
    assert "missing: rank 1" in house.last(ev.AttemptEnded).diagnosis.text


def test_ready_from_an_attempt_that_is_over_is_refused() -> None:
    house = House()
    house.submit("a", barrier_ms=1_000)
    late = house.said(ev.WorkerReady, "a", 0)
    house.pass_time(1_000)
    house.exits("a", signal=15, started=False)
    house.tell(late)
    assert house.refused == ["no attempt of a is alive"]
    house.wait_for("a")
    house.tell(late)
    assert house.refused[0].startswith("stale: fence 1")


def test_a_barrier_of_no_time_at_all_is_called_off_in_the_step_that_set_it_up() -> None:
    house = House()
    told = house.submit("a", barrier_ms=0)
    assert told == ["AttemptStarted a/1 on n1", "AttemptStopped a/1 for barrier"]
    assert house.orders == ["launch a/1 on n1", "stop a/1 for barrier in 0 s"]


def test_agents_that_leave_a_called_off_barrier_politely_have_not_done_the_work() -> None:
    house = House()
    house.submit("a", workers=2, barrier_ms=1_000)
    house.pass_time(1_000)
    told = house.exits("a", code=0, started=False)
    assert told[0] == "AttemptEnded a/1: START_TIMEOUT"


def test_a_worker_that_ends_before_the_barrier_opens_calls_it_off_even_with_code_0() -> None:
    house = House()
    house.submit("a", workers=2, retries=1)
    house.ready("a", 0)
    assert house.exits("a", 0, code=0, started=False) == ["AttemptStopped a/1 for peer"]
    assert house.ready("a", 1) == []
    told = house.exits("a", 1, signal=15, started=False)
    assert told[0] == "AttemptEnded a/1: UNKNOWN"
    assert "exit code 0 before its program began" in house.last(ev.AttemptEnded).diagnosis.text


def test_two_attempts_whose_barriers_end_at_one_instant_are_stopped_once() -> None:
    # The machine is lost in the instant in which the attempt began: the next one begins in the same
    # instant, with the same deadline, and two timers of one job are due together. (An earlier timer
    # keeps the first one, which stands for nothing any more, from being noticed and dropped.)
    house = House("n1", "n2", "n3", cpus=1)
    house.submit("a", barrier_ms=1_000)
    house.submit("b", barrier_ms=500)
    assert house.tell(ev.NodeLost(name="n1"))[-1] == "AttemptStarted a/2 on n3"
    assert house.pass_time(1_000) == [
        "AttemptStopped b/1 for barrier",
        "AttemptStopped a/2 for barrier",
    ]


def test_a_machine_lost_in_the_middle_of_a_gang_takes_the_whole_gang_down() -> None:
    house = House("n1", "n2", "n3", cpus=2)
    house.submit("a", workers=4)
    house.go("a")
    told = house.tell(ev.NodeLost(name="n1"))
    assert told == [
        "WorkerExited a rank 0: node n1 is gone",
        "AttemptStopped a/1 for peer",
        "WorkerExited a rank 1: node n1 is gone",
    ]
    assert house.orders == ["stop a/1 for peer in 5 s"]
    told = house.exits("a", 2, 3, signal=15)
    assert told[0] == "AttemptEnded a/1: NODE_LOST"
    assert told[-1] == "AttemptStarted a/2 on n2*2 n3*2"


def test_a_machine_lost_at_the_barrier_takes_the_gang_down_and_costs_nothing_done() -> None:
    house = House("n1", "n2", "n3", cpus=2)
    house.submit("a", workers=4, idempotent=False)
    house.ready("a", 0, 2)
    house.tell(ev.NodeLost(name="n2"))
    told = house.exits("a", signal=15, started=False)
    assert told[0] == "AttemptEnded a/1: NODE_LOST"
    assert told[-1] == "AttemptStarted a/2 on n1*2 n3*2"


def test_a_machine_that_held_the_whole_gang_ends_the_attempt_by_itself() -> None:
    house = House("n1", "n2", cpus=2)
    house.submit("a", workers=2)
    house.go("a")
    told = house.tell(ev.NodeLost(name="n1"))
    assert told[-3].startswith("AttemptEnded a/1: NODE_LOST")
    assert told[-1] == "AttemptStarted a/2 on n2*2"


def test_a_machine_that_comes_back_while_the_gang_it_broke_still_leaves_is_not_free_yet() -> None:
    house = House("n1", "n2", cpus=2)
    house.submit("a", workers=4)
    house.go("a")
    house.tell(ev.NodeLost(name="n1"))
    assert house.free_cpus() == {"n2": 0}
    assert house.tell(ev.NodeJoined(node=builders.node("n1", cpus=2))) == []
    assert house.free_cpus() == {"n1": 0, "n2": 0}
    told = house.exits("a", signal=15)
    assert told[-1] == "AttemptStarted a/2 on n1*2 n2*2"


def test_a_machine_without_living_workers_of_a_gang_is_lost_without_harm() -> None:
    house = House("n1", "n2", cpus=2)
    house.submit("a", workers=4)
    house.go("a")
    on_n1 = [worker.rank for worker in house.attempt("a").workers if worker.node == "n1"]
    house.exits("a", *on_n1)
    assert house.tell(ev.NodeLost(name="n1")) == []
    assert house.attempt("a").phase is AttemptPhase.RUNNING
    assert house.exits("a")[-1] == "JobFinished a succeeded"
    assert house.free_cpus() == {"n2": 2}


def test_workers_that_ended_well_before_the_order_to_stop_are_left_alone() -> None:
    house = House()
    house.submit("a", workers=3)
    house.go("a")
    house.exits("a", 0)
    assert house.exits("a", 1, code=1) == ["AttemptStopped a/1 for peer"]
    told = house.exits("a", 2, signal=15)
    assert told[0] == "AttemptEnded a/1: UNKNOWN"
    assert house.last(ev.AttemptEnded).diagnosis.rank == 1
    assert house.last(ev.AttemptEnded).diagnosis.cause is Cause.UNKNOWN
