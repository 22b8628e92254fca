"""How well a cluster is used by a mixed workload of many queues, and how long it takes to find out.

15,000 jobs of 30 queues, from one worker to gangs of eight, more than the machines can take at once,
so that whatever stays idle was left idle by the policy. Kueue's baseline for as many workloads of 30
queues takes 351 s and asks for a use of at least a half. Use is counted while jobs still arrive.

The rules are those of a live cluster. Without any delay or cool-down each arrival sets off a chain of
evictions among queues that are all near their due: who was evicted evicts the next one. These jobs
save nothing, so some start over eighty times, and the work is lost as fast as it is done.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator, Sequence
from random import Random

from bench.rows import Row
from makeway.model import event as ev
from makeway.model.resources import CPU
from makeway.model.rules import LIVE
from makeway.policy.schedule import schedule
from makeway.sim.workload import Shape, Workload, as_long_as, bring, generate
from makeway.sim.world import World

SEED = 1
SHAPE = Shape(
    nodes=100, cpus=16, jobs=15_000, load=1.05, queues=30, users=30, workers_max=8, spread=0.7
)


def rows() -> Iterator[Row]:
    """Simulate it once."""
    work = generate(Random(SEED), SHAPE)
    world = World(schedule, as_long_as(work.durations))
    world.at(0, ev.RulesConfigured(rules=LIVE))
    bring(world, work)
    began = time.process_time()
    world.run()
    took_s = time.process_time() - began
    name = f"{SHAPE.jobs:,} mixed jobs over {SHAPE.queues} queues"
    yield Row(name, "s", [took_s], "<= 351")
    use = use_until(world.log, work, work.last_at_ms)
    yield Row("the same: use while jobs arrive", "%", [100 * use], ">= 90")
    yield Row("the same: events/s", "events/s", [world.entries / took_s])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield Row("the same: peak memory with its log", "MiB", [peak])


def use_until(log: Sequence[ev.Entry], work: Workload, until_ms: int) -> float:
    """Give the part of the processors that was in use, on average, until an instant."""
    size = {arrival.job: arrival.spec.asked[CPU] for arrival in work.arrivals}
    since: dict[str, int] = {}
    used = 0
    for entry in log:
        at_ms = min(entry.at_ms, until_ms)
        match entry.event:
            case ev.AttemptStarted(job=job):
                since[job] = at_ms
            case ev.AttemptEnded(job=job):
                used += (at_ms - since.pop(job)) * size[job]
            case _:
                pass
    whole = sum(node.capacity[CPU] for node in work.nodes)
    return used / (whole * until_ms)
