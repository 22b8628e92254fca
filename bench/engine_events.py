"""How many events the engine takes a second, in the simulated world, with the real policy."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from random import Random

from bench.rows import Row
from makeway.policy.schedule import schedule
from makeway.report import report
from makeway.sim.workload import Shape, as_long_as, bring, generate
from makeway.sim.world import Options, World

SEED, REPEATS = 1, 5
SHAPE = Shape(nodes=64, cpus=16, jobs=3_000, load=0.9, queues=8, workers_max=8)


def rows() -> Iterator[Row]:
    """Simulate 3,000 gangs of 1 to 8 workers of eight queues on 64 nodes, without invariants."""
    rates, used = [], 0.0
    for _ in range(REPEATS):
        work = generate(Random(SEED), SHAPE)
        world = World(schedule, as_long_as(work.durations), None, Options(keep_log=True))
        bring(world, work)
        began = time.process_time()
        world.run()
        rates.append(len(world.log) / (time.process_time() - began))
        used = report(world.log).utilisation or 0.0
    yield Row("engine in the simulated world", "events/s", rates, ">= 20,000")
    yield Row("the same: part of the processors in use", "", [used])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield Row("the same: peak memory with its log", "MiB", [peak])
