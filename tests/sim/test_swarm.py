"""Swarms of small worlds in which much goes wrong, each told by one seed.

In every one the invariants hold after each step, no job ever runs twice at once (the world itself
complains), and everything ends. Each prints its seed: `make swarm seed=…` begins there, and
MAKEWAY_SEED=… with pytest replays that one alone.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection
from random import Random

import pytest

from makeway.engine.invariants import check_entries
from makeway.model import event as ev
from makeway.model.record import Report
from makeway.model.workflow import Constant, FromSlot, FromStep, Many, SelectTop, Step, Workflow
from makeway.policy.schedule import schedule
from makeway.report import report
from makeway.sim.faults import Rates, changes_of_mind, outages, troubled, unreliable
from makeway.sim.workload import Shape, Workload, as_long_as, bring, generate, reporting
from makeway.sim.world import Options, World
from tests.engine.story import line

SWARM = 12

CANDIDATES = ("t1", "t2", "t3")
WORKFLOW = Workflow(
    name="flow",
    file="flow.py",
    steps=(
        Step(key="ingest", retries=1),
        Step(key="t1", arguments={"x": FromStep("ingest")}, workers=2),
        Step(key="t2", arguments={"x": FromStep("ingest")}, retries=2),
        Step(key="t3", arguments={"x": Constant(3)}, idempotent=False),
        Step(key="best", select=SelectTop(candidates=CANDIDATES, metric="m", k=2, minimum=0.9)),
        Step(key="s1", arguments={"x": FromSlot("best", 0)}),
        Step(key="s2", arguments={"x": FromSlot("best", 1)}),
        Step(key="all", arguments={"x": Many((FromStep("s1"), FromStep("s2")))}),
    ),
    result=FromStep("all"),
)


def seeds() -> list[int]:
    """Give the one seed that was asked for, or a whole swarm from where it is to begin."""
    one = os.environ.get("MAKEWAY_SEED")
    first = int(os.environ.get("MAKEWAY_SWARM_SEED", "0"))
    return [int(one)] if one else [*range(first, first + SWARM)]


def workload(rng: Random) -> Workload:
    shape = Shape(
        nodes=rng.randint(4, 8),
        cpus=8,
        jobs=rng.randint(20, 60),
        load=rng.choice((0.5, 0.9, 1.5)),
        queues=rng.randint(1, 4),
        priorities=rng.choice(((0,), (-100, 0, 100))),
        retries=rng.randint(0, 2),
        duration_ms=rng.choice((5_000, 60_000)),
        barrier_ms=rng.choice((5_000, 60_000)),
    )
    return generate(rng, shape)


def world_of(seed: int, *, messages: bool = True, crashes: Collection[int] = ()) -> World:
    """Make a world of a seed: who brings what, what breaks, who changes their mind."""
    rng = Random(seed)
    work = workload(rng)
    rates = Rates(fails=rng.choice((0.0, 0.1, 0.3)), never_ready=rng.choice((0.0, 0.05)))
    accuracies = {key: Report(metrics={"m": rng.choice((0.8, 0.9, 0.95))}) for key in CANDIDATES}
    script = troubled(reporting(as_long_as(work.durations), accuracies), seed, rates)
    post = unreliable(Random(seed), rates) if messages else None
    world = World(schedule, script, post, Options(checked=True, crashes=crashes))
    bring(world, work)
    span_ms = work.last_at_ms + 60_000
    runs = [f"r{number}" for number in range(rng.randint(1, 4))]
    for run in runs:
        submitted = ev.RunSubmitted(run=run, workflow=WORKFLOW, user="ada", queue="lab/q0")
        world.at(rng.randrange(span_ms), submitted)
    for at_ms, happening in outages(rng, work.nodes, rng.randint(0, 8), span_ms):
        world.at(at_ms, happening)
    names = [*runs * 10, *(arrival.job for arrival in work.arrivals)]
    for at_ms, happening in changes_of_mind(rng, names, rng.randint(0, 10), span_ms):
        world.at(at_ms, happening)
    return world


def assert_all_has_ended(world: World) -> None:
    state = world.engine.state
    assert (state.jobs, state.attempts, state.running, state.waiting) == ({}, {}, {}, {})
    assert (state.runs, state.executions, state.held, state.waits) == ({}, {}, {}, {})
    assert all(state.free[name] == node.capacity for name, node in state.nodes.items())
    check_entries(world.log)
    kinds = Counter(type(entry.event) for entry in world.log)
    assert kinds[ev.JobSubmitted] == kinds[ev.JobFinished]
    assert kinds[ev.RunSubmitted] == kinds[ev.RunFinished]
    assert kinds[ev.AttemptStarted] == kinds[ev.AttemptEnded]


def told(world: World) -> list[tuple[int, str]]:
    return sorted((entry.at_ms, line(entry.event)) for entry in world.log)


@pytest.mark.swarm
@pytest.mark.parametrize("seed", seeds())
def test_whatever_breaks_everything_ends_and_nothing_runs_twice(seed: int) -> None:
    print(f"MAKEWAY_SEED={seed}")  # noqa: T201 - pytest shows it when the test fails
    rng = Random(seed)
    world = world_of(seed, crashes={rng.randrange(1, 200) for _ in range(rng.randint(0, 20))})
    world.run()
    assert_all_has_ended(world)
    figures = report(world.log)
    assert figures.utilisation is None or 0 <= figures.utilisation <= 1


@pytest.mark.swarm
@pytest.mark.parametrize("seed", seeds())
def test_a_crash_of_the_engine_changes_nothing_that_anybody_sees(seed: int) -> None:
    print(f"MAKEWAY_SEED={seed}")  # noqa: T201 - pytest shows it when the test fails
    calm, crashing = (
        world_of(seed, messages=False),
        world_of(seed, messages=False, crashes=range(1, 10**6, 7)),
    )
    calm.run()
    crashing.run()
    # Orders that are given again come in another order, and so do answers of one instant.
    assert told(crashing) == told(calm)
    assert_all_has_ended(calm)


def test_the_swarm_meets_what_it_is_meant_to_meet() -> None:
    """A swarm in which nothing ever breaks would be green for ever."""
    met: Counter[str] = Counter()
    for seed in range(SWARM):
        world = world_of(seed)
        world.run()
        met.update(type(entry.event).__name__ for entry in world.log)
        met.update(refused.why.split(":")[0] for refused in world.refused)
        for entry in world.log:
            match entry.event:
                case ev.AttemptStopped(cause=cause):
                    met[cause] += 1
                case ev.AttemptEnded(diagnosis=diagnosis):
                    met[diagnosis.cause.value] += 1
                case ev.ExecutionEnded(phase=phase) | ev.RunFinished(phase=phase):
                    met[phase.value] += 1
                case _:
                    pass
    wanted = {"barrier", "peer", "cancel", "stale", "said already"}
    wanted |= {"NODE_LOST", "CONNECTION", "CODE_ERROR", "START_TIMEOUT", "CRASH_NATIVE"}
    wanted |= {"omitted", "succeeded_with_failures", "failed", "cancelled", "JobRequeued"}
    assert wanted <= {*met}, f"never met: {wanted - {*met}}"
