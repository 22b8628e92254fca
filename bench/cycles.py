"""What one decision of the fair policy costs on a large cluster: from nothing, and after one event.

A thousand machines of 64 processors run about 32,000 jobs of 50 queues and as many wait, which is
the size at which Armada's planner takes 606 ms from nothing, in Go. Processor time. Cold: no memory
of an earlier cycle. After one event: what the engine pays when a job is submitted, or has ended.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from random import Random

from msgspec.structs import replace

from bench.rows import Row, repeat
from makeway.engine.engine import Engine
from makeway.model import event as ev
from makeway.model.cluster import Node, Queue
from makeway.model.job import Job, JobSpec, WorkerGroup
from makeway.model.record import Exit
from makeway.model.resources import CPU, MEMORY, Resources
from makeway.policy.memo import Memo
from makeway.policy.rooms import Rooms
from makeway.policy.schedule import schedule
from makeway.policy.snapshot import Kind, Snapshot, kind_of
from makeway.policy.why import why

NODES, QUEUES, JOBS_PER_NODE, REPEATS = 1_000, 50, 64, 7
ROOM = Resources.of({CPU: 64_000, MEMORY: 256 << 30})
PATHS = [f"g{number % 7}/q{number:02}" for number in range(QUEUES)]


def rows() -> Iterator[Row]:
    """Build the cluster, and ask for one decision after the other."""
    small, _ = built(NODES // 10, JOBS_PER_NODE)
    engine, took_s = built(NODES, JOBS_PER_NODE)
    running, waiting = len(engine.state.running), len(engine.state.waiting)
    size = f"{NODES:,} machines, {running:,} run, {waiting:,} wait"
    yield Row(f"a cycle from nothing: {size}", "ms", cold_ms(engine), "<= 606")
    yield Row("the same: a tenth of machines and jobs", "ms", cold_ms(small))
    some = few(engine.state.snapshot(10_000))
    yield Row("the same: a tenth of the waiting", "ms", repeat(REPEATS, lambda: _ms(fresh(some))))
    yield Row("the next cycle, after one submission", "ms", after_ms(engine, submitted), "<= 10")
    yield Row("the next cycle, after one end", "ms", after_ms(engine, ended), "<= 10")
    rate = len(engine.state.running) / took_s
    yield Row("starts through the engine, and all their events", "starts/s", [rate], ">= 1,000")
    yield from of_gangs(engine)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield Row("peak memory of this bench, with two such states", "MiB", [peak])


def built(nodes: int, jobs_per_node: int) -> tuple[Engine, float]:
    """Fill a cluster with jobs that were submitted at once; give the processor time that it took."""
    rng, engine = Random(1), Engine(schedule)
    events: list[ev.Event] = [
        ev.NodeJoined(node=Node(name=f"n{number:04}", capacity=ROOM)) for number in range(nodes)
    ]
    queues = [Queue(path=path, weight=1 + rank % 3) for rank, path in enumerate(PATHS)]
    events.append(ev.QueuesConfigured(queues=tuple(queues)))
    events += [
        ev.JobSubmitted(job=f"j{number:06}", spec=drawn(rng, rng.choice(PATHS)))
        for number in range(jobs_per_node * nodes)
    ]
    began = time.process_time()
    engine.step(events, 1_000)
    took_s = time.process_time() - began
    settle(engine, 1_001)
    return engine, took_s


def drawn(rng: Random, queue: str) -> JobSpec:
    """Draw a job of one worker."""
    cpus, memory = rng.choice((1, 1, 2, 2, 2, 3, 3)), rng.choice((2, 4))
    size = Resources.of({CPU: cpus * 1000, MEMORY: cpus * memory << 30})
    return JobSpec(name="j", user="u", queue=queue, groups=(WorkerGroup(per_worker=size),))


def settle(engine: Engine, now_ms: int) -> None:
    """Let all workers leave that were told to, until nobody is told any more."""
    state = engine.state
    while state.leaving:
        gone = [
            ev.WorkerExited(
                job=job, fence=state.attempts[job].fence, rank=0, exit=Exit(code=1, at_ms=now_ms)
            )
            for job in [*state.leaving]
        ]
        engine.step(gone, now_ms)
        now_ms += 1


def cold_ms(engine: Engine) -> list[float]:
    """Measure cycles that know nothing of an earlier one."""
    return repeat(REPEATS, lambda: _ms(fresh(engine.state.snapshot(10_000))))


def fresh(snapshot: Snapshot) -> Snapshot:
    """Forget what earlier cycles have worked out."""
    return replace(snapshot, memo=Memo(), rooms=Rooms(snapshot.free))


def few(snapshot: Snapshot) -> Snapshot:
    """Show the world with a tenth of the jobs that wait, of each kind."""
    lanes = {kind: lane[: 1 + len(lane) // 10] for kind, lane in snapshot.lanes.items()}
    return replace(snapshot, lanes=lanes)


def after_ms(engine: Engine, event: Callable[[Engine, int], ev.Event]) -> list[float]:
    """Measure the first cycle after an event, by a policy that is asked in the engine's place."""
    took: list[float] = []
    decide = engine._policy  # noqa: SLF001 - the bench stands between the two
    for number in range(REPEATS):
        first: list[float] = []

        def timed(snapshot: Snapshot, first: list[float] = first) -> object:
            began = time.process_time()
            plan = decide(snapshot)
            first.append(1e3 * (time.process_time() - began))
            return plan

        engine._policy = timed  # type: ignore[assignment]  # noqa: SLF001
        engine.step([event(engine, number)], 20_000 + number)
        engine._policy = decide  # noqa: SLF001
        took.append(first[0])
        settle(engine, 20_000 + number)
    return took


def submitted(engine: Engine, number: int) -> ev.Event:
    """Submit one more job."""
    job = f"x{number}-{engine.state.seq}"
    return ev.JobSubmitted(job=job, spec=drawn(Random(number), PATHS[number]))


def ended(engine: Engine, number: int) -> ev.Event:
    """End one job that runs."""
    name = Random(number).choice([*engine.state.running])
    fence = engine.state.attempts[name].fence
    return ev.WorkerExited(job=name, fence=fence, rank=0, exit=Exit(code=0, at_ms=20_000))


def of_gangs(engine: Engine) -> Iterator[Row]:
    """Ask about a gang of 512 workers: one that can never fit, and one that takes back its due."""
    snapshot = engine.state.snapshot(30_000)
    never = with_gang(snapshot, PATHS[0], cpus=48, memory_gib=512)
    spent = repeat(3, lambda: _spent_ms(lambda: why(fresh(never), "gang")))
    yield Row("why an impossible gang of 512 waits", "ms", spent, "<= 100")
    owed = with_gang(snapshot, "late", cpus=1, memory_gib=2)
    plan = schedule(fresh(owed))
    assert len(plan.decisions) > 1, "the gang takes back what it is due"
    spent = repeat(3, lambda: _ms(fresh(owed)))
    yield Row("a gang of 512 takes back its due", "ms", spent, "<= 300")


def with_gang(snapshot: Snapshot, queue: str, cpus: int, memory_gib: int) -> Snapshot:
    """Show the world with one more job that waits."""
    size = Resources.of({CPU: cpus * 1000, MEMORY: memory_gib << 30})
    group = WorkerGroup(count_min=512, count_max=512, per_worker=size)
    spec = JobSpec(name="gang", user="u", queue=queue, groups=(group,))
    job = Job(id="gang", spec=spec, order=1 << 40, submitted_at_ms=29_000)
    lanes: dict[Kind, Sequence[Job]] = {**snapshot.lanes, kind_of(job): [job]}
    queues = {**snapshot.queues, queue: snapshot.queues.get(queue, Queue(path=queue, weight=8.0))}
    return replace(snapshot, lanes=lanes, queues=queues)


def _ms(snapshot: Snapshot) -> float:
    return _spent_ms(lambda: schedule(snapshot))


def _spent_ms(what: Callable[[], object]) -> float:
    began = time.process_time()
    what()
    return 1e3 * (time.process_time() - began)
