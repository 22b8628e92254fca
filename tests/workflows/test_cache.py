"""What a step's output is known by: the same code applied to the same inputs, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from makeway.model.record import Output
from makeway.model.resources import Resources
from makeway.model.workflow import Binding, Constant, FromStep, Many, Step, Stored
from makeway.workflows.cache import cache_key

STEP = Step(key="train", function="train", code_digest="c1", workers=2)


def stored(digest: str, codec: str = "json", **more: Any) -> Stored:
    return Stored(Output(digest=digest, codec=codec, size_bytes=1, **more))


INPUTS: dict[str, Binding] = {"lr": Constant(0.1), "data": stored("d1")}
KEY = cache_key(STEP, INPUTS)


def test_the_same_is_known_again() -> None:
    assert cache_key(STEP, dict(INPUTS)) == KEY
    assert cache_key(STEP, dict(reversed(INPUTS.items()))) == KEY


@pytest.mark.parametrize(
    "change",
    [
        {"key": "train2"},
        {"function": "train2"},
        {"code_digest": "c2"},
        {"workers": 3},
    ],
    ids=str,
)
def test_another_step_is_another(change: dict[str, Any]) -> None:
    assert cache_key(replace(STEP, **change), INPUTS) != KEY


@pytest.mark.parametrize(
    "change",
    [
        {"lr": Constant(0.2)},
        {"lr": Constant("0.1")},
        {"lr": Constant(None)},
        {"data": stored("d2")},
        {"data": stored("d1", codec="npy")},
        {"data": Constant("d1")},
        {"more": Constant(1)},
    ],
    ids=str,
)
def test_another_input_makes_another_output(change: dict[str, Binding]) -> None:
    assert cache_key(STEP, INPUTS | change) != KEY


@pytest.mark.parametrize(
    "change",
    [
        {"retries": 5},
        {"priority": 100},
        {"idempotent": False},
        {"per_worker": Resources.of({"cpu_milli": 1})},
        {"tags": {"team": "a"}},
        {"after": ("other",)},
    ],
    ids=str,
)
def test_how_a_step_is_run_does_not_change_what_it_makes(change: dict[str, Any]) -> None:
    assert cache_key(replace(STEP, **change), INPUTS) == KEY


def test_what_an_input_is_called_and_measured_does_not_change_what_it_is() -> None:
    renamed = stored("d1", name="other", metrics={"rows": 9.0})
    assert cache_key(STEP, INPUTS | {"data": renamed}) == KEY


def test_the_order_of_gathered_inputs_counts() -> None:
    one, two = Many((stored("a"), stored("b"))), Many((stored("b"), stored("a")))
    assert cache_key(STEP, {"x": one}) != cache_key(STEP, {"x": two})


def test_a_value_cannot_pass_for_an_artifact_or_a_list() -> None:
    artifact = cache_key(STEP, {"x": stored("d1")})
    assert cache_key(STEP, {"x": Constant({"digest": "d1", "codec": "json"})}) != artifact
    gathered = cache_key(STEP, {"x": Many((Constant(1),))})
    assert cache_key(STEP, {"x": Constant([1])}) != gathered


def test_an_input_that_is_not_there_yet_has_no_key() -> None:
    with pytest.raises(AssertionError, match="not resolved yet"):
        cache_key(STEP, {"x": FromStep("a")})
