"""Test what must hold in every world: safety apart from progress, and the laws of the shares."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from makeway.model.cluster import Queue, usage_of
from makeway.model.job import Job, WorkerGroup
from makeway.model.resources import CPU, GPU, Resources
from makeway.model.rules import Rules, Scope
from makeway.policy.ledger import total_of
from makeway.policy.level import inside
from makeway.policy.plan import Preempt, Reject, Release, Reserve, Resize, Start
from makeway.policy.rooms import Rooms
from makeway.policy.schedule import schedule
from makeway.policy.share import Claim, fill, standings
from makeway.policy.snapshot import Running, Snapshot
from tests.builders import NOW_MS, amounts, carried_out, job, node, running, snapshot_of
from tests.tables import ROUNDS_MAX, assert_settled, waits

PATHS = ("lab", "lab/ada", "lab/bob", "other", "other/eve")
vectors = st.builds(
    lambda cpus, gpus: amounts(cpus=cpus / 2, gpus=gpus), st.integers(0, 6), st.integers(0, 2)
)


@st.composite
def jobs(draw: st.DrawFn, name: str, groups_most: int = 2) -> Job:
    """Draw a queued job."""
    shapes = [
        WorkerGroup(name=f"g{place}", count_min=count, count_max=count + more, per_worker=vector)
        for place, (count, more, vector) in enumerate(
            draw(
                st.lists(
                    st.tuples(st.integers(1, 3), st.integers(0, 2), vectors),
                    min_size=1,
                    max_size=groups_most,
                )
            )
        )
    ]
    return job(
        name,
        draw(st.sampled_from(PATHS)),
        groups=shapes,
        priority=draw(st.sampled_from([-100, 0, 100])),
        not_before_ms=draw(st.sampled_from([0, 0, 0, NOW_MS + 1])),
        preemptible=draw(st.sampled_from([True, True, True, False])),
        time_limit_ms=draw(st.sampled_from([None, None, 60_000, 600_000])),
    )


@st.composite
def declared(draw: st.DrawFn, path: str) -> Queue:
    """Draw what a queue was promised; only queues at the top have guarantees."""
    guarantees = st.dictionaries(
        st.sampled_from([CPU, GPU]), st.integers(0, 4).map(lambda n: n * 1000)
    )
    return Queue(
        path=path,
        weight=draw(st.sampled_from([0.0, 0.5, 1.0, 3.0])),
        guarantee={} if "/" in path else draw(st.one_of(st.just({}), guarantees)),
        limit=draw(st.sampled_from([{}, {}, {}, {CPU: 3000}, {GPU: 1000}])),
        borrow=draw(st.sampled_from([True, True, True, False])),
        max_running=draw(st.sampled_from([None, None, None, 2])),
    )


@st.composite
def worlds(draw: st.DrawFn, groups_most: int = 2) -> Snapshot:
    """Draw a cluster on which something runs and something waits."""
    nodes = [
        node(f"n{place}", cpus=draw(st.integers(1, 6)), gpus=draw(st.integers(0, 3)))
        for place in range(draw(st.integers(0, 4)))
    ]
    queues = [draw(declared(path)) for path in PATHS]
    room = {one.name: one.capacity for one in nodes}
    rows: list[Running] = []
    for place in range(draw(st.integers(0, 5)) if nodes else 0):
        one, on = draw(jobs(f"r{place}", 1)), draw(st.sampled_from([*room]))
        age_ms = draw(st.sampled_from([0, 1_000, 90_000]))
        row = running(
            replace(one, not_before_ms=0),
            f"{on}*{one.spec.groups[0].count_min}",
            started_at_ms=NOW_MS - age_ms,
        )
        if row.usage.fits(room[on]):
            room[on] = room[on] - row.usage
            rows.append(row)
    waiting = [draw(jobs(f"w{place}", groups_most)) for place in range(draw(st.integers(0, 7)))]
    scope = draw(st.sampled_from([*Scope]))
    return snapshot_of(nodes, waiting, rows, queues, rules=Rules(priority_scope=scope))


def settled(world: Snapshot) -> Snapshot:
    """Let the policy decide until it has nothing more to say."""
    for _ in range(ROUNDS_MAX):
        plan = schedule(world)
        if not plan.decisions:
            break
        world = carried_out(world, plan)
    return world


# ── safety ────────────────────────────────────────────────────────────────────────────────────────


@given(world=worlds())
def test_no_node_is_over_committed(world: Snapshot) -> None:
    after = settled(world)
    for name, one in world.nodes.items():
        assert (one.capacity - after.free[name]).fits(one.capacity)


@given(world=worlds())
def test_a_gang_runs_whole_with_all_its_groups(world: Snapshot) -> None:
    for row in settled(world).running.values():
        placed = dict.fromkeys((g.name for g in row.job.spec.groups), 0)
        for placement in row.allocation.placements:
            assert placement.count > 0
            placed[placement.group] += placement.count
        for asked in row.job.spec.groups:
            assert asked.count_min <= placed[asked.name] <= asked.count_max


@given(world=worlds())
def test_every_job_that_waits_is_told_why(world: Snapshot) -> None:
    plan = schedule(world)
    over = {one.job for one in plan.decisions if isinstance(one, Start | Reject)}
    told = waits(plan, world)
    assert {*told} == {one.id for one in world.waiting()} - over
    assert all(wait.text for wait in told.values())


@given(world=worlds())
def test_nothing_starts_before_its_backoff_is_over(world: Snapshot) -> None:
    early = {one.id for one in world.waiting() if one.not_before_ms > world.now_ms}
    assert early.isdisjoint(settled(world).running)


@given(world=worlds())
def test_what_is_refused_for_room_does_not_fit_an_empty_cluster(world: Snapshot) -> None:
    waiting = {one.id: one for one in world.waiting()}
    for decision in schedule(world).decisions:
        if isinstance(decision, Reject) and decision.wait.reason == "NoNodeFits":
            assert world.nodes
            assert not fits(
                waiting[decision.job], {n: one.capacity for n, one in world.nodes.items()}
            )


@given(world=worlds())
def test_nothing_is_started_above_a_limit(world: Snapshot) -> None:
    before, after = standings(world), standings(settled(world))
    for path, queue in world.queues.items():
        for kind, most in queue.limit.items():
            assert after[path].usage[kind] <= max(most, before[path].usage[kind])


@given(world=worlds())
def test_no_victim_is_inside_its_guarantee(world: Snapshot) -> None:
    found = standings(world)
    for decision in schedule(world).decisions:
        if isinstance(decision, Preempt):
            victim = world.running[decision.job]
            queue = world.queues[victim.job.spec.queue.partition("/")[0]]
            sure = {kind: most for kind, most in queue.guarantee.items() if victim.usage[kind]}
            own = beneficiary_queue(world, decision).partition("/")[0] == queue.path
            promised = total_of(Resources.of(one.guarantee) for one in top(world))
            if (
                sure
                and not own
                and promised.fits(total_of(n.capacity for n in world.nodes.values()))
            ):
                assert not inside(found[queue.path].usage, sure)


@given(world=worlds())
def test_whoever_may_not_be_preempted_is_not(world: Snapshot) -> None:
    after = settled(world)
    for name, row in world.running.items():
        if not row.job.spec.preemptible:
            assert name in after.running
            assert after.running[name].allocation.workers >= row.job.spec.workers_min


@given(world=worlds())
def test_slots_are_kept_together_with_the_evictions(world: Snapshot) -> None:
    plan = schedule(world)
    kept = {one.job: one for one in plan.decisions if isinstance(one, Reserve)}
    for decision in plan.decisions:
        if isinstance(decision, Preempt):
            assert decision.job in kept[decision.beneficiary].victims
        if isinstance(decision, Resize) and decision.beneficiary:
            assert decision.beneficiary in kept
    assert not any(isinstance(one, Release) for one in plan.decisions)


def top(world: Snapshot) -> list[Queue]:
    return [one for one in world.queues.values() if one.path and "/" not in one.path]


def beneficiary_queue(world: Snapshot, decision: Preempt) -> str:
    return next(one.spec.queue for one in world.waiting() if one.id == decision.beneficiary)


# ── progress ──────────────────────────────────────────────────────────────────────────────────────


def fits(one: Job, free: dict[str, Resources]) -> bool:
    """Try every way to put the workers on nodes, one by one: the plain form of placement."""
    workers = [g.per_worker for g in one.spec.groups for _ in range(g.count_min)]
    for names in product(free, repeat=len(workers)):
        left = dict(free)
        for name, vector in zip(names, workers, strict=True):
            left[name] = left[name] - vector
        if not any(room.negative() for room in left.values()):
            return True
    return False


@given(world=worlds(groups_most=1))
def test_nothing_stays_idle_that_a_waiting_job_could_use(world: Snapshot) -> None:
    after = settled(world)
    held = {"Backoff", "OverShare", "QueueLimit", "BorrowingOff", "ReservedForOther"}
    told = waits(schedule(after), after)
    for one in after.waiting():
        if told[one.id].reason not in held:
            assert not fits(one, dict(after.free)), one.id


@given(world=worlds())
def test_it_settles(world: Snapshot) -> None:
    assert_settled(schedule, world, schedule(world))


@given(world=worlds(), seed=st.randoms(use_true_random=False))
def test_the_same_snapshot_gives_the_same_plan(world: Snapshot, seed: Any) -> None:
    shuffled = {name: world.nodes[name] for name in seed.sample([*world.nodes], len(world.nodes))}
    queues = {path: world.queues[path] for path in seed.sample([*world.queues], len(world.queues))}
    free = {name: world.free[name] for name in shuffled}
    lanes = {kind: world.lanes[kind] for kind in seed.sample([*world.lanes], len(world.lanes))}
    other = replace(world, nodes=shuffled, free=free, queues=queues, lanes=lanes, rooms=Rooms(free))
    assert schedule(world).decisions == schedule(other).decisions == schedule(world).decisions


# ── shares ────────────────────────────────────────────────────────────────────────────────────────


def children(world: Snapshot, parent: str) -> list[str]:
    return [path for path, one in world.queues.items() if path and one.parent == parent]


@given(world=worlds())
def test_shares_divide_the_whole(world: Snapshot) -> None:
    found = standings(world)
    for parent in world.queues:
        below = children(world, parent)
        assert sum(found[path].share for path in below) <= found[parent].share + 1e-9
    assert abs(sum(found[path].share for path in children(world, "")) - 1) < 1e-9


@given(world=worlds())
def test_dues_fit_into_the_parents_and_into_the_demand(world: Snapshot) -> None:
    found = standings(world)
    for parent, standing in found.items():
        assert standing.due.fits(standing.demand)
        total = sum((found[path].due for path in children(world, parent)), Resources())
        assert total.fits(standing.due)


@given(world=worlds())
def test_usage_and_demand_are_those_of_the_whole_subtree(world: Snapshot) -> None:
    for path, standing in standings(world).items():
        under = [
            row.usage
            for row in world.running.values()
            if path in {"", row.job.spec.queue} or row.job.spec.queue.startswith(f"{path}/")
        ]
        assert standing.usage == sum(under, Resources())
        assert standing.usage.fits(standing.demand)


@given(world=worlds(), path=st.sampled_from(PATHS), factor=st.sampled_from([2.0, 7.0]))
def test_a_heavier_queue_has_no_less(world: Snapshot, path: str, factor: float) -> None:
    heavy = replace(world.queues[path], weight=world.queues[path].weight * factor)
    before = standings(world)[path]
    after = standings(replace(world, queues={**world.queues, path: heavy}))[path]
    assert after.share >= before.share - 1e-12
    assert before.due.fits(after.due)


claims = st.lists(
    st.builds(Claim, st.sampled_from([0.0, 0.1, 1.0, 2.0, 3.0]), st.integers(0, 40)), max_size=6
)


@given(amount=st.integers(0, 60), asked=claims)
def test_filling_gives_all_that_is_asked_for_or_all_there_is(
    amount: int, asked: list[Claim]
) -> None:
    parts = fill(amount, asked)
    assert sum(parts) == min(amount, sum(claim.most for claim in asked))
    assert all(0 <= part <= claim.most for part, claim in zip(parts, asked, strict=True))


@given(amount=st.integers(0, 60), asked=claims)
def test_nobody_who_wants_more_has_a_unit_less_than_another_for_its_weight(
    amount: int, asked: list[Claim]
) -> None:
    parts = fill(amount, asked)
    for (one, part), (other, more) in product(zip(asked, parts, strict=True), repeat=2):
        if part < one.most and one.weight:
            level, above = Fraction(part + 1) / Fraction(one.weight), Fraction(max(more - 1, 0))
            assert not other.weight or above / Fraction(other.weight) <= level
            assert other.weight or not more


@given(amount=st.integers(0, 60), asked=claims.filter(bool), factor=st.sampled_from([1.5, 4.0]))
def test_a_heavier_claim_is_given_no_less(amount: int, asked: list[Claim], factor: float) -> None:
    heavy = [Claim(asked[0].weight * factor, asked[0].most), *asked[1:]]
    assert fill(amount, heavy)[0] >= fill(amount, asked)[0]


def test_what_a_row_takes_is_what_the_snapshot_counts() -> None:
    row = running(job("a", workers=3, cpus=1), "n1*2", "n2")
    world = snapshot_of([node("n1"), node("n2")], running=[row])
    assert row.usage == usage_of(row.allocation, row.job.spec.shape()) == amounts(cpus=3)
    assert world.free == {"n1": amounts(cpus=2), "n2": amounts(cpus=3)}
    assert {key: held.usage for key, held in world.held.items()} == {("main", 0): amounts(cpus=3)}
