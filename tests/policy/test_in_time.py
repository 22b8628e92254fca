"""Test what must hold over time, in worlds that the engine rules: everybody gets a turn, and rest comes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from makeway.model import event as ev
from makeway.model.cluster import Queue
from makeway.model.effect import LaunchWorkers
from makeway.model.job import JobSpec, WorkerGroup
from makeway.model.phase import JobPhase
from makeway.model.resources import CPU
from makeway.model.rules import Rules, Scope
from makeway.policy.schedule import schedule
from makeway.policy.snapshot import Snapshot
from makeway.sim.bodies import Fate
from makeway.sim.world import Options, World
from tests.builders import amounts, node
from tests.engine.house import spec

QUEUES = ("lab/ada", "lab/bob", "other", "third")
ROUNDS, HOUR_MS = 100, 3_600_000


@st.composite
def asked(draw: st.DrawFn) -> JobSpec:
    """Draw what a job asks for; some make checkpoints, some say how long they take."""
    count, more = draw(st.integers(1, 3)), draw(st.sampled_from([0, 0, 2]))
    vector = amounts(cpus=draw(st.integers(1, 3)), gpus=draw(st.sampled_from([0, 0, 1])))
    return spec(
        groups=(WorkerGroup(count_min=count, count_max=count + more, per_worker=vector),),
        queue=draw(st.sampled_from(QUEUES)),
        priority=draw(st.sampled_from([-100, 0, 0, 100])),
        checkpoint_every_ms=draw(st.sampled_from([None, 5_000])),
        expected_ms=draw(st.sampled_from([None, None, 20_000])),
    )


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[int, JobSpec]]:
    """Draw a few jobs and when they come."""
    return draw(st.lists(st.tuples(st.integers(0, 60), asked()), min_size=1, max_size=10))


@st.composite
def houses(draw: st.DrawFn) -> tuple[list[ev.Event], Rules]:
    """Draw machines, the share tree and the rules."""
    joined = [
        ev.NodeJoined(
            node=node(f"n{k}", cpus=draw(st.integers(2, 6)), gpus=draw(st.integers(0, 2)))
        )
        for k in range(draw(st.integers(1, 3)))
    ]
    queues = tuple(
        Queue(
            path=path,
            weight=draw(st.sampled_from([0.0, 0.5, 1.0, 2.0])),
            guarantee={CPU: 2000} if path == "other" and draw(st.booleans()) else {},
        )
        for path in ("lab", *QUEUES)
    )
    rules = Rules(priority_scope=draw(st.sampled_from([*Scope])))
    return [ev.QueuesConfigured(queues=queues), *joined], rules


def played(
    house: tuple[list[ev.Event], Rules], jobs: list[tuple[int, JobSpec]], lasts_ms: int | None
) -> World:
    """Let these jobs come, and go on until nothing more comes."""

    def fate(_order: LaunchWorkers, rank: int) -> Fate:
        return Fate(lasts_ms=lasts_ms, exit_ms=1_000 * (rank % 2))

    events, rules = house
    world = World(schedule, fate, None, Options(checked=True))
    world.at(0, ev.RulesConfigured(rules=rules))
    for event in events:
        world.at(0, event)
    for place, (at_s, one) in enumerate(jobs):
        world.at(at_s * 1000, ev.JobSubmitted(job=f"j{place}", spec=one))
    world.run()
    return world


def alone(one: JobSpec) -> JobSpec:
    """Give the job a single worker of the same size, and no checkpoints."""
    single = replace(one.groups[0], count_min=1, count_max=1)
    return replace(one, groups=(single,), checkpoint_every_ms=None)


def later(world: World, ms: int) -> Snapshot:
    """Give what the policy would see after nothing has happened for so long."""
    return world.engine.state.snapshot(world.now_ms + ms)


@given(house=houses(), jobs=arrivals())
def test_every_job_runs_to_its_end_or_is_refused_at_once(
    house: tuple[list[ev.Event], Rules], jobs: list[tuple[int, JobSpec]]
) -> None:
    world = played(house, jobs, lasts_ms=15_000)
    ended = world.engine.state.ended
    refused = {one.event.job for one in world.log if isinstance(one.event, ev.JobRejected)}
    assert {name for name, phase in ended.items() if phase is not JobPhase.SUCCEEDED} == refused
    assert len(ended) == len(jobs)


@given(house=houses(), jobs=arrivals())
def test_where_nothing_happens_nothing_is_decided_when_asked_again(
    house: tuple[list[ev.Event], Rules], jobs: list[tuple[int, JobSpec]]
) -> None:
    world = played(house, jobs, lasts_ms=None)
    for _ in range(3):
        assert not schedule(later(world, 0)).decisions


@given(house=houses(), jobs=arrivals())
def test_where_nobody_ends_and_nobody_comes_nothing_is_decided_ever_again(
    house: tuple[list[ev.Event], Rules], jobs: list[tuple[int, JobSpec]]
) -> None:
    # One worker and no checkpoints: who is dearer to evict stays so. Otherwise the order in which
    # victims are looked at turns with time, and a set may be found that was not found before.
    steady = [(at_s, alone(one)) for at_s, one in jobs]
    world = played(house, steady, lasts_ms=None)
    for turn in range(ROUNDS):
        assert not schedule(later(world, turn * HOUR_MS // ROUNDS)).decisions


@given(house=houses(), jobs=arrivals())
def test_nobody_is_evicted_twice_by_the_same_job_while_nobody_comes_or_ends(
    house: tuple[list[ev.Event], Rules], jobs: list[tuple[int, JobSpec]]
) -> None:
    world = played(house, [(0, one) for _, one in jobs], lasts_ms=None)
    evictions = [
        (one.event.job, one.event.beneficiary)
        for one in world.log
        if isinstance(one.event, ev.AttemptStopped)
    ]
    assert len(evictions) == len({*evictions})


@given(house=houses(), jobs=arrivals())
def test_no_processor_idles_that_a_job_of_one_worker_could_use(
    house: tuple[list[ev.Event], Rules], jobs: list[tuple[int, JobSpec]]
) -> None:
    single = WorkerGroup(per_worker=amounts(cpus=1))
    small = [(at_s, replace(one, groups=(single,))) for at_s, one in jobs]
    state = played(house, small, lasts_ms=None).engine.state
    idle = sum(room[CPU] for room in state.snapshot(0).free.values())
    assert not state.waiting or idle < 1_000
