"""Slow workers: nobody is named by chance, by simulation with seeds, and who is slow is."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from makeway.health.judge import judge
from makeway.health.remedy import remedy
from makeway.health.rules.straggler import LIKELY, SURE, WARN, ratios_of, windows_of
from makeway.model.incident import Incident, Point, Replaced, Request, WorkerSeen
from makeway.model.record import Cause

STEPS = 60
Noise = Callable[[Random], float]


def lognormal(sigma: float) -> Noise:
    return lambda random: 100 * random.lognormvariate(0, sigma)


def spikes(random: Random) -> float:
    return 100 * random.lognormvariate(0, 0.1) * (20 if random.random() < 0.02 else 1)


def share_above(noise: Noise, workers: int, ratio: float, runs: int) -> float:
    """Give the part of windows in which any of the workers seems slower than the ratio."""
    above = windows = 0
    for seed in range(runs):
        random = Random(seed)
        known = {rank: windows_of([noise(random) for _ in range(STEPS)]) for rank in range(workers)}
        every = [ratios_of(known, rank) for rank in known]
        for at in range(len(known[0])):
            windows += 1
            above += any(one[at] > ratio for one in every)
    return above / windows


@pytest.mark.parametrize("noise, workers, ratio, most", [
    (lognormal(0.3), 3, LIKELY, 0.0), (lognormal(0.3), 64, LIKELY, 0.0),
    (lognormal(0.6), 8, WARN, 0.005), (lognormal(0.6), 8, SURE, 0.0),
    (spikes, 8, WARN, 0.0), (spikes, 8, SURE, 0.0),
])  # fmt: skip
def test_chance_names_nobody(noise: Noise, workers: int, ratio: float, most: float) -> None:
    runs = 20 if workers == 64 else 200
    assert share_above(noise, workers, ratio, runs) <= most


def gang(slow: float, workers: int = 4, steps: int = STEPS, **known: Any) -> Incident:
    random = Random(3)
    samples = {
        rank: {
            "local_ms": tuple(
                Point(at, at + 1.0, random.gauss(100, 5) * (slow if rank == 1 else 1))
                for at in range(steps)
            )
        }
        for rank in range(workers)
    }
    return Incident(
        now_s=steps + 1.0,
        request=known.pop("request", Request(elastic=True)),
        workers=tuple(WorkerSeen(rank=rank, node=f"n{rank}") for rank in range(workers)),
        worker_samples=samples,
        **known,
    )


def done(part: float) -> dict[str, tuple[Point, ...]]:
    return {"progress": (Point(0, 60.0, part),)}


@pytest.mark.parametrize("incident, cause, action", [
    (gang(1.5), Cause.NONE, "continue"),
    (gang(2.5), Cause.DEGRADED, "continue"),
    (gang(5), Cause.DEGRADED, "continue"),  # whether it pays is not known
    (gang(5, samples=done(0.01)), Cause.STRAGGLER, "replace_worker"),
    (gang(5, samples=done(0.5)), Cause.DEGRADED, "continue"),
    (gang(12), Cause.STRAGGLER, "replace_worker"),
    (gang(12, steps=20), Cause.NONE, "continue"),  # one window is not enough
    (gang(12, steps=30), Cause.STRAGGLER, "replace_worker"),
    (gang(12, samples=done(0.99)), Cause.STRAGGLER, "continue"),
    (gang(12, request=Request(elastic=False)), Cause.STRAGGLER, "continue"),
    (gang(12, request=Request(workers_min=2, workers_max=4)), Cause.STRAGGLER, "replace_worker"),
    (gang(12, workers=2), Cause.NONE, "continue"),  # either of two may be the odd one
    (gang(12, replaced=(Replaced(rank=0, node="n0", at_s=20.0),)), Cause.DEGRADED, "continue"),
    (gang(20, replaced=(Replaced(rank=0, node="n0", at_s=20.0),)), Cause.STRAGGLER, "continue"),
    (gang(12, replaced=(Replaced(rank=1, node="n1", at_s=5.0),)), Cause.DATA_SKEW, "rebalance"),
])  # fmt: skip
def test_a_slow_worker_is_judged_by_its_windows(
    incident: Incident, cause: Cause, action: str
) -> None:
    found = judge(incident)
    assert (found.diagnosis.cause, remedy(found).action) == (cause, action)


def test_a_worker_that_became_slow_is_named_also_in_a_pair() -> None:
    pair = gang(1, workers=2, steps=80)
    late = tuple(
        replace(one, value=one.value * (15 if at >= 40 else 1))
        for at, one in enumerate(pair.worker_samples[1]["local_ms"])
    )
    pair.worker_samples[1]["local_ms"] = late
    assert judge(pair).diagnosis.rank == 1
