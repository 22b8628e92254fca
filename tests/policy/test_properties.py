"""Test what must hold in every world: safety apart from progress, and the laws of the shares."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from makeway.model.cluster import Queue, usage_of
from makeway.model.job import Job, WorkerGroup
from makeway.model.resources import Resources
from makeway.policy.plan import Hold, Plan, Reject, Start
from makeway.policy.rivals import fifo, fit
from makeway.policy.schedule import schedule
from makeway.policy.share import Claim, fill, standings
from makeway.policy.snapshot import Running, Snapshot
from tests.builders import (
    NOW_MS,
    amounts,
    assert_settled,
    carried_out,
    job,
    node,
    running,
    snapshot_of,
)

PATHS = ("lab", "lab/ada", "lab/bob", "other", "other/eve")
Policy = Callable[[Snapshot], Plan]

EVERY = pytest.mark.parametrize("policy", [schedule, fifo, fit])
GREEDY = pytest.mark.parametrize("policy", [schedule, fit])

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
    )


@st.composite
def worlds(draw: st.DrawFn, groups_most: int = 2) -> Snapshot:
    """Draw a cluster on which something runs and something waits."""
    nodes = [
        node(f"n{place}", cpus=draw(st.integers(1, 6)), gpus=draw(st.integers(0, 3)))
        for place in range(draw(st.integers(0, 4)))
    ]
    weights = st.sampled_from([0.0, 0.5, 1.0, 3.0])
    queues = [Queue(path=path, weight=draw(weights)) for path in PATHS]
    room = {one.name: one.capacity for one in nodes}
    rows: list[Running] = []
    for place in range(draw(st.integers(0, 5)) if nodes else 0):
        one, on = draw(jobs(f"r{place}", 1)), draw(st.sampled_from([*room]))
        row = running(replace(one, not_before_ms=0), f"{on}*{one.spec.groups[0].count_min}")
        if row.usage.fits(room[on]):
            room[on] = room[on] - row.usage
            rows.append(row)
    waiting = [draw(jobs(f"w{place}", groups_most)) for place in range(draw(st.integers(0, 7)))]
    return snapshot_of(nodes, waiting, rows, queues)


# ── safety ────────────────────────────────────────────────────────────────────────────────────────


@EVERY
@given(world=worlds())
def test_no_node_is_over_committed(policy: Policy, world: Snapshot) -> None:
    after = carried_out(world, policy(world))
    used = {name: one.capacity - after.free[name] for name, one in world.nodes.items()}
    for name, one in world.nodes.items():
        assert used[name].fits(one.capacity)


@EVERY
@given(world=worlds())
def test_a_gang_starts_whole_with_all_its_groups(policy: Policy, world: Snapshot) -> None:
    waiting = {one.id: one for one in world.waiting}
    for start in policy(world).decisions:
        if isinstance(start, Start):
            placed = dict.fromkeys((g.name for g in waiting[start.job].spec.groups), 0)
            for row in start.allocation.placements:
                assert row.count > 0
                placed[row.group] += row.count
            asked = {g.name: g.count_min for g in waiting[start.job].spec.groups}
            assert placed == asked


@EVERY
@given(world=worlds())
def test_every_waiting_job_gets_one_decision(policy: Policy, world: Snapshot) -> None:
    decided = [decision.job for decision in policy(world).decisions]
    assert sorted(decided) == sorted(one.id for one in world.waiting)


@EVERY
@given(world=worlds())
def test_nothing_starts_before_its_backoff_is_over(policy: Policy, world: Snapshot) -> None:
    early = {one.id for one in world.waiting if one.not_before_ms > world.now_ms}
    for decision in policy(world).decisions:
        if decision.job in early:
            assert isinstance(decision, Hold)
            assert decision.wait.reason == "Backoff"


@EVERY
@given(world=worlds())
def test_what_is_refused_does_not_fit_an_empty_cluster(policy: Policy, world: Snapshot) -> None:
    waiting = {one.id: one for one in world.waiting}
    for decision in policy(world).decisions:
        if isinstance(decision, Reject):
            assert world.nodes
            alone = snapshot_of(world.nodes.values(), [waiting[decision.job]])
            assert not any(isinstance(one, Start) for one in policy(alone).decisions)


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


@GREEDY
@given(world=worlds(groups_most=1))
def test_nothing_stays_idle_that_a_waiting_job_could_use(policy: Policy, world: Snapshot) -> None:
    after = carried_out(world, policy(world))
    for one in after.waiting:
        if one.not_before_ms <= world.now_ms:
            assert not fits(one, dict(after.free)), one.id


@given(world=worlds(groups_most=1))
def test_fifo_starts_nothing_behind_one_that_waits_for_room(world: Snapshot) -> None:
    order = {one.id: one.order for one in world.waiting}
    plan = fifo(world)
    held = [
        order[one.job]
        for one in plan.decisions
        if isinstance(one, Hold) and one.wait.reason != "Backoff"
    ]
    started = [order[one.job] for one in plan.decisions if isinstance(one, Start)]
    assert not held or not started or max(started) < min(held)


@EVERY
@given(world=worlds())
def test_a_second_cycle_changes_nothing(policy: Policy, world: Snapshot) -> None:
    assert_settled(policy, world, policy(world))


@EVERY
@given(world=worlds(), seed=st.randoms(use_true_random=False))
def test_the_same_snapshot_gives_the_same_plan(policy: Policy, world: Snapshot, seed: Any) -> None:
    shuffled = {name: world.nodes[name] for name in seed.sample([*world.nodes], len(world.nodes))}
    queues = {path: world.queues[path] for path in seed.sample([*world.queues], len(world.queues))}
    free = {name: world.free[name] for name in shuffled}
    other = replace(world, nodes=shuffled, free=free, queues=queues)
    assert policy(world) == policy(other) == policy(world)


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
    assert world.held == {"main": amounts(cpus=3)}
