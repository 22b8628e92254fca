"""Whether it is worth it: how often curves of each kind are flagged, by simulation with seeds."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import pytest

from makeway.health.outlook import outlook_of
from makeway.health.rules.scene import scene_of
from makeway.health.trend import rising
from makeway.model.incident import Ended, Goal, Incident, Point

BUDGET, RUNS = 50, 300


def saturating(random: Random, at: int, noise: float) -> float:
    """Rise to 90 of 100, most of it in the first half."""
    return 90 * (1 - math.exp(-3.0 * (at + 1) / BUDGET)) + random.gauss(0, noise)


def flat(random: Random, at: int, noise: float) -> float:
    del at
    return 30 + random.gauss(0, noise)


def falling(random: Random, at: int, noise: float) -> float:
    return 30 - 3 * at / (0.4 * BUDGET) + random.gauss(0, noise)


def verdict(values: list[float], done: float, *, mode: str = "max", dead: bool = False,
            target: float | None = None) -> str:  # fmt: skip
    points = tuple(Point(at, at + 1.0, value) for at, value in enumerate(values))
    progress = tuple(
        Point(at, at + 1.0, done * (at + 1) / len(values)) for at in range(len(values))
    )
    incident = Incident(
        now_s=len(values) + 1.0,
        goal=Goal(metric="metric", mode=mode, target=target),
        samples={"metric": points, "progress": progress},
        ended=Ended(exit_code=1) if dead else None,
    )
    return outlook_of(scene_of(incident)).outlook.verdict


def flagged(curve: Callable[[Random, int, float], float], noise: float, part: float) -> float:
    """Give how many of the curves are said not to improve, once this part of them is done."""
    count = 0
    for seed in range(RUNS):
        random = Random(seed)
        values = [curve(random, at, noise) for at in range(round(part * BUDGET))]
        count += verdict(values, part) == "not_improving"
    return count / RUNS


@pytest.mark.parametrize(
    "curve, noise, part, least, most",
    [
        (saturating, 0.3, 0.4, 0.0, 0.0),
        (saturating, 0.3, 0.6, 0.0, 0.0),
        (saturating, 3.0, 0.4, 0.0, 0.02),
        (flat, 0.1, 0.4, 0.85, 1.0),
        (flat, 0.1, 0.6, 0.85, 1.0),
        (falling, 0.3, 0.4, 0.99, 1.0),
    ],
)
def test_curves_are_flagged_as_often_as_they_should_be(
    curve: Callable[[Random, int, float], float],
    noise: float,
    part: float,
    least: float,
    most: float,
) -> None:
    assert least <= flagged(curve, noise, part) <= most


def test_a_loss_with_a_spike_that_heals_is_not_flagged() -> None:
    values = [2.20 + 2.0 * math.exp(-at / 6) for at in range(30)]
    for at, spike in ((22, 5.10), (23, 4.0), (24, 2.9)):
        values[at] = spike
    assert verdict(values, 0.6, mode="min") != "not_improving"


def test_most_curves_that_reached_their_goal_early_have_converged() -> None:
    count = 0
    for seed in range(RUNS):
        random = Random(seed)
        values = [95 * (1 - math.exp(-at / 3)) + random.gauss(0, 0.3) for at in range(44)]
        count += verdict(values, 0.88, target=90) == "converged"
    assert count / RUNS > 0.85


def test_nothing_is_said_before_a_fifth_and_a_window_are_done() -> None:
    assert verdict([30.0] * 19, 0.38) == "unknown"
    assert verdict([30.0] * 20, 0.40) == "not_improving"


@pytest.mark.parametrize("values, word", [
    ([30, 27], "unknown"), ([30, 29, 27], "not_improving"), ([30, 40, 50], "promising"),
    ([30, 30, 30], "not_improving"),
])  # fmt: skip
def test_who_has_died_is_judged_by_three_evaluations(values: list[float], word: str) -> None:
    found = verdict(values, 0.0001, dead=True)
    assert found == word


def test_a_trend_is_counted_exactly_where_values_are_few() -> None:
    # Of the 24 orders of four values one rises throughout; half of it counts as not below.
    assert rising([1, 2, 3, 4]) == pytest.approx(1 - 1 / 48)
    assert rising([4, 3, 2, 1]) == pytest.approx(1 / 48)
    assert rising([2, 2, 2, 2]) == 0.5
    assert rising([]) == rising([1]) == 0.5


def test_chance_rises_as_often_as_the_level_says() -> None:
    random = Random(7)
    for count in (8, 30):
        rates = [rising([random.random() for _ in range(count)]) > 0.95 for _ in range(4000)]
        assert sum(rates) / len(rates) == pytest.approx(0.05, abs=0.015)
