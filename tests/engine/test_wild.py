"""Whatever a policy decides, as long as it is legal: every sum stays what one would count."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from makeway import codec
from makeway.engine.engine import Engine
from makeway.model import event as ev
from makeway.model.cluster import Allocation, Placement, Queue
from makeway.model.job import After, Attempt, On, OnHang, WorkerGroup
from makeway.model.phase import JobPhase
from makeway.model.record import Symptom, Yielded
from makeway.model.rules import PastUsage, Preemption, Rules
from makeway.policy.plan import Decided, Plan, Preempt, Promise, Release, Reserve, Resize, Start
from makeway.policy.snapshot import Running, Snapshot
from tests import builders
from tests.engine.house import House, spec
from tests.engine.replayed import believed

QUEUES = ("lab", "lab/ada", "lab/bob", "org/x")


class Wild:
    """Decide one thing at random, if it is legal at all; the same snapshot gets the same answer."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, snapshot: Snapshot) -> Plan:
        rng = Random(self.seed * 1_000_003 + snapshot.basis)
        decided = self.one(rng, snapshot) if rng.random() < 0.8 else None
        later_ms = snapshot.now_ms + 10_000 if rng.random() < 0.2 else None
        return Plan(
            basis=snapshot.basis, decisions=(decided,) if decided else (), wake_at_ms=later_ms
        )

    def one(self, rng: Random, snapshot: Snapshot) -> Decided | None:
        waiting = [job for lane in snapshot.lanes.values() for job in lane]
        alive = [row for row in snapshot.running.values() if row.job.phase is JobPhase.RUNNING]
        if alive and rng.random() < 0.5:
            row = rng.choice(alive)
            if rng.random() < 0.2:
                return Preempt(job=row.job.id, beneficiary="j0", rule="priority")
            return self.resized(rng, snapshot, row)
        if not waiting:
            return None
        job = rng.choice(waiting)
        match rng.random():
            case lot if lot < 0.1:
                return Promise(job=job.id)
            case lot if lot < 0.2 and job.id in snapshot.reserved:
                return Release(job=job.id)
            case lot if lot < 0.3 and snapshot.nodes:
                place = Placement(rng.choice([*snapshot.nodes]), "worker", 1)
                return Reserve(job=job.id, allocation=Allocation((place,)))
        group = job.spec.groups[0]
        slots = rooms(snapshot, group)
        if len(slots) < group.count_min:
            return None
        count = rng.randint(group.count_min, min(group.count_max, len(slots)))
        return Start(job=job.id, allocation=rows(rng.sample(slots, count)))

    def resized(self, rng: Random, snapshot: Snapshot, row: Running) -> Resize | None:
        group, name = row.job.spec.groups[0], row.job.id
        slots = [one.node for one in row.allocation.placements for _ in range(one.count)]
        gone = sum(one.count for one in snapshot.leaving.get(name, ()))
        slots = slots[: len(slots) - gone]
        if not gone and rng.random() < 0.5:
            more = rooms(snapshot, group)[: group.count_max - len(slots)]
            slots = [*slots, *more]
        else:
            slots = slots[: rng.randint(group.count_min, len(slots))]
        return Resize(job=name, allocation=rows(slots))


def rooms(snapshot: Snapshot, group: WorkerGroup) -> list[str]:
    """Give a node for each worker that there is room for."""
    taking = {name: group.per_worker.copies_in(room, 9) for name, room in snapshot.free.items()}
    return [name for name, count in taking.items() for _ in range(count)]


def rows(nodes: list[str]) -> Allocation:
    return Allocation(tuple(Placement(node, "worker", 1) for node in nodes))


def happening(rng: Random, house: House, number: int) -> ev.Event:
    """Make up what is told next: who comes, who ends, what is set, which machine goes or comes."""
    state = house.engine.state
    workers = [
        (attempt, worker)
        for attempt in state.attempts.values()
        for worker in attempt.workers
        if worker.exit is None
    ]
    lot = rng.random()
    if lot < 0.35 and workers:
        attempt, worker = rng.choice(workers)
        if worker.ready:
            code, step = rng.choice((0, 0, 1, 75)), rng.choice((None, 1, 2))
            yielded = Yielded(fence=attempt.fence, step=step) if step and code == 75 else None
            return house.exited(attempt.job, worker.rank, code=code, step=step, yielded=yielded)
        return house.said(ev.WorkerReady, attempt.job, worker.rank)
    if lot < 0.38 and state.attempts:
        return judgement(rng, rng.choice([*state.attempts.values()]))
    if lot < 0.45:
        return of_machine(rng, rng.choice(("n1", "n2", "n3")))
    if lot < 0.5 and state.jobs:
        return wish(rng, rng.choice([*state.jobs]))
    if lot < 0.55:
        return ev.QueuesConfigured(queues=tuple(queue(rng, path) for path in rng.sample(QUEUES, 2)))
    if lot < 0.6:
        usage = PastUsage(
            half_life_ms=rng.choice((1_000, 9_000)),
            weight=rng.choice((0.0, 1.0)),
            told_every_ms=rng.choice((0, 1, 9_000)),
        )
        grace = Preemption(grace_ms=rng.choice((0, 9_000)))
        limits = rng.random() < 0.5
        rules = Rules(usage=usage, preemption=grace, enforce_time_limits=limits)
        return ev.RulesConfigured(rules=rules)
    if lot < 0.65 and state.waiting:
        place = Placement(rng.choice(("n1", "n2")), "worker", 1)
        return ev.AttemptAdopted(
            job=rng.choice([*state.jobs]), allocation=Allocation((place,)), started_at_ms=-1
        )
    least = rng.randint(1, 3)
    group = builders.group(count=least, most=least + rng.choice((0, 0, 3)), cpus=rng.choice((0, 1)))
    others = [f"j{other}" for other in range(max(0, number - 3), number + 2)]
    after = [After(job=name, on=rng.choice([*On])) for name in rng.sample(others, 2)]
    return ev.JobSubmitted(
        job=f"j{number}",
        spec=spec(
            groups=(group,),
            queue=rng.choice(QUEUES),
            priority=rng.choice((0, 0, 100)),
            retries=1,
            on_hang=rng.choice([*OnHang]),
            time_limit_ms=rng.choice((None, 15_000)),
            after=tuple(after[: rng.choice((0, 0, 1, 2))]),
        ),
    )


def of_machine(rng: Random, name: str) -> ev.Event:
    joined = ev.NodeJoined(node=builders.node(name, cpus=6))
    drained = ev.NodeDrained(name=name, evict=rng.random() < 0.5)
    rarely = rng.choice((drained, ev.NodeRemoved(name=name)))
    return rng.choice((joined, joined, ev.NodeLost(name=name), ev.NodeUndrained(name=name), rarely))


def judgement(rng: Random, attempt: Attempt) -> ev.Event:
    symptom = rng.choice((None, Symptom(name="stuck", text="no step", since_ms=0)))
    return ev.AttemptJudged(
        job=attempt.job, number=attempt.number, fence=attempt.fence, symptom=symptom
    )


def wish(rng: Random, job: str) -> ev.Event:
    least = rng.randint(1, 3)
    return rng.choice(
        (
            ev.JobCancelRequested(job=job),
            ev.JobHoldRequested(job=job, text="by root"),
            ev.JobReleaseRequested(job=job),
            ev.JobRetryRequested(job=job),
            ev.JobResizeRequested(job=job, count_min=least, count_max=least + rng.randint(0, 3)),
        )
    )


def queue(rng: Random, path: str) -> Queue:
    return Queue(
        path=path,
        max_class=rng.choice((None, 0)),
        max_queued=rng.choice((None, 2)),
        submits_per_minute=rng.choice((None, 3)),
        past_usage={"cpu_milli": rng.choice((0, 5_000))},
    )


@given(seed=st.integers(0, 2**32))
def test_every_sum_is_what_one_would_count_and_the_log_gives_it_again(seed: int) -> None:
    rng = Random(seed)
    house = House("n1", "n2", cpus=6, policy=Wild(seed))
    shadow, told = Engine(Wild(seed)), 0
    for number in range(60):
        if rng.random() < 0.2:
            house.now_ms += rng.randint(0, 20_000)
        house.tell(happening(rng, house, number))  # the house counts after each step
        shadow.replay(house.log[told:])
        told = len(house.log)
        assert believed(shadow.state, house.now_ms) == believed(house.engine.state, house.now_ms)
    for event in (entry.event for entry in house.log):
        version = codec.version_of(type(event).__name__)
        assert codec.decode_event(codec.encode_event(event), version) == event
