"""Test the rivals: strict FIFO, FIFO that passes over what does not fit, and the names."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from makeway.cli.simulate import open_world
from makeway.errors import InvalidInput
from makeway.model.phase import JobPhase
from makeway.policy.choose import POLICIES, policy_named
from makeway.policy.rivals import drf, fifo, fit, priority
from makeway.policy.schedule import schedule
from makeway.report import Report, report
from makeway.sim.workload import Shape, as_long_as, bring, generate
from makeway.sim.world import Options, World
from tests.tables import check

FIFO = """
S1: in the order of submission, whatever the class
nodes    n1 cpu 2
queued   a main cpu 1 prio low | b main cpu 1 | c main cpu 1 prio high
expect   start a on n1 | start b on n1 | hold c InsufficientFree by a b

S1: a later job waits for the earlier ones, also if it would fit
nodes    n1 cpu 4
running  x main n1 cpu 3
queued   a main cpu 2 | b main cpu 1 | c main cpu 1 prio high
expect   hold a InsufficientFree by x | hold b ReservedForOther by a
         hold c ReservedForOther by a
says     b: needs 1 worker of 1 cpu; a was submitted before it and comes first

who can never fit or may not start yet holds up nobody
nodes    n1 cpu 4
queued   a main cpu 5 | b main cpu 1 backoff 5s | c main cpu 1 | d main cpu 4 | e main cpu 9
expect   start c on n1 | reject a NoNodeFits | reject e NoNodeFits | hold b Backoff
         hold d InsufficientFree by c

the head says what is special about it
nodes    n1..n2 cpu 2
running  x main n1 cpu 1 | y main n2 cpu 1
queued   a main cpu 2 | b main gang 4 cpu 1
expect   hold a Fragmented by x y | hold b ReservedForOther by a

no node yet
queued   a main cpu 1 | b main cpu 1
expect   hold a InsufficientFree | hold b ReservedForOther by a
"""

FIT = """
in the order of submission, but what does not fit is passed over
nodes    n1 cpu 4
running  x main n1 cpu 2
queued   a main cpu 3 | b main cpu 1 | c main cpu 2 prio high | d main cpu 1 | e main cpu 1
         f main cpu 1
expect   start b on n1 | start d on n1 | hold a InsufficientFree by x b d
         hold c InsufficientFree by x b d | hold e InsufficientFree | hold f InsufficientFree

who can never fit or may not start yet
nodes    n1 cpu 4
queued   a main cpu 5 | b main cpu 1 backoff 5s | c main cpu 1
expect   start c on n1 | reject a NoNodeFits | hold b Backoff
"""


PRIORITY = """
a higher class takes from the lowest below it, and of that from whoever runs the shortest
nodes    n1 cpu 3
running  x main n1 cpu 1 prio low age 60s | y main n1 cpu 1 prio low age 5s | z main n1 cpu 1
queued   a main cpu 1 prio high | b main cpu 1 prio low
expect   preempt y for a by priority | reserve a on n1 | hold a WaitingForEviction by y
         hold b InsufficientFree

who may not be preempted stays
nodes    n1 cpu 1
running  x main n1 cpu 1 prio low firm yes
queued   a main cpu 1 prio high
expect   hold a InsufficientFree by x
"""

DRF = """
the queue that holds the smallest part of what it holds most of comes first
nodes    n1 cpu 10 gpu 10
running  x one n1 cpu 4 | y two n1 gpu 3
queued   a one cpu 1 | b two gpu 1 | c two gpu 1 | d one cpu 1
expect   start b on n1 | start a on n1 | start c on n1 | start d on n1
"""


@pytest.mark.parametrize(
    "text", PRIORITY.strip().split("\n\n"), ids=lambda text: text.split("\n")[0]
)
def test_priority(text: str) -> None:
    check(text, priority)


@pytest.mark.parametrize("text", DRF.strip().split("\n\n"), ids=lambda text: text.split("\n")[0])
def test_drf(text: str) -> None:
    check(text, drf)


@pytest.mark.parametrize("text", FIFO.strip().split("\n\n"), ids=lambda text: text.split("\n")[0])
def test_fifo(text: str) -> None:
    check(text, fifo)


@pytest.mark.parametrize("text", FIT.strip().split("\n\n"), ids=lambda text: text.split("\n")[0])
def test_fit(text: str) -> None:
    check(text, fit)


def test_policies_are_found_by_name() -> None:
    assert policy_named("fair") is schedule
    assert {name: policy_named(name) for name in POLICIES} == POLICIES


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(
        InvalidInput, match="'lifo'; there are drf, fair, fifo, fit, las, priority, srsf"
    ):
        policy_named("lifo")


MIXED = """
cluster: {nodes: [{name: n, count: 3, gpus: 4}]}
jobs:
  - {name: long, copies: 4, queue: a, workers: 4, per_worker: {gpus: 1}, runtime: 3h, checkpoint_every: 1m}
  - {name: mid, copies: 6, at: 10m, queue: b, workers: 2, per_worker: {gpus: 1}, runtime: 20m, checkpoint_every: 1m}
  - {name: short, copies: 20, at: 20m, queue: c, per_worker: {gpus: 1}, runtime: 2m, checkpoint_every: 1m}
"""


def played(path: Path, policy: str) -> Report:
    path.write_text(MIXED)
    _, world = open_world(str(path), policy)
    world.run()
    return report(world.log)


@pytest.mark.parametrize("policy", ["fair", *POLICIES])
def test_everything_ends_under_every_policy(policy: str, tmp_path: Path) -> None:
    figures = played(tmp_path / "mixed.yaml", policy)
    assert len(figures.jobs) == 30
    assert {job.phase for job in figures.jobs} == {JobPhase.SUCCEEDED}


def test_who_knows_run_times_is_ahead_of_first_come_first_served(tmp_path: Path) -> None:
    means = {
        policy: played(tmp_path / f"{policy}.yaml", policy).mean_completion_ms or 0.0
        for policy in ("fifo", "las", "srsf")
    }
    assert means["srsf"] < means["las"] < means["fifo"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("policy", POLICIES)
def test_a_crowded_cluster_keeps_every_invariant(policy: str, seed: int) -> None:
    shape = Shape(jobs=60, load=1.3, spread=1.5, priorities=(-100, 0, 100))
    work = generate(Random(seed), shape)
    world = World(POLICIES[policy], as_long_as(work.durations), options=Options(checked=True))
    bring(world, work)
    world.run()
    assert [job.phase for job in report(world.log).jobs] == [JobPhase.SUCCEEDED] * 60
