"""The figures of a log, counted by hand for worlds that are small enough."""

from __future__ import annotations

from random import Random

import pytest

from makeway.model import event as ev
from makeway.model.cluster import Queue
from makeway.model.effect import LaunchWorkers
from makeway.model.phase import JobPhase
from makeway.policy.schedule import schedule
from makeway.report import Report, jain, report
from makeway.sim.bodies import Fate
from makeway.sim.faults import Rates, troubled
from makeway.sim.workload import Shape, as_long_as, bring, generate
from makeway.sim.world import Options, World
from tests import builders
from tests.engine.house import spec


def fate(order: LaunchWorkers, _rank: int) -> Fate:
    """Run as many seconds as the name of the job ends with; `fails` once, after 2 seconds."""
    if order.job.startswith("fails") and order.number == 1:
        return Fate(lasts_ms=2_000, code=1)
    return Fate(lasts_ms=1_000 * int(order.job.rpartition("-")[2]))


def figures_of(*happenings: tuple[int, ev.Event], cpus: int = 4) -> Report:
    """Run a world of one machine in which this happens, at these seconds."""
    world = World(schedule, fate, None, Options(checked=True))
    world.at(0, ev.NodeJoined(node=builders.node("n1", cpus=cpus)))
    for at_s, happening in happenings:
        world.at(at_s * 1000, happening)
    world.run()
    return report(world.log)


def job(name: str, cpus: int = 4, user: str = "ada", queue: str = "ada", **more: int) -> ev.Event:
    return ev.JobSubmitted(job=name, spec=spec(cpus=cpus, user=user, queue=queue, **more))


def test_waits_and_completion_times_count_from_submission() -> None:
    found = figures_of((0, job("a-10")), (2, job("b-5")), (20, job("c-1")))
    assert [figures.wait_ms for figures in found.jobs] == [0, 8_000, 0]
    assert [figures.completion_ms for figures in found.jobs] == [10_000, 13_000, 1_000]
    assert found.mean_wait_ms == pytest.approx(8_000 / 3)
    assert found.mean_completion_ms == pytest.approx(8_000)
    assert (found.p50_completion_ms, found.p99_completion_ms) == (10_000, 13_000)
    assert found.makespan_ms == 21_000


def test_use_is_what_was_held_of_what_was_there_from_the_first_submission_to_the_last_end() -> None:
    found = figures_of((5, job("a-10", cpus=2)), (25, job("b-10", cpus=4)))
    assert found.utilisation == pytest.approx((2 * 10 + 4 * 10) / (4 * 30))


def test_a_machine_counts_only_while_it_is_there() -> None:
    joined = ev.NodeJoined(node=builders.node("n2", cpus=4))
    lost = ev.NodeLost(name="n2")
    found = figures_of((0, job("a-20")), (5, joined), (10, lost))
    assert found.utilisation == pytest.approx((4 * 20) / (4 * 20 + 4 * 5))


def test_what_an_attempt_did_that_came_to_nothing_is_lost() -> None:
    found = figures_of((0, job("fails-10", workers=2, cpus=1, retries=1)))
    [figures] = found.jobs
    assert (figures.attempts, figures.retries, found.retries) == (2, 1, 1)
    assert figures.phase is JobPhase.SUCCEEDED
    assert (figures.lost_worker_ms, found.lost_worker_ms) == (4_000, 4_000)
    assert figures.completion_ms is not None
    assert figures.completion_ms > 12_000  # the backoff counts as well


def test_a_job_that_did_not_end_well_has_no_completion_time() -> None:
    cancel = ev.JobCancelRequested(job="a-10")
    found = figures_of((0, job("a-10")), (1, job("huge-1", cpus=9)), (3, cancel))
    assert [figures.phase.value for figures in found.jobs] == ["cancelled", "failed"]
    assert (found.mean_completion_ms, found.p99_completion_ms) == (None, None)
    assert [figures.wait_ms for figures in found.jobs] == [0, None]
    assert found.lost_worker_ms == 0  # it was the user's wish


def test_a_log_in_which_nothing_happens_has_no_figures() -> None:
    found = report([])
    assert (found.jobs, found.events, found.makespan_ms) == ((), 0, 0)
    assert (found.mean_wait_ms, found.utilisation, found.jain) == (None, None, None)


def test_users_who_get_what_their_queues_promise_are_treated_evenly() -> None:
    queues = ev.QueuesConfigured(queues=(Queue(path="big", weight=3), Queue(path="small")))
    even = figures_of(
        (0, queues),
        (0, job("a-30", cpus=1, user="ada", queue="big")),
        (0, job("b-10", cpus=1, user="bob", queue="small")),
    )
    assert even.jain == pytest.approx(1)
    uneven = figures_of(
        (0, queues),
        (0, job("a-10", cpus=1, user="ada", queue="big")),
        (0, job("b-30", cpus=1, user="bob", queue="small")),
    )
    # ada has 10 of 3/4, bob 30 of 1/4: 13.3 and 120.
    assert uneven.jain == pytest.approx((40 / 3 + 120) ** 2 / (2 * ((40 / 3) ** 2 + 120**2)))


def test_users_of_one_queue_share_its_part() -> None:
    even = figures_of(
        (0, job("a-10", cpus=1, user="ada", queue="lab")),
        (0, job("b-10", cpus=1, user="bob", queue="lab")),
        (0, job("c-20", cpus=1, user="cyd", queue="other")),
    )
    assert even.jain == pytest.approx(1)


@pytest.mark.parametrize(
    "values,index",
    [([1, 1, 1, 1], 1.0), ([1, 0, 0, 0], 0.25), ([3, 1], 0.8), ([], None), ([0], None)],
)
def test_the_index_of_evenness(values: list[float], index: float | None) -> None:
    assert jain(values) == (index if index is None else pytest.approx(index))


def test_the_figures_of_a_large_log_agree_with_each_other() -> None:
    work = generate(Random(3), Shape(jobs=60, retries=1))
    script = troubled(as_long_as(work.durations), 3, Rates(fails=0.2))
    world = World(schedule, script, None, Options(checked=True))
    bring(world, work)
    world.run()
    found = report(world.log)
    started = sum(isinstance(entry.event, ev.AttemptStarted) for entry in world.log)
    assert found.events == len(world.log)
    assert sum(figures.attempts for figures in found.jobs) == started
    assert found.retries > 0
    assert found.lost_worker_ms > 0
    assert found.utilisation is not None
    assert 0 < found.utilisation <= 1
    assert all((figures.wait_ms or 0) >= 0 for figures in found.jobs)
