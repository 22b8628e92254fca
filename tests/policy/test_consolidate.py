"""Test moving running jobs together: who is moved, where to, for whom, and who is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from makeway.model.phase import JobPhase
from makeway.model.rules import Preemption, Rules
from makeway.policy.plan import Preempt, Release, Start
from makeway.policy.schedule import schedule
from makeway.policy.snapshot import Running, Snapshot
from tests.builders import NOW_MS, carried_out, group, job, node, running, snapshot_of
from tests.tables import assert_settled, check

CASES = """
one job moves, and what was free in two pieces is one
nodes    n1..n2 gpu 4
running  a lab n1 gpu 2 age 900s saves 60s | b lab n2 gpu 2 age 900s saves 60s
queued   wide lab gpu 4
rules    consolidate yes
expect   preempt a for wide by consolidate | reserve wide on n1 | reserve a on n2
         hold wide WaitingForEviction by a

nobody is moved unless the rules want it
nodes    n1..n2 gpu 4
running  a lab n1 gpu 2 age 900s saves 60s | b lab n2 gpu 2 age 900s saves 60s
queued   wide lab gpu 4
expect   hold wide Fragmented

the one that has saved its work last is moved
nodes    n1..n2 gpu 4
running  a lab n1 gpu 2 age 950s saves 100s | b lab n2 gpu 2 age 990s saves 100s
queued   wide lab gpu 4
rules    consolidate yes
expect   preempt a for wide by consolidate | reserve wide on n1 | reserve a on n2
         hold wide WaitingForEviction by a

who has saved nothing yet is not moved, and who never saves neither
nodes    n1..n2 gpu 4
running  a lab n1 gpu 2 age 900s | b lab n2 gpu 2 age 50s saves 60s
queued   wide lab gpu 4
rules    consolidate yes
expect   hold wide Fragmented

who may not be preempted stays
nodes    n1..n2 gpu 4
queues   lab guarantee gpu 8
running  a lab n1 gpu 2 age 900s saves 60s firm yes | b lab n2 gpu 2 age 910s saves 60s
queued   wide lab gpu 4
rules    consolidate yes
expect   preempt b for wide by consolidate | reserve wide on n2 | reserve b on n1
         hold wide WaitingForEviction by b

nobody of a higher class is moved for a lower one
nodes    n1..n2 gpu 4
running  a lab n1 gpu 2 age 900s saves 60s prio high | b lab n2 gpu 2 age 900s saves 60s prio high
queued   wide lab gpu 4
rules    consolidate yes
expect   hold wide Fragmented

who is not evicted for longer is not moved sooner
nodes    n1..n2 gpu 4
running  a lab n1 gpu 2 age 90s saves 60s | b lab n2 gpu 2 age 90s saves 60s
queued   wide lab gpu 4
rules    consolidate yes | min_run 100s
expect   hold wide Fragmented

all find a new place or nobody moves
nodes    n1..n2 gpu 4 | n3 gpu 1
running  a lab n1 gpu 3 age 900s saves 60s | b lab n2 gpu 2 age 900s saves 60s
queued   wide lab gpu 4
rules    consolidate yes
expect   hold wide Fragmented

two small ones move where no single one is enough
nodes    n1..n3 gpu 4
running  a lab n1 gpu 1 age 900s saves 60s | b lab n1 gpu 1 age 900s saves 60s
         c lab n2 gpu 3 age 900s saves 60s | d lab n3 gpu 3 age 900s saves 60s
queued   wide lab gpu 4
rules    consolidate yes
expect   preempt a for wide by consolidate | preempt b for wide by consolidate | reserve wide on n1
         reserve a on n2 | reserve b on n3 | hold wide WaitingForEviction by a b

a gang gets a hole on every node that it needs
nodes    n1..n4 gpu 2
running  a lab n1 gpu 1 age 900s saves 60s | b lab n2 gpu 1 age 900s saves 60s
         c lab n3 gpu 1 age 900s saves 60s | d lab n4 gpu 1 age 900s saves 60s
queued   wide lab gang 2 gpu 2
rules    consolidate yes
expect   preempt a for wide by consolidate | preempt b for wide by consolidate
         reserve wide on n1 n2 | reserve a on n3 | reserve b on n4
         hold wide WaitingForEviction by a b

it goes before taking back: nobody loses a place where moving is enough
          one  two
nodes    n1..n2 gpu 4
running  a one n1 gpu 2 age 900s saves 60s | b two n2 gpu 2 age 900s saves 60s prio low
queued   wide one gpu 4 prio high
rules    consolidate yes
expect   preempt a for wide by consolidate | reserve wide on n1 | reserve a on n2
         hold wide WaitingForEviction by a

not more than twice what starts is moved
nodes    n1..n3 gpu 8
running  a lab n1 gpu 7 age 900s saves 60s | b lab n2 gpu 7 age 900s saves 60s
         c lab n3 gpu 1 age 900s saves 60s
queued   small lab gpu 2 pin n1
rules    consolidate yes
expect   hold small InsufficientFree

nobody is moved for what is not free even in pieces
nodes    n1..n2 gpu 4
running  a lab n1 gpu 3 age 900s saves 60s | b lab n2 gpu 2 age 900s saves 60s
queued   wide lab gpu 4
rules    consolidate yes
expect   hold wide InsufficientFree
"""


@pytest.mark.parametrize("text", CASES.strip().split("\n\n"), ids=lambda text: text.split("\n")[0])
def test_case(text: str) -> None:
    check(text, schedule)


LONG_AGO_MS = NOW_MS - 900_000
WANTED = Rules(consolidate=True)


def test_who_is_pinned_to_its_node_stays_there_and_another_one_moves() -> None:
    pinned = job("a", gpus=2, checkpoint_every_ms=60_000, nodes=("n1",))
    free = job("b", gpus=2, checkpoint_every_ms=60_000)
    rows = [
        running(pinned, "n1", started_at_ms=LONG_AGO_MS),
        running(free, "n2", started_at_ms=LONG_AGO_MS),
    ]
    world = snapshot_of(
        [node("n1", gpus=4), node("n2", gpus=4)], [job("wide", gpus=4)], rows, rules=WANTED
    )
    plan = schedule(world)
    assert [one.job for one in plan.decisions if isinstance(one, Preempt)] == ["b"]
    assert_settled(schedule, world, plan)


def test_who_has_saved_nothing_yet_is_looked_at_again_when_it_has() -> None:
    rows = [
        running(job(name, gpus=2, checkpoint_every_ms=60_000), on, started_at_ms=NOW_MS - 20_000)
        for name, on in (("a", "n1"), ("b", "n2"))
    ]
    world = snapshot_of(
        [node("n1", gpus=4), node("n2", gpus=4)], [job("wide", gpus=4)], rows, rules=WANTED
    )
    plan = schedule(world)
    assert plan.wake_at_ms == NOW_MS + 40_000
    later = schedule(replace(world, now_ms=NOW_MS + 40_000))
    assert [one.job for one in later.decisions if isinstance(one, Preempt)] == ["a"]


def test_who_is_moved_starts_on_its_new_place_only_when_it_has_left_the_old_one() -> None:
    leaving = job("a", gpus=2, checkpoint_every_ms=60_000, phase=JobPhase.EVICTING)
    row = running(leaving, "n1", started_at_ms=LONG_AGO_MS)
    wide, place = job("wide", gpus=4), running(leaving, "n2").allocation
    world = snapshot_of(
        [node("n1", gpus=4), node("n2", gpus=4)],
        [wide],
        [row],
        rules=WANTED,
        reserved={"wide": running(wide, "n1").allocation, "a": place},
        leaving={"a": row.allocation.placements},
    )
    assert not schedule(world).decisions
    gone = replace(leaving, phase=JobPhase.QUEUED)
    after = snapshot_of(
        [node("n1", gpus=4), node("n2", gpus=4)],
        [wide, gone],
        rules=WANTED,
        reserved={"wide": running(wide, "n1").allocation, "a": place},
    )
    started = [one for one in schedule(after).decisions if isinstance(one, Start)]
    assert [(one.job, one.allocation) for one in started] == [
        ("wide", running(wide, "n1").allocation),
        ("a", place),
    ]


@st.composite
def crowded(draw: st.DrawFn) -> Snapshot:
    """Draw machines on which jobs run that have all saved their work, and others that wait."""
    sizes = {f"n{number}": draw(st.integers(2, 6)) for number in range(1, draw(st.integers(2, 5)))}
    left, rows = dict(sizes), list[Running]()
    for number in range(draw(st.integers(0, 8))):
        on, gpus = draw(st.sampled_from([*sizes])), draw(st.integers(1, 3))
        if left[on] >= gpus:
            left[on] -= gpus
            one = job(f"r{number}", gpus=gpus, checkpoint_every_ms=1_000 * draw(st.integers(1, 90)))
            rows.append(running(one, on, started_at_ms=LONG_AGO_MS))
    waiting = [
        job(
            f"w{number}",
            groups=[group(count=draw(st.integers(1, 3)), gpus=draw(st.integers(1, 6)))],
        )
        for number in range(draw(st.integers(1, 4)))
    ]
    nodes = [node(name, gpus=gpus) for name, gpus in sizes.items()]
    nobody_leaves = Preemption(priority=False, reclaim=False)
    rules = replace(WANTED, preemption=nobody_leaves)
    return snapshot_of(nodes, waiting, rows, rules=rules)


@given(world=crowded())
def test_whoever_is_moved_has_a_place_again_when_all_have_started(world: Snapshot) -> None:
    after, plan = world, schedule(world)
    while plan.decisions:
        assert not any(isinstance(one, Release) for one in plan.decisions)
        after = carried_out(after, plan)
        plan = schedule(after)
    for name, row in world.running.items():
        assert after.running[name].allocation.workers == row.allocation.workers
