"""The decisions of a few small worlds, written down: a change of theirs shows as a change of a file.

`MAKEWAY_ACCEPT=1 pytest tests/sim/test_golden.py` accepts what is decided now; the difference then
stands in the commit, and CHANGELOG.md says why.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent

import pytest

from makeway.cli.yamlfile import read_text
from makeway.model import event as ev
from makeway.model.cluster import Queue
from makeway.model.effect import LaunchWorkers
from makeway.model.record import ErrorRecord, Report
from makeway.model.workflow import FromSlot, FromStep, Many, SelectTop, Step, Workflow
from makeway.policy.choose import POLICIES, decide
from makeway.policy.schedule import schedule
from makeway.sim.bodies import Fate
from makeway.sim.expect import misses
from makeway.sim.outcome import outcome
from makeway.sim.play import world_of
from makeway.sim.scenario_read import scenario_of
from makeway.sim.world import Options, World
from tests import builders
from tests.engine.house import spec
from tests.engine.story import numbered

GOLDEN = Path(__file__).parent / "golden"

TRAINED = ("small", "middle", "large")
CPU = builders.amounts(cpus=1)
WORKFLOW = Workflow(
    name="tagging",
    file="flow.py",
    steps=(
        Step(key="ingest", per_worker=CPU),
        *(Step(key=key, per_worker=CPU, arguments={"x": FromStep("ingest")}) for key in TRAINED),
        Step(
            key="best",
            select=SelectTop(candidates=TRAINED, metric="accuracy", k=2, minimum=0.9),
        ),
        Step(key="serve1", per_worker=CPU, arguments={"model": FromSlot("best", 0)}),
        Step(key="serve2", per_worker=CPU, arguments={"model": FromSlot("best", 1)}),
        Step(key="all", arguments={"answers": Many((FromStep("serve1"), FromStep("serve2")))}),
    ),
    result=FromStep("all"),
)
ACCURACY = {"small": 0.87, "middle": 0.93, "large": 0.96}
RESET = ErrorRecord(type="ConnectionResetError", message="", bases=("ConnectionError",), errno=104)


def fate(order: LaunchWorkers, rank: int) -> Fate:
    """Let the middle model lose its connection once, and rank 1 of the gang be late once."""
    run, _, step = order.job.partition(".")
    if step in ACCURACY:
        if step == "middle" and order.number == 1:
            return Fate(lasts_ms=10_000, code=1, error=RESET)
        return Fate(lasts_ms=60_000, report=Report(metrics={"accuracy": ACCURACY[step]}))
    if run == "gang" and (order.number, rank) == (1, 1):
        return Fate(ready_ms=None)
    return Fate(lasts_ms=30_000, exit_ms=2_000)


def small_world() -> World:
    """Make a day of two machines and two groups that share them."""
    world = World(schedule, fate, None, Options(checked=True))
    for name in ("n1", "n2"):
        world.at(0, ev.NodeJoined(node=builders.node(name, cpus=2)))
    world.at(0, ev.QueuesConfigured(queues=(Queue(path="vision", weight=2), Queue(path="text"))))
    world.at(1_000, ev.RunSubmitted(run="run", workflow=WORKFLOW, user="ada", queue="text"))
    gang = spec(workers=3, queue="vision", user="bob", barrier_ms=15_000)
    world.at(2_000, ev.JobSubmitted(job="gang", spec=gang))
    world.at(40_000, ev.JobSubmitted(job="lone", spec=spec(queue="vision", user="bob")))
    world.at(45_000, ev.JobSubmitted(job="huge", spec=spec(cpus=3, queue="vision", user="bob")))
    world.at(50_000, ev.JobCancelRequested(job="lone", text="a typing mistake"))
    world.at(70_000, ev.NodeLost(name="n1", text="its lease is over"))
    world.at(90_000, ev.NodeJoined(node=builders.node("n1", cpus=2)))
    return world


# Worlds in which somebody has to leave, as scenario files; what is decided in them is golden too.
EVICTIONS = {
    "preempted_and_restarted": """
        cluster: {nodes: [{name: n1, cpus: 2}]}
        policy: {preemption: {grace: 30s}}
        jobs:
          - {name: train, class: low, per_worker: {cpus: 2}, runtime: 60s, checkpoint_every: 10s,
             exit_time: 3s}
          - {name: eval, class: high, at: 25s, per_worker: {cpus: 1}, runtime: 20s}
        expect:
          - {at: 27s, workers: {eval: 0}, reasons: {eval: WaitingForEviction}}
          - {at: 28s, workers: {eval: 1, train: 0}, preempted: [train]}
          - {at: 200s, ended: {eval: 48s, train: 88s}}
        """,
    "taken_back_by_a_group": """
        cluster: {nodes: [{name: n, count: 2, cpus: 2}]}
        queues:
          - {name: vision, queues: [{name: ada}, {name: bob}]}
          - {name: speech, guarantee: {cpus: 1}}
        jobs:
          - {name: a, queue: vision/ada, copies: 3, per_worker: {cpus: 1}, runtime: 100s,
             checkpoint_every: 20s}
          - {name: b, queue: vision/bob, per_worker: {cpus: 1}, runtime: 100s}
          - {name: s, queue: speech, at: 30s, copies: 3, per_worker: {cpus: 1}, runtime: 50s}
        expect:
          - {at: 30s, usage: {vision: {cpus: 2}, speech: {cpus: 2}}, queued: [s3], workers: {b: 1}}
        """,
    "a_gang_claims_and_waits": """
        cluster: {nodes: [{name: n, count: 3, cpus: 2}]}
        policy: {preemption: {grace: 20s}}
        jobs:
          - {name: quick, class: low, nodes: [n1], per_worker: {cpus: 2}, exit_time: 2s, runtime: 90s}
          - {name: slow, class: low, nodes: [n2], per_worker: {cpus: 2}, exit_time: 60s, runtime: 90s}
          - {name: stays, nodes: [n3], per_worker: {cpus: 2}, runtime: 90s}
          - {name: gang, at: 10s, workers: 2, per_worker: {cpus: 2}, runtime: 30s}
          - {name: late, at: 15s, per_worker: {cpus: 2}, runtime: 10s, nodes: [n1]}
        expect:
          - {at: 15s, workers: {gang: 0, late: 0}, preempted: [quick, slow]}
          - {at: 30s, workers: {gang: 2, late: 0}}
          - {at: 60s, workers: {late: 1}}
        """,
    "shrunk_before_evicted": """
        cluster: {nodes: [{name: n1, cpus: 4}]}
        policy: {preemption: {grace: 5s}}
        jobs:
          - {name: wide, class: low, workers: {min: 2, max: 4}, per_worker: {cpus: 1}, runtime: 60s,
             checkpoint_every: 10s, exit_time: 1s}
          - {name: two, at: 10s, class: high, workers: 2, per_worker: {cpus: 1}, runtime: 30s}
          - {name: one, at: 20s, class: high, per_worker: {cpus: 1}, runtime: 10s}
        expect:
          - {at: 12s, workers: {wide: 2, two: 2}}
          - {at: 22s, workers: {wide: 0, two: 2, one: 1}, preempted: [wide]}
        """,
}


def accepted(name: str, log: Sequence[ev.Entry]) -> tuple[list[str], list[str]]:
    """Give what is decided now and what is written down."""
    lines, path = [line.rstrip() for line in numbered(log)], GOLDEN / f"{name}.txt"
    if os.environ.get("MAKEWAY_ACCEPT"):
        path.write_text("\n".join(lines) + "\n", "utf-8")
    return lines, path.read_text("utf-8").splitlines()


def test_the_small_world_goes_as_written_down() -> None:
    world = small_world()
    world.run()
    now, golden = accepted("small_world", world.log)
    assert now == golden


@pytest.mark.parametrize("name", EVICTIONS)
def test_evictions_go_as_written_down_and_as_expected(name: str) -> None:
    scenario = scenario_of(read_text(dedent(EVICTIONS[name]), name), tuple(POLICIES))
    world = world_of(scenario, decide)
    missed: list[str] = []
    for expected in scenario.expected:
        world.run(expected.at_ms)
        world.now_ms = max(world.now_ms, expected.at_ms)
        missed += misses(expected, outcome(scenario, world, 0.0, advise=False))
    world.run()
    assert not missed
    now, golden = accepted(name, world.log)
    assert now == golden
