"""The other world answers orders as a real one would, in virtual time."""

from __future__ import annotations

from random import Random

import pytest

from makeway.model import event as ev
from makeway.model.effect import LaunchWorkers, ReleaseWorkers, StopWorkers
from makeway.model.record import ErrorRecord, Report
from makeway.model.workflow import FromSlot, FromStep, Many, SelectTop, Step, Workflow
from makeway.policy.schedule import schedule
from makeway.sim.bodies import Fate, NodeDied, NodeRevived, Post, Script
from makeway.sim.workload import Shape, as_long_as, bring, generate, reporting
from makeway.sim.world import Options, World
from tests import builders
from tests.engine.house import spec
from tests.engine.story import line

CHECKED = Options(checked=True)


def all_alike(**fate: object) -> Script:
    """Let every worker have one fate."""
    one = Fate(**fate)  # type: ignore[arg-type]  # a test may name any field
    return lambda _order, _rank: one


def world_of(script: Script, *nodes: str, post: Post | None = None) -> World:
    """Make a world with these machines of 4 processors each, or with n1."""
    world = World(schedule, script, post, CHECKED)
    for name in nodes or ("n1",):
        world.at(0, ev.NodeJoined(node=builders.node(name, cpus=4)))
    return world


def told(world: World, *kinds: type[ev.Fact]) -> list[str]:
    """Read the log, with instants in seconds; of these kinds only, if any are named."""
    return [
        f"{entry.at_ms / 1000:g} {line(entry.event)}"
        for entry in world.log
        if not kinds or isinstance(entry.event, kinds)
    ]


def test_a_worker_gets_ready_runs_for_its_true_duration_and_ends() -> None:
    world = world_of(all_alike(ready_ms=2_000, lasts_ms=60_000))
    world.at(1_000, ev.JobSubmitted(job="a", spec=spec(workers=2)))
    world.run()
    assert told(world) == [
        "0 NodeJoined n1",
        "1 JobSubmitted a",
        "1 AttemptStarted a/1 on n1*2",
        "3 WorkerReady a rank 0",
        "3 WorkerReady a rank 1",
        "3 AttemptReleased a/1",
        "3 WorkerStarted a rank 0",
        "3 WorkerStarted a rank 1",
        "63 WorkerExited a rank 0: code 0",
        "63 WorkerExited a rank 1: code 0",
        "63 AttemptEnded a/1: NONE",
        "63 JobFinished a succeeded",
    ]
    assert world.now_ms == 63_000


def test_workers_that_are_told_to_stop_leave_after_their_exit_time() -> None:
    world = world_of(all_alike(exit_ms=4_000))
    world.at(0, ev.JobSubmitted(job="a", spec=spec(grace_ms=10_000)))
    world.at(5_000, ev.JobCancelRequested(job="a"))
    world.run()
    assert told(world, ev.WorkerExited, ev.JobFinished) == [
        "9 WorkerExited a rank 0: signal 15",
        "9 JobFinished a cancelled",
    ]


def test_workers_that_do_not_leave_in_time_are_killed() -> None:
    world = world_of(all_alike(exit_ms=60_000))
    world.at(0, ev.JobSubmitted(job="a", spec=spec(grace_ms=10_000)))
    world.at(5_000, ev.JobCancelRequested(job="a"))
    world.run()
    assert told(world, ev.WorkerExited) == ["15 WorkerExited a rank 0: signal 9"]


def test_a_worker_that_ends_before_it_has_left_has_ended_as_it_would_have() -> None:
    world = world_of(all_alike(lasts_ms=8_000, exit_ms=60_000))
    world.at(0, ev.JobSubmitted(job="a", spec=spec()))
    world.at(5_000, ev.JobCancelRequested(job="a"))
    world.run()
    assert told(world, ev.WorkerExited, ev.JobFinished) == [
        "8 WorkerExited a rank 0: code 0",
        "8 JobFinished a succeeded",
    ]


def test_the_engine_is_woken_when_it_wants_to_be() -> None:
    def first_is_late(order: LaunchWorkers, _rank: int) -> Fate:
        return Fate(ready_ms=None if order.number == 1 else 0, lasts_ms=1_000)

    world = world_of(first_is_late)
    world.at(0, ev.JobSubmitted(job="a", spec=spec(barrier_ms=30_000)))
    world.run()
    lines = told(world, ev.AttemptStopped, ev.AttemptEnded, ev.AttemptStarted, ev.JobFinished)
    assert lines[:3] == [
        "0 AttemptStarted a/1 on n1",
        "30 AttemptStopped a/1 for barrier",
        "30 AttemptEnded a/1: START_TIMEOUT",
    ]
    assert lines[-1].endswith("JobFinished a succeeded")


def test_it_stops_where_it_is_told_to_and_goes_on_from_there() -> None:
    world = world_of(all_alike(lasts_ms=10_000))
    world.at(0, ev.JobSubmitted(job="a", spec=spec()))
    world.run(until_ms=9_999)
    assert {*world.engine.state.attempts} == {"a"}
    world.run(until_ms=10_000)
    assert world.engine.state.jobs == {}


def test_all_that_happens_at_one_instant_is_known_before_one_decision() -> None:
    world = world_of(all_alike(lasts_ms=10_000))
    world.at(0, ev.JobSubmitted(job="first", spec=spec(workers=4)))
    world.at(10_000, ev.JobSubmitted(job="second", spec=spec(workers=4)))
    world.run()
    assert told(world, ev.JobWaiting) == []
    assert "10 AttemptStarted second/1 on n1*4" in told(world)


def test_a_machine_that_dies_unnoticed_takes_its_workers_silently() -> None:
    world = world_of(all_alike(lasts_ms=30_000), "n1", "n2")
    world.at(0, ev.JobSubmitted(job="a", spec=spec()))
    world.at(10_000, NodeDied("n1"))
    world.at(30_000, ev.NodeLost(name="n1"))
    world.run()
    assert told(world, ev.WorkerExited, ev.AttemptStarted, ev.JobFinished) == [
        "0 AttemptStarted a/1 on n1",
        "30 WorkerExited a rank 0: node n1 is gone",
        "30 AttemptStarted a/2 on n2",
        "60 WorkerExited a rank 0: code 0",
        "60 JobFinished a succeeded",
    ]


def test_a_machine_that_comes_back_tells_who_died_on_it_and_is_not_believed_any_more() -> None:
    world = world_of(all_alike(lasts_ms=60_000), "n1", "n2")
    world.at(0, ev.JobSubmitted(job="a", spec=spec()))
    world.at(10_000, NodeDied("n1"))
    world.at(30_000, ev.NodeLost(name="n1"))
    world.at(40_000, NodeRevived("n1"))
    world.at(40_000, ev.NodeJoined(node=builders.node("n1", cpus=4)))
    world.run()
    assert [refused.why for refused in world.refused] == [
        "stale: fence 1, the living attempt has 2"
    ]
    assert {*world.engine.state.nodes} == {"n1", "n2"}


def test_a_machine_that_restarts_before_it_is_missed_tells_who_died_on_it() -> None:
    world = world_of(all_alike(lasts_ms=60_000))
    world.at(0, ev.JobSubmitted(job="a", spec=spec(retries=1)))
    world.at(10_000, NodeDied("n1"))
    world.at(12_000, NodeRevived("n1"))
    world.run()
    assert told(world, ev.WorkerExited)[0] == "12 WorkerExited a rank 0: signal 9"
    assert told(world)[-1].endswith("JobFinished a succeeded")


def test_messages_may_come_twice_and_late() -> None:
    def twice(event: ev.Event) -> tuple[int, ...]:
        return (5_000, 7_000) if isinstance(event, ev.WorkerReady) else (0,)

    world = world_of(all_alike(lasts_ms=10_000), post=twice)
    world.at(0, ev.JobSubmitted(job="a", spec=spec()))
    world.run()
    assert "5 AttemptReleased a/1" in told(world)
    assert [refused.why for refused in world.refused] == ["said already"]


def test_a_step_leaves_behind_what_its_script_says() -> None:
    select = SelectTop(candidates=("t1", "t2"), metric="accuracy", k=1, minimum=0.9)
    steps = (
        Step(key="t1"),
        Step(key="t2"),
        Step(key="best", select=select),
        Step(key="serve", arguments={"model": FromSlot("best", 0)}),
        Step(key="all", arguments={"answers": Many((FromStep("serve"),))}),
    )
    reports = {
        "t1": Report(metrics={"accuracy": 0.91}),
        "t2": Report(metrics={"accuracy": 0.95}),
    }
    world = world_of(reporting(as_long_as({"r.t1": 5_000}, otherwise_ms=1_000), reports))
    flow = Workflow(name="f", file="f.py", steps=steps)
    world.at(0, ev.RunSubmitted(run="r", workflow=flow, user="ada", queue="lab"))
    world.run()
    [chosen] = [
        entry.event.selection.chosen
        for entry in world.log
        if isinstance(entry.event, ev.ExecutionEnded) and entry.event.selection
    ]
    assert chosen == ("t2",)
    assert told(world)[-1] == "7 RunFinished r succeeded"


def test_a_worker_fails_as_its_fate_says() -> None:
    error = ErrorRecord(type="NameError", message="x")
    world = world_of(all_alike(lasts_ms=1_000, code=1, error=error))
    world.at(0, ev.JobSubmitted(job="a", spec=spec(retries=3)))
    world.run()
    assert told(world)[-2:] == ["1 AttemptEnded a/1: CODE_ERROR", "1 JobFinished a failed"]


def test_the_same_seed_tells_the_same_story() -> None:
    logs = []
    for _ in range(2):
        workload = generate(Random(7), Shape(jobs=20))
        world = World(schedule, as_long_as(workload.durations), options=CHECKED)
        bring(world, workload)
        world.run()
        logs.append(world.log)
    assert logs[0] == logs[1]
    assert generate(Random(8), Shape(jobs=20)) != generate(Random(7), Shape(jobs=20))


def test_the_log_need_not_be_kept() -> None:
    workload = generate(Random(7), Shape(jobs=20))
    worlds = []
    for options in (Options(keep_log=False), CHECKED):
        world = World(schedule, as_long_as(workload.durations), options=options)
        bring(world, workload)
        world.run()
        worlds.append(world)
    forgetful, other = worlds
    assert (forgetful.log, forgetful.entries) == ([], len(other.log))


def test_the_load_is_what_was_asked_for() -> None:
    shape = Shape(nodes=8, jobs=400, load=0.5)
    workload = generate(Random(1), shape)
    asked = sum(
        arrival.spec.asked["cpu_milli"] * arrival.duration_ms for arrival in workload.arrivals
    )
    there = sum(node.capacity["cpu_milli"] for node in workload.nodes) * workload.last_at_ms
    assert asked / there == pytest.approx(0.5, rel=0.01)
    assert [arrival.at_ms for arrival in workload.arrivals] == sorted(
        arrival.at_ms for arrival in workload.arrivals
    )


def test_time_does_not_go_back() -> None:
    world = world_of(all_alike(lasts_ms=1_000))
    world.at(5_000, ev.JobSubmitted(job="a", spec=spec()))
    world.run()
    with pytest.raises(AssertionError, match="5000 is past, it is 6000"):
        world.at(5_000, ev.JobSubmitted(job="b", spec=spec()))


def test_the_world_itself_complains_if_two_attempts_of_a_job_live_at_once() -> None:
    world = world_of(all_alike(lasts_ms=60_000), "n1", "n2")
    world.at(0, ev.JobSubmitted(job="a", spec=spec()))
    world.run(until_ms=1_000)
    # Somebody declares the machine lost although its workers go on: the lease rule is broken.
    world.engine.step([ev.NodeLost(name="n1")], 1_000)
    order = LaunchWorkers(
        job="a",
        number=2,
        fence=2,
        spec=spec(),
        allocation=world.engine.state.attempts["a"].allocation,
    )
    with pytest.raises(AssertionError, match="two attempts of a at once"):
        world._carry_out(order)


def test_orders_about_an_attempt_that_is_over_do_nothing() -> None:
    world = world_of(all_alike(lasts_ms=1_000))
    world.at(0, ev.JobSubmitted(job="a", spec=spec()))
    world.run()
    for fence in (0, 1, 2):
        stop = StopWorkers(job="a", number=1, fence=fence, cause="cancel", grace_ms=0)
        go = ReleaseWorkers(job="a", number=1, fence=fence, address="", port=0)
        world._carry_out(go)
        world._carry_out(stop)
    seq = world.engine.state.seq
    world.run()
    assert world.engine.state.seq == seq


@pytest.mark.parametrize("crashed_after", range(1, 9))
def test_an_engine_that_crashes_after_any_step_goes_on_to_the_same_end(crashed_after: int) -> None:
    logs = []
    for crashes in ((), (crashed_after,)):
        world = World(
            schedule,
            all_alike(ready_ms=500, lasts_ms=2_000),
            options=Options(checked=True, crashes=crashes),
        )
        world.at(0, ev.NodeJoined(node=builders.node("n1", cpus=2)))
        world.at(0, ev.NodeJoined(node=builders.node("n2", cpus=2)))
        world.at(100, ev.JobSubmitted(job="a", spec=spec(workers=2)))
        world.at(200, ev.JobSubmitted(job="b", spec=spec(workers=4)))
        world.at(800, ev.JobCancelRequested(job="b"))
        world.at(1_000, ev.NodeLost(name="n1"))
        world.run()
        logs.append(world.log)
    assert logs[0] == logs[1]
