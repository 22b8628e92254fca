"""The lower bound and the fluid share, on loads that one can work out by hand."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.fluid import Grid, fill, fluid, lags
from makeway.model.resources import GPU, Resources
from makeway.model.rules import Rules
from makeway.policy.rivals import POLICIES
from makeway.sim.bound import lower_bound_ms
from makeway.sim.replay import replay
from makeway.sim.trace import Row, machines, workload
from makeway.sim.workload import Workload


def load(*rows: tuple[int, int, int, str]) -> Workload:
    """Make a workload of (submitted s, duration s, gpus, group/user) on 4 GPUs."""
    found = [
        Row(
            at_ms=at * 1000,
            duration_ms=lasts * 1000,
            workers=gpus,
            per_worker=Resources.of({GPU: 1000}),
            user=path.rpartition("/")[2],
            group=path.rpartition("/")[0],
        )
        for at, lasts, gpus, path in rows
    ]
    return workload(found, machines(1, 4))


def test_nobody_ends_sooner_than_it_runs() -> None:
    assert lower_bound_ms(load((0, 10, 1, "a"), (0, 20, 1, "a")).arrivals, 4) == 15_000


def test_a_full_cluster_takes_its_time() -> None:
    # Four jobs that each want all of it can only go one after the other.
    arrivals = load(*[(0, 10, 4, "a")] * 4).arrivals
    assert lower_bound_ms(arrivals, 4) == 25_000


def test_there_is_no_bound_without_jobs() -> None:
    assert lower_bound_ms((), 4) is None


@given(seed=st.integers(0, 10_000))
@pytest.mark.parametrize("policy", ["fifo", "fit", "las", "srsf"])
def test_no_policy_is_below_the_bound(policy: str, seed: int) -> None:
    rng = Random(seed)
    work = load(
        *((rng.randint(0, 60), rng.randint(1, 40), rng.randint(1, 4), "a") for _ in range(12))
    )
    bound_ms = lower_bound_ms(work.arrivals, 4)
    mean_ms = replay(work, POLICIES[policy], Rules(name=policy)).mean_completion_ms
    assert bound_ms is not None
    assert mean_ms is not None
    assert mean_ms >= bound_ms - 1e-6


def test_water_is_divided_equally_to_nobody_more_than_it_wants() -> None:
    assert fill(9, [1, 10, 10]) == [1, 4, 4]
    assert fill(30, [1, 10, 10]) == [1, 10, 10]
    assert fill(3, []) == []


def test_groups_share_equally_whatever_they_bring() -> None:
    work = load((0, 100, 4, "lab/ada"), (0, 100, 4, "shop/bob"), (0, 100, 4, "shop/eve"))
    served = fluid(work.arrivals, 4, Grid(10_000, 3))
    assert {path: course[2] for path, course in served.items()} == {
        "lab/ada": pytest.approx(40_000),
        "shop/bob": pytest.approx(20_000),
        "shop/eve": pytest.approx(20_000),
    }


def test_what_one_leaves_flows_to_the_others() -> None:
    work = load((0, 10, 1, "lab/ada"), (0, 100, 4, "shop/bob"), (20, 10, 1, "lab/ada"))
    served = fluid(work.arrivals, 4, Grid(10_000, 4))
    assert served["lab/ada"] == pytest.approx([0, 10_000, 10_000, 20_000])
    assert served["shop/bob"] == pytest.approx([0, 30_000, 70_000, 100_000])


def test_a_lag_is_the_most_that_one_was_ever_behind() -> None:
    fair = {"a": [0.0, 10.0, 20.0], "b": [5.0]}
    assert dict(lags(fair, {"a": [0.0, 4.0, 20.0]})) == {"a": 6.0, "b": 5.0}
