"""What a data set adds is told with how sure that is, and a model is outdone only by a better one."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeway.lineage.worth import Interval, Trial, interval, lifts, outdone


def trial(recipe: str, value: float, **slots: str) -> Trial:
    return Trial(step=f"r.{recipe}", recipe=recipe, slots=slots, value=value)


def lift(trials: list[Trial], digest: str) -> Interval:
    return lifts(trials).get(digest, Interval(n=0))


def pairs(*differences: float) -> list[Trial]:
    """Give two trials a recipe: with the data set `a`, and with `b` in its place."""
    return [
        one
        for place, difference in enumerate(differences)
        for one in (
            trial(f"recipe {place}", 0.5 + difference, data="a"),
            trial(f"recipe {place}", 0.5, data="b"),
        )
    ]


def test_the_lift_is_the_mean_difference_of_siblings_with_its_interval() -> None:
    found = lift(pairs(0.1, 0.2, 0.3, 0.2, 0.2), "a")
    # By the book: mean 0.2, standard error 0.0316, t(4) = 2.776.
    assert found.n == 5
    bounds = [found.low, found.mean, found.high]
    assert bounds == pytest.approx([0.1122, 0.2, 0.2878], abs=1e-4)
    assert lift(pairs(0.1, 0.2, 0.3, 0.2, 0.2), "b").mean == pytest.approx(-0.2)


def test_of_too_few_pairs_nothing_is_said() -> None:
    found = lift(pairs(0.1, 0.2, 0.3, 0.2), "a")
    assert (found.n, found.mean, found.low, found.high) == (4, None, None, None)
    assert lift([], "a").n == 0


def test_trials_that_differ_in_more_than_the_data_set_are_no_siblings() -> None:
    alone = [trial("x", 0.9, data="a"), trial("y", 0.5, data="b")]
    other_too = [trial("x", 0.9, data="a", names="p"), trial("x", 0.5, data="b", names="q")]
    assert lift(alone, "a").n == 0
    assert lift(other_too, "a").n == 0


def test_a_recipe_that_was_tried_often_is_one_pair() -> None:
    often = [trial("x", 0.9, data="a")] * 10 + [trial("x", 0.5, data="b")] * 10
    assert lift(often, "a").n == 1


@given(
    st.lists(st.tuples(st.integers(0, 6), st.sampled_from("abc"), st.integers(-5, 5)), max_size=40)
)
def test_lifts_are_the_differences_of_means_recipe_by_recipe(
    tries: list[tuple[int, str, int]],
) -> None:
    found = lifts([trial(str(recipe), value, data=data) for recipe, data, value in tries])
    for data in {one for _, one, _ in tries}:
        differences = []
        for recipe in range(7):
            own = [v for r, d, v in tries if r == recipe and d == data]
            others = [v for r, d, v in tries if r == recipe and d != data]
            if own and others:
                differences.append(statistics.mean(own) - statistics.mean(others))
        assert found[data].n == len(differences)
        if len(differences) >= 5:
            assert found[data].mean == pytest.approx(statistics.mean(differences))


@given(st.lists(st.floats(-1, 1), min_size=5, max_size=60))
def test_an_interval_holds_its_mean(differences: list[float]) -> None:
    found = interval(differences)
    assert found.mean is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.mean <= found.high


def test_a_point_is_outdone_by_one_that_is_better_in_something_and_worse_in_nothing() -> None:
    points = [(1.0, 5.0), (2.0, 5.0), (2.0, 1.0), (1.0, 5.0), (None, 0.0)]
    assert outdone(points) == [False, True, False, False, True]


def test_what_only_one_of_two_has_is_not_compared() -> None:
    assert outdone([(1.0, None), (2.0, 3.0)]) == [False, True]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12))
def test_somebody_is_always_left(points: list[tuple[int, int]]) -> None:
    assert not all(outdone(points))
