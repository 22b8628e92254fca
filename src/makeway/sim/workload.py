"""Make up what users bring: clusters, queues and streams of jobs, all from one seed.

Sizes are skewed as they are on real clusters: most jobs are small and short, few are large and
long (durations are log-normal). The load is what one asks for: jobs are drawn first, and their
arrivals are then spread so thin that the processors asked for are `load` of those there are.

Takes:   rng   a `random.Random`; the same one gives the same workload
Gives:   `Workload`: nodes, queues, and arrivals in the order of time with each job's true duration
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from random import Random

import msgspec
from msgspec.structs import replace

from makeway.model import event as ev
from makeway.model.cluster import Node, Queue
from makeway.model.effect import LaunchWorkers
from makeway.model.job import JobSpec, WorkerGroup
from makeway.model.record import Report
from makeway.model.resources import CPU, Resources
from makeway.sim.bodies import Fate, Script
from makeway.sim.world import World


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What to draw.

    nodes x cpus     the cluster; every node is alike
    jobs, load       how many, and which part of all processors they ask for on average
    queues, users    how many; each user brings jobs to one queue
    workers_max      a job has 1 .. this many, small ones more often
    cpus_max         each worker asks for 1 .. this many processors
    duration_ms      median of the true durations
    spread           their logarithm's standard deviation; 0: all are alike
    priorities       one is drawn for each job
    retries          of the app ledger, for each job
    barrier_ms, grace_ms   as in `JobSpec`
    """

    nodes: int = 4
    cpus: int = 16
    jobs: int = 50
    load: float = 0.9
    queues: int = 2
    users: int = 4
    workers_max: int = 4
    cpus_max: int = 4
    duration_ms: int = 60_000
    spread: float = 1.0
    priorities: tuple[int, ...] = (0,)
    retries: int = 0
    barrier_ms: int = 60_000
    grace_ms: int = 30_000


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One job that is going to be submitted, and how long it truly runs."""

    at_ms: int
    job: str
    spec: JobSpec
    duration_ms: int


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """All that users bring to one cluster."""

    nodes: tuple[Node, ...]
    queues: tuple[Queue, ...]
    arrivals: tuple[Arrival, ...]

    @property
    def durations(self) -> dict[str, int]:
        """Give every job's true duration by its id."""
        return {arrival.job: arrival.duration_ms for arrival in self.arrivals}

    @property
    def last_at_ms(self) -> int:
        """Give the instant of the last arrival."""
        return self.arrivals[-1].at_ms if self.arrivals else 0


def generate(rng: Random, shape: Shape) -> Workload:
    """Draw a workload."""
    queues = [f"lab/q{number}" for number in range(shape.queues)]
    drawn = [_draw(rng, shape, queues) for _ in range(shape.jobs)]
    asked = sum(spec.asked[CPU] * duration_ms for spec, duration_ms in drawn)
    span_ms = asked / (shape.load * shape.nodes * shape.cpus * 1000)
    gaps = [rng.expovariate(1.0) for _ in drawn]
    scale = span_ms / sum(gaps) if gaps else 0.0
    instants = [round(at * scale) for at in accumulate(gaps)]
    return Workload(
        nodes=cluster(shape.nodes, shape.cpus),
        queues=tuple(Queue(path=path, weight=1 + rank % 3) for rank, path in enumerate(queues)),
        arrivals=tuple(
            Arrival(at_ms=at_ms, job=f"j{number:05}", spec=spec, duration_ms=duration_ms)
            for number, (at_ms, (spec, duration_ms)) in enumerate(
                zip(instants, drawn, strict=True), start=1
            )
        ),
    )


def cluster(nodes: int, cpus: int) -> tuple[Node, ...]:
    """Give machines that are all alike: n01, n02 and so on."""
    capacity = Resources.of({CPU: cpus * 1000})
    return tuple(Node(name=f"n{number:02}", capacity=capacity) for number in range(1, nodes + 1))


def bring(world: World, workload: Workload) -> None:
    """Tell the world about the machines now, and about each job when it arrives."""
    for node in workload.nodes:
        world.at(world.now_ms, ev.NodeJoined(node=node))
    world.at(world.now_ms, ev.QueuesConfigured(queues=workload.queues))
    for arrival in workload.arrivals:
        submitted = ev.JobSubmitted(job=arrival.job, spec=arrival.spec)
        world.at(world.now_ms + arrival.at_ms, submitted)


def as_long_as(durations: Mapping[str, int], otherwise_ms: int = 60_000) -> Script:
    """Let every worker of a job run for the job's true duration and end well."""
    fates = {job: Fate(lasts_ms=lasts_ms) for job, lasts_ms in durations.items()}
    otherwise = Fate(lasts_ms=otherwise_ms)

    def fate(order: LaunchWorkers, _rank: int) -> Fate:
        return fates.get(order.job, otherwise)

    return fate


def reporting(script: Script, reports: Mapping[str, Report]) -> Script:
    """Let rank 0 of a step that ends leave this report behind; `reports` knows steps by key."""

    def fate(order: LaunchWorkers, rank: int) -> Fate:
        key = order.job.partition(".")[2]
        usual = script(order, rank)
        return replace(usual, report=reports[key]) if rank == 0 and key in reports else usual

    return fate


def _draw(rng: Random, shape: Shape, queues: list[str]) -> tuple[JobSpec, int]:
    user = rng.randrange(shape.users)
    workers = _small_more_often(rng, shape.workers_max)
    per_worker = Resources.of({CPU: 1000 * _small_more_often(rng, shape.cpus_max)})
    spec = JobSpec(
        name=f"job of u{user}",
        user=f"u{user}",
        queue=queues[user % len(queues)],
        priority=rng.choice(shape.priorities),
        groups=(WorkerGroup(count_min=workers, count_max=workers, per_worker=per_worker),),
        retries=shape.retries,
        barrier_ms=shape.barrier_ms,
        grace_ms=shape.grace_ms,
    )
    return spec, max(1, round(shape.duration_ms * rng.lognormvariate(0.0, shape.spread)))


def _small_more_often(rng: Random, most: int) -> int:
    return min(rng.randint(1, most), rng.randint(1, most))
