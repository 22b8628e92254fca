"""In the other world too, elastic jobs change their workers, and their work goes at that pace."""

from __future__ import annotations

from typing import Any

import pytest

from makeway.model import event as ev
from makeway.model.cluster import Allocation
from makeway.model.job import JobSpec, WorkerGroup
from makeway.policy.plan import Plan, Preempt, Resize, Start
from makeway.policy.snapshot import Snapshot
from makeway.sim.bodies import Fate, Script, WorkerFails
from makeway.sim.course import Course
from makeway.sim.world import Options, World
from tests import builders
from tests.engine.hand import on
from tests.engine.house import spec
from tests.sim.test_world import all_alike, told

GROUP = WorkerGroup(count_min=1, count_max=4, per_worker=builders.amounts(cpus=1))
ENDS = (ev.WorkerExited, ev.JobFinished)


class Timed:
    """Start what waits on n1, and do to `a` what is planned for an instant."""

    def __init__(self, first: int, changes: dict[int, Allocation | str]) -> None:
        self.first, self.changes = first, changes

    def __call__(self, snapshot: Snapshot) -> Plan:
        now_ms = snapshot.now_ms
        starts = [
            Start(job=job.id, allocation=on(f"n1*{self.first}")) for job in snapshot.waiting()
        ]
        change = self.changes.get(now_ms) if "a" in snapshot.running else None
        decisions: list[Start | Resize | Preempt] = [*starts]
        if isinstance(change, Allocation):
            if snapshot.running["a"].allocation != change and not snapshot.leaving:
                decisions.append(Resize(job="a", allocation=change))
        elif change is not None and not snapshot.leaving:
            del self.changes[now_ms]
            decisions.append(Preempt(job="a", beneficiary="b", rule=change))
        later = [at_ms for at_ms in self.changes if at_ms > now_ms]
        return Plan(
            basis=snapshot.basis, decisions=tuple(decisions), wake_at_ms=min(later, default=None)
        )


def world_of(policy: Timed, course: Course, script: Script, **options: object) -> World:
    known = {"checked": True, "courses": {"a": course}} | options
    world = World(policy, script, options=Options(**known))  # type: ignore[arg-type]  # any option
    world.at(0, ev.NodeJoined(node=builders.node("n1", cpus=8)))
    return world


def elastic(**known: Any) -> JobSpec:
    return spec(groups=(GROUP,), **known)


@pytest.mark.parametrize("crashes", [(), range(1, 99)], ids=str)
def test_a_job_grows_and_shrinks_and_ends_when_its_work_is_done(crashes: object) -> None:
    policy = Timed(2, {10_000: on("n1*4"), 20_000: on("n1")})
    course = Course(60_000, 4)
    world = world_of(policy, course, all_alike(exit_ms=3_000), crashes=crashes)
    world.at(0, ev.JobSubmitted(job="a", spec=elastic(grace_ms=5_000)))
    world.run()
    # 10 s at half its pace, 10 s at full pace, and what is left, 45 s, at a quarter of it.
    assert told(world, ev.AttemptResized, *ENDS) == [
        "10 AttemptResized a/1 on n1*4",
        "20 AttemptResized a/1 on n1",
        "20 WorkerExited a rank 1: signal 9",  # nobody has given them time to leave
        "20 WorkerExited a rank 2: signal 9",
        "20 WorkerExited a rank 3: signal 9",
        "200 WorkerExited a rank 0: code 0",
        "200 JobFinished a succeeded",
    ]


def test_an_evicted_job_goes_on_from_its_last_checkpoint() -> None:
    course = Course(60_000, 4, checkpoint_every_ms=10_000)
    world = world_of(Timed(4, {25_000: "priority"}), course, all_alike())
    world.at(0, ev.JobSubmitted(job="a", spec=elastic()))
    world.run()
    assert told(world, ev.AttemptEnded, ev.JobFinished) == [
        "25 AttemptEnded a/1: PREEMPTED",
        "65 AttemptEnded a/2: NONE",
        "65 JobFinished a succeeded",
    ]


def test_a_worker_that_fails_takes_the_attempt_with_it() -> None:
    course = Course(60_000, 4)
    world = world_of(Timed(4, {}), course, all_alike())
    world.at(0, ev.JobSubmitted(job="a", spec=elastic(retries=1)))
    world.at(30_000, WorkerFails("a", 1))
    world.at(30_000, WorkerFails("a", 9))
    world.at(30_000, WorkerFails("nobody", 0))
    world.run()
    lines = told(world, ev.AttemptEnded, ev.JobFinished)
    assert lines[0] == "30 AttemptEnded a/1: UNKNOWN"
    assert lines[-1].endswith("JobFinished a succeeded")
    assert world.now_ms >= 90_000


def test_a_job_that_ran_before_ends_when_it_would_have() -> None:
    def fate(_order: object, _rank: int) -> Fate:
        return Fate(lasts_ms=60_000)

    world = world_of(Timed(1, {}), Course(60_000, 4), fate)
    for name in ("a", "b"):  # one with a course, one without
        world.at(0, ev.JobSubmitted(job=name, spec=elastic()))
        adopted = ev.AttemptAdopted(job=name, allocation=on("n1*4"), started_at_ms=-20_000)
        world.at(0, adopted)
    world.run()
    assert told(world, ev.JobFinished) == [
        "40 JobFinished a succeeded",
        "40 JobFinished b succeeded",
    ]
    assert world.refused == []


def test_work_without_an_end_goes_on_until_somebody_ends_it() -> None:
    world = world_of(Timed(1, {}), Course(None, 4), all_alike())
    world.at(0, ev.JobSubmitted(job="a", spec=elastic()))
    world.at(500_000, ev.JobCancelRequested(job="a"))
    world.run()
    assert told(world, ev.JobFinished) == ["500 JobFinished a cancelled"]
