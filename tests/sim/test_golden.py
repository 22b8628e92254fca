"""The decisions of one small world, written down: a change of theirs shows as a change of a file.

`MAKEWAY_ACCEPT=1 pytest tests/sim/test_golden.py` accepts what is decided now; the difference then
stands in the commit, and CHANGELOG.md says why.
"""

from __future__ import annotations

import os
from pathlib import Path

from makeway.model import event as ev
from makeway.model.cluster import Queue
from makeway.model.effect import LaunchWorkers
from makeway.model.record import ErrorRecord, Report
from makeway.model.workflow import FromSlot, FromStep, Many, SelectTop, Step, Workflow
from makeway.policy.schedule import schedule
from makeway.sim.bodies import Fate
from makeway.sim.world import Options, World
from tests import builders
from tests.engine.house import spec
from tests.engine.story import numbered

GOLDEN = Path(__file__).parent / "golden" / "small_world.txt"

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


def test_the_small_world_goes_as_written_down() -> None:
    world = small_world()
    world.run()
    lines = [line.rstrip() for line in numbered(world.log)]
    if os.environ.get("MAKEWAY_ACCEPT"):
        GOLDEN.write_text("\n".join(lines) + "\n", "utf-8")
    assert lines == GOLDEN.read_text("utf-8").splitlines()
