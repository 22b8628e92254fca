"""How many events the engine takes a second, in the simulated world, with the real policy.

One seed tells one stream of jobs: gangs of 1 to 8 workers whose durations are log-normal, of 24
users in eight queues, on 64 machines of 16 processors. Processor time counts all that runs: the
world, the engine, and the policy, whose part is measured apart. Invariants are off, as they are live.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from random import Random

from bench.rows import Row
from makeway.policy.plan import Plan
from makeway.policy.schedule import schedule
from makeway.policy.snapshot import Snapshot
from makeway.report import report
from makeway.sim.workload import Shape, as_long_as, bring, generate
from makeway.sim.world import World

SEED, REPEATS = 1, 5
SHAPE = Shape(nodes=64, cpus=16, jobs=3_000, load=0.9, queues=8, users=24, workers_max=8)


class Timed:
    """The real policy, and how long it took."""

    def __init__(self) -> None:
        self.cpu_s, self.calls = 0.0, 0

    def __call__(self, snapshot: Snapshot) -> Plan:
        """Decide."""
        began = time.process_time()
        plan = schedule(snapshot)
        self.cpu_s += time.process_time() - began
        self.calls += 1
        return plan


def rows() -> Iterator[Row]:
    """Simulate 3,000 jobs several times."""
    rates, seconds, parts, decisions, use = [], [], [], [], 0.0
    for _ in range(REPEATS):
        work, policy = generate(Random(SEED), SHAPE), Timed()
        world = World(policy, as_long_as(work.durations))
        bring(world, work)
        began = time.process_time()
        world.run()
        took_s = time.process_time() - began
        rates.append(world.entries / took_s)
        seconds.append(took_s)
        parts.append(100 * policy.cpu_s / took_s)
        decisions.append(1e6 * policy.cpu_s / policy.calls)
        use = report(world.log).utilisation or 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield Row("engine in the simulated world", "events/s", rates, ">= 20,000")
    yield Row(f"the same: processor time for {world.entries:,} events", "s", seconds)
    yield Row("the same: the part of the policy", "%", parts)
    yield Row(f"the same: one of {policy.calls:,} decisions", "µs", decisions)
    yield Row("the same: part of the simulated processors in use", "", [use])
    yield Row("the same: peak memory with its log", "MiB", [peak])
