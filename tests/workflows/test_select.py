"""Which candidates a selection takes, and what it says of those that it does not take."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeway.errors import InvalidInput
from makeway.model.phase import ExecutionPhase as E
from makeway.model.workflow import Execution, Selection, SelectTop
from makeway.workflows.select import select_top

Found = float | E | None


def chosen_of(
    found: dict[str, Found], k: int = 2, minimum: float | None = None, mode: str = "max"
) -> Selection:
    """Select among candidates with these accuracies; a phase stands for one that has none."""
    wanted = SelectTop(candidates=tuple(found), metric="accuracy", k=k, minimum=minimum, mode=mode)
    return select_top(wanted, {key: execution(key, value) for key, value in found.items()})


def execution(key: str, found: Found) -> Execution:
    phase = found if isinstance(found, E) else E.SUCCEEDED
    metrics = {} if isinstance(found, E) or found is None else {"accuracy": found}
    return Execution(id=f"r.{key}", run="r", key=key, phase=phase, metrics=metrics)


def whys(selection: Selection) -> dict[str, str]:
    return {ranked.candidate: ranked.why for ranked in selection.ranking}


def test_the_best_are_taken_best_first() -> None:
    assert chosen_of({"a": 0.91, "b": 0.95, "c": 0.93}).chosen == ("b", "c")


def test_fewer_than_wanted_may_be_good_enough() -> None:
    assert chosen_of({"a": 0.85, "b": 0.95, "c": 0.89}, minimum=0.9).chosen == ("b",)
    assert chosen_of({"a": 0.85, "b": 0.80}, minimum=0.9).chosen == ()


def test_the_minimum_itself_is_good_enough_and_nothing_is_rounded() -> None:
    below = math.nextafter(0.9, 0)
    assert chosen_of({"a": 0.9, "b": below}, minimum=0.9).chosen == ("a",)


def test_equals_are_taken_in_the_order_of_their_names() -> None:
    assert chosen_of({"c": 0.9, "a": 0.9, "b": 0.9}).chosen == ("a", "b")


def test_where_less_is_better_the_least_are_taken() -> None:
    found: dict[str, Found] = {"a": 0.3, "b": 0.1, "c": 0.2}
    assert chosen_of(found, mode="min").chosen == ("b", "c")
    assert chosen_of(found, mode="min", minimum=0.15).chosen == ("b",)


def test_an_output_that_was_reused_counts_like_any_other() -> None:
    cached = Execution(id="r.a", run="r", key="a", phase=E.CACHED, metrics={"accuracy": 0.9})
    wanted = SelectTop(candidates=("a",), metric="accuracy", k=1)
    assert select_top(wanted, {"a": cached}).chosen == ("a",)


def test_every_candidate_is_in_the_ranking_with_the_reason() -> None:
    found: dict[str, Found] = {
        "best": 0.97, "second": 0.95, "third": 0.93, "low": 0.5,
        "none": None, "nan": math.nan, "inf": math.inf, "failed": E.FAILED, "gone": E.OMITTED,
    }  # fmt: skip
    assert whys(chosen_of(found, k=2, minimum=0.9)) == {
        "best": "place 1 of the 2 wanted",
        "second": "place 2 of the 2 wanted",
        "third": "good enough, but number 3, after the 2 wanted",
        "low": "below the minimum of 0.9",
        "none": "it recorded no accuracy",
        "nan": "its accuracy is nan",
        "inf": "its accuracy is inf",
        "failed": "it failed",
        "gone": "it was omitted",
    }
    above = chosen_of({"a": 0.5}, minimum=0.1, mode="min")
    assert whys(above) == {"a": "above the maximum of 0.1"}


def test_per_cent_against_a_fraction_is_an_error_and_not_a_pass() -> None:
    with pytest.raises(InvalidInput, match=r"accuracy is 91, but the minimum is 0.9") as raised:
        chosen_of({"a": 0.95, "b": 91.0}, minimum=0.9)
    assert raised.value.where == "b"


@pytest.mark.parametrize(
    "minimum,mode", [(None, "max"), (90.0, "max"), (0.9, "min"), (-5.0, "max")]
)
def test_large_values_are_fine_where_they_can_be_meant(minimum: float | None, mode: str) -> None:
    chosen_of({"a": 91.0}, minimum=minimum, mode=mode)


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.one_of(st.floats(0, 1), st.just(math.nan))),
    st.integers(1, 4),
    st.one_of(st.none(), st.floats(0, 1)),
)
def test_no_loser_is_better_than_a_winner(
    found: dict[str, Found], k: int, minimum: float | None
) -> None:
    selection = chosen_of(found, k, minimum)
    usable = {key: value for key, value in found.items() if not math.isnan(value)}  # type: ignore[arg-type]  # the strategy draws floats alone
    enough = {key: value for key, value in usable.items() if minimum is None or value >= minimum}  # type: ignore[operator]  # likewise
    best = sorted(enough, key=lambda key: (-enough[key], key))[:k]  # type: ignore[operator]  # likewise
    assert list(selection.chosen) == best
    assert {ranked.candidate for ranked in selection.ranking} == {*found}
