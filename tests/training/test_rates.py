"""The learning rate follows the batch, by rule, without a jump."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeway.errors import InvalidInput
from makeway.training.rates import RULES, Noise, Ramp, steady, target


@pytest.mark.parametrize(
    "rule, factor", [("fixed", 1.0), ("linear", 4.0), ("sqrt", 2.0), ("adascale", 3.0)]
)
def test_a_batch_four_times_as_large(rule: str, factor: float) -> None:
    assert target(rule, 4.0, gain=3.0) == factor


def test_a_rule_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(InvalidInput, match="'linaer' is no rule") as caught:
        target("linaer", 2.0)
    assert all(rule in caught.value.hint for rule in RULES)


def test_a_change_is_reached_after_half_an_epoch_or_a_hundred_steps_whichever_is_longer() -> None:
    long_epoch = steady(1.0).turned(2.0, samples=1_000, batch=10, epoch=50_000)
    assert (long_epoch.since, long_epoch.until) == (1_000, 26_000)
    short_epoch = steady(1.0).turned(2.0, samples=1_000, batch=10, epoch=500)
    assert short_epoch.until == 2_000
    assert short_epoch.at(1_500) == pytest.approx(1.5)


def test_a_second_change_goes_on_from_where_the_first_has_come_to() -> None:
    first = Ramp(1.0, 3.0, 0, 100)
    second = first.turned(1.0, samples=50, batch=1, epoch=200)
    assert second.at(50) == pytest.approx(2.0)
    assert second.turned(1.0, samples=80, batch=1, epoch=200) is second


@given(st.floats(0.5, 64), st.floats(0.5, 64), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_ramp_never_leaves_its_two_ends(a: float, b: float, since: int, at: int) -> None:
    ramp = steady(a).turned(b, since, 32, 10_000)
    assert min(a, b) - 1e-9 <= ramp.at(at) <= max(a, b) + 1e-9


def test_noisy_gradients_gain_from_a_larger_batch_and_exact_ones_do_not() -> None:
    exact, noisy = Noise(), Noise()
    for _ in range(50):
        exact = exact.seen([1.0] * 8, 1.0, 8.0)
        noisy = noisy.seen([1.0] * 8, 1 / 8, 8.0)  # eight gradients that have nothing in common
    assert exact.gain(8.0) == pytest.approx(1.0)
    assert noisy.gain(8.0) == pytest.approx(8.0)


def test_the_gain_is_what_signal_and_noise_say() -> None:
    rng = random.Random(1)
    size, scale, signal, spread = 200, 4, 0.05, 1.0
    noise = Noise()
    for _ in range(400):
        gradients = [[signal + rng.gauss(0, spread) for _ in range(size)] for _ in range(scale)]
        mean = [sum(column) / scale for column in zip(*gradients, strict=True)]
        norms = [sum(value * value for value in one) for one in gradients]
        noise = noise.seen(norms, sum(value * value for value in mean), float(scale))
    square, variance = size * signal**2, size * spread**2
    assert noise.gain(scale) == pytest.approx(
        (variance + square) / (variance / scale + square), rel=0.05
    )


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=8), st.floats(0, 1e6), st.floats(1, 64))
def test_the_gain_is_never_below_one_nor_above_the_scale(
    norms: list[float], mean: float, scale: float
) -> None:
    gain = Noise().seen(norms, mean, scale).gain(scale)
    assert 1.0 <= gain <= scale


def test_what_is_not_finite_teaches_nothing() -> None:
    known = Noise().seen([1.0, 3.0], 1.0, 2.0)
    assert known.seen([math.nan, 1.0], 1.0, 2.0) == known
    assert known.seen([1.0, 2.0], math.inf, 2.0) == known
    assert known.seen([1.0], 1.0, 2.0) == known
