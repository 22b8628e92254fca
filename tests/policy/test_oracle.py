"""Compare the policy with its plain form, which evicts everybody in thought and serves all again.

They differ where they should: the policy evicts as few as it can, and nobody by fairness who is not
above what it is due. So what is compared is what must be equal, and of the rest who has too little.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from makeway.model.cluster import Queue
from makeway.model.job import Job
from makeway.model.resources import CPU
from makeway.model.rules import Preemption, Rules, Scope
from makeway.policy.ledger import parting, total_of, way
from makeway.policy.plan import Plan, Preempt, Start
from makeway.policy.schedule import schedule
from makeway.policy.share import standings
from makeway.policy.snapshot import Running, Snapshot
from makeway.policy.terms import terms_of
from tests.builders import NOW_MS, group, job, node, running, snapshot_of
from tests.policy.oracle import reference
from tests.policy.test_properties import settled

FLAT = ("a", "b", "c")
DEEP = ("lab", "lab/ada", "lab/bob", "other", "other/eve")
WEIGHTS = (0.0, 0.5, 1.0, 3.0)
CLASSES = (-100, 0, 100)
# Nobody waits for room that is kept for those before it either: the plain form knows no promises.
NOBODY_LEAVES = Rules(preemption=Preemption(priority=False, reclaim=False), backfill_depth=0)


@st.composite
def unit_worlds(
    draw: st.DrawFn,
    paths: Sequence[str] = FLAT,
    weights: Sequence[float] = (1.0,),
    classes: Sequence[int] = (0,),
    scopes: Sequence[Scope] = tuple(Scope),
) -> Snapshot:
    """Draw one node, and jobs that want a processor each and have run for equally long."""
    room = draw(st.integers(1, 7))
    wanted = st.tuples(st.sampled_from(paths), st.sampled_from(classes))
    rows = [
        running(job(f"r{place}", path, priority=priority), "n1", started_at_ms=NOW_MS - 1_000)
        for place, (path, priority) in enumerate(draw(st.lists(wanted, max_size=room)))
    ]
    waiting = [
        job(f"w{place}", path, priority=priority)
        for place, (path, priority) in enumerate(draw(st.lists(wanted, max_size=8)))
    ]
    queues = [Queue(path=path, weight=draw(st.sampled_from(weights))) for path in paths]
    rules = Rules(priority_scope=draw(st.sampled_from(scopes)))
    return snapshot_of([node("n1", cpus=room)], waiting, rows, queues, rules=rules)


@st.composite
def mixed_worlds(draw: st.DrawFn) -> Snapshot:
    """Draw several nodes, gangs, guarantees and limits, with one kind of resource."""
    nodes = [node(f"n{k}", cpus=draw(st.integers(1, 5))) for k in range(draw(st.integers(1, 3)))]
    room = {one.name: one.capacity[CPU] // 1000 for one in nodes}
    queues = [
        Queue(
            path=path,
            weight=draw(st.sampled_from(WEIGHTS)),
            guarantee={} if "/" in path else {CPU: 1000 * draw(st.integers(0, 3))},
            limit=draw(st.sampled_from([{}, {}, {CPU: 3000}])),
            borrow=draw(st.sampled_from([True, True, False])),
            max_running=draw(st.sampled_from([None, None, 2])),
        )
        for path in DEEP
    ]

    def drawn(name: str) -> Job:
        shape = group(count=draw(st.integers(1, 3)), cpus=draw(st.integers(1, 2)))
        path, priority = draw(st.sampled_from(DEEP)), draw(st.sampled_from(CLASSES))
        return job(name, path, groups=[shape], priority=priority)

    rows = list[Running]()
    for place in range(draw(st.integers(0, 5))):
        one, on = drawn(f"r{place}"), draw(st.sampled_from([*room]))
        shape = one.spec.groups[0]
        takes = shape.count_min * shape.per_worker[CPU] // 1000
        if takes <= room[on]:
            room[on] -= takes
            rows.append(running(one, f"{on}*{shape.count_min}", started_at_ms=NOW_MS - 1_000))
    waiting = [drawn(f"w{place}") for place in range(draw(st.integers(0, 7)))]
    rules = Rules(priority_scope=draw(st.sampled_from([*Scope])))
    return snapshot_of(nodes, waiting, rows, queues, rules=rules)


def level(world: Snapshot, path: str, more: int = 0) -> tuple[bool, Fraction]:
    """Count how full a queue, or the own part of one, is for its weight."""
    held = sum(row.usage[CPU] for row in world.running.values() if path in way(row.job.spec.queue))
    weight = Fraction(str(world.queues[path].weight)) if path in world.queues else Fraction(1)
    return weight == 0, Fraction(held + more) / (weight or 1)


def levels(
    world: Snapshot, runs: Sequence[str], paths: Sequence[str]
) -> list[tuple[bool, Fraction]]:
    """Give how full the queues are if these jobs run, the emptiest first."""
    everybody = [*(row.job for row in world.running.values()), *world.waiting()]
    rows = [running(one, "n1") for one in everybody if one.id in runs]
    there = snapshot_of(world.nodes.values(), (), rows, world.queues.values())
    return sorted(level(there, path) for path in paths)


# ── what must be equal ────────────────────────────────────────────────────────────────────────────


@given(world=unit_worlds())
def test_among_equals_the_same_jobs_run(world: Snapshot) -> None:
    assert {*settled(world).running} == {*reference(world).runs}


@given(world=unit_worlds())
def test_among_equals_the_same_jobs_leave_and_no_others(world: Snapshot) -> None:
    left = {one.job for one in schedule(world).decisions if isinstance(one, Preempt)}
    assert left == reference(world).victims


@given(world=unit_worlds(classes=CLASSES, scopes=(Scope.QUEUE,)))
def test_classes_within_queues_leave_the_queues_as_full(world: Snapshot) -> None:
    wanted = levels(world, [*reference(world).runs], FLAT)
    assert levels(world, [*settled(world).running], FLAT) == wanted


@given(world=unit_worlds(DEEP, WEIGHTS, CLASSES))
def test_as_many_run(world: Snapshot) -> None:
    assert len(settled(world).running) == len(reference(world).runs)


@given(world=unit_worlds(classes=CLASSES, scopes=(Scope.CLUSTER,)))
def test_of_every_class_as_many_run_where_classes_count_everywhere(world: Snapshot) -> None:
    after, wanted = settled(world), reference(world)
    found = sorted(row.job.priority for row in after.running.values())
    assert found == sorted(one.job.priority for one in wanted.runs.values())


@given(world=mixed_worlds())
def test_where_nobody_may_be_evicted_the_same_jobs_start(world: Snapshot) -> None:
    scope = world.rules.priority_scope
    world = replace(world, rules=replace(NOBODY_LEAVES, priority_scope=scope))
    started = {one.job for one in schedule(world).decisions if isinstance(one, Start)}
    assert started == reference(world, evict=False).started


@given(world=mixed_worlds())
def test_what_runs_from_idle_room_alone_does_not_wait(world: Snapshot) -> None:
    after = settled(world)
    assert not reference(after, evict=False).started


# ── who has too little ────────────────────────────────────────────────────────────────────────────


def liftable(world: Snapshot) -> Iterator[tuple[str, str]]:
    """Name everybody who waits below what is due, and who runs above it and might make way."""
    found, wide = standings(world), world.rules.priority_scope is Scope.CLUSTER
    for one in world.waiting():
        for row in world.running.values():
            if one.spec.queue == row.job.spec.queue or (wide and row.job.priority > one.priority):
                continue
            here, there = parting(one.spec.queue, row.job.spec.queue)
            if not {here, there} <= found.keys():
                continue  # the own part of a queue has no due of its own to look at
            mine, theirs = found[here], found[there]
            owed = mine.usage[CPU] < mine.due[CPU] and theirs.usage[CPU] > theirs.due[CPU]
            after, before = level(world, here, 1000), level(world, there)
            if owed and (after < before or after <= level(world, there, -1000)):
                yield one.id, row.job.id


@given(world=unit_worlds(DEEP, WEIGHTS, CLASSES))
def test_nobody_waits_below_its_due_for_room_that_another_has_above_its_own(
    world: Snapshot,
) -> None:
    assert not [*liftable(settled(world))]


@given(world=unit_worlds(FLAT, WEIGHTS, CLASSES), sure=st.tuples(*[st.integers(0, 3)] * len(FLAT)))
def test_nobody_waits_within_its_guarantee_and_as_many_run(
    world: Snapshot, sure: tuple[int, ...]
) -> None:
    promised = {
        path: replace(world.queues[path], guarantee={CPU: 1000 * amount})
        for path, amount in zip(FLAT, sure, strict=True)
    }
    world = replace(world, queues={**world.queues, **promised})
    after = settled(world)
    capacity = total_of(one.capacity for one in world.nodes.values())
    guarantee, found = terms_of(after, capacity).guarantee, standings(after)
    for one in after.waiting():
        path = one.spec.queue
        assert found[path].usage[CPU] + 1000 > guarantee[path].get(CPU, 0), one.id
    assert len(after.running) == len(reference(world).runs)


@given(world=unit_worlds(FLAT, WEIGHTS))
def test_whom_the_plain_form_lifts_is_lifted_or_has_its_due(world: Snapshot) -> None:
    after, wanted = settled(world), reference(world)
    found = standings(after)
    for name, one in wanted.runs.items():
        if name in after.running:
            continue
        mine = found[one.job.spec.queue]
        above = [
            path
            for path in FLAT
            if found[path].usage[CPU] > found[path].due[CPU]
            and level(after, one.job.spec.queue, 1000) < level(after, path)
        ]
        assert mine.usage[CPU] >= mine.due[CPU] or not above, name


@given(world=mixed_worlds())
def test_whoever_leaves_would_not_return_or_had_what_another_was_due(world: Snapshot) -> None:
    plan, wanted = schedule(world), reference(world)
    for decision in plan.decisions:
        if isinstance(decision, Preempt) and decision.job not in wanted.victims:
            assert justified(world, plan, decision), decision


def justified(world: Snapshot, plan: Plan, decision: Preempt) -> bool:
    """Say whether the rule that is named lets this job be evicted for that one."""
    victim = world.running[decision.job].job
    claimant = next(one for one in world.waiting() if one.id == decision.beneficiary)
    same = victim.spec.queue == claimant.spec.queue
    wide = world.rules.priority_scope is Scope.CLUSTER
    if decision.rule == "priority":
        return victim.priority < claimant.priority and (same or wide)
    here, there = parting(claimant.spec.queue, victim.spec.queue)
    assert decision.rule == "reclaim"
    found = standings(world)
    began = {one.job for one in plan.decisions if isinstance(one, Start)}
    more = sum(
        part.count_min * part.per_worker[CPU]
        for one in world.waiting()
        if one.id in began and there in way(one.spec.queue)
        for part in one.spec.groups
    )
    if here.endswith("/") or there.endswith("/"):
        return not same
    guarantee = any(world.queues[path].guarantee for path in way(claimant.spec.queue)[:-1])
    above = found[there].usage[CPU] + more > found[there].due[CPU]
    return not same and (guarantee or above)
