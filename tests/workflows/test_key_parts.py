"""What a key is made of, and how two keys are compared for a person."""

from __future__ import annotations

from typing import Any

import pytest

from makeway.model.record import Output
from makeway.model.workflow import Binding, Caching, Constant, FromStep, Many, Step, Stored
from makeway.workflows.cache import Keyed, cache_key, differences, key_parts

STEP = Step(key="train", function="train", code_digest="c1", workers=2)


def stored(digest: str) -> Stored:
    return Stored(Output(digest=digest * 8, codec="json", size_bytes=1))


INPUTS: dict[str, Binding] = {"lr": Constant(0.1), "data": stored("d1")}


def told(before: Keyed, now: Keyed) -> list[str]:
    return [one.text for one in differences(before, now)]


def changed(**arguments: Binding) -> list[str]:
    """Say in what a key differs after these arguments have changed."""
    before, now = key_parts(STEP, INPUTS), key_parts(STEP, INPUTS | arguments)
    return told(Keyed(parts=before), Keyed(parts=now))


def cached(**rule: Any) -> Step:
    return Step(key="train", function="train", code_digest="c1", cache=Caching(**rule))


def test_a_key_is_made_of_code_workers_and_what_is_given() -> None:
    assert key_parts(STEP, INPUTS) == {
        "function": "train",
        "workers": "2",
        "code": "c1",
        "value lr": "0.1",
        "input data": "d1d1d1d1d1d1 json",
    }


def test_the_same_key_has_no_differences() -> None:
    assert changed() == []


def test_a_parameter_is_told_with_both_values() -> None:
    assert changed(lr=Constant(0.2)) == ["parameter lr: 0.1 -> 0.2"]
    assert changed(name=Constant("a")) == ['parameter name: not given -> "a"']


def test_an_input_is_told_by_its_digest() -> None:
    assert changed(data=stored("d2")) == [
        "input data: another digest (d1d1d1d1d1d1 -> d2d2d2d2d2d2)"
    ]


def test_of_gathered_inputs_each_is_told_by_its_place() -> None:
    one = key_parts(STEP, {"all": Many((stored("a1"), stored("b1")))})
    two = key_parts(STEP, {"all": Many((stored("a1"), stored("c1")))})
    assert [text.split(":")[0] for text in told(Keyed(parts=one), Keyed(parts=two))] == [
        "input all[1]"
    ]


def test_many_gathered_inputs_are_told_by_one_digest() -> None:
    many = key_parts(STEP, {"all": Many(tuple(Constant(n) for n in range(1000)))})
    others = key_parts(STEP, {"all": Many(tuple(Constant(n) for n in range(1, 1001)))})
    assert len(many) == 4
    assert len(differences(Keyed(parts=many), Keyed(parts=others))) == 1


def test_a_long_value_is_told_by_its_size_and_digest() -> None:
    parts = key_parts(STEP, {"text": Constant("x" * 5_000)})
    assert parts["value text"].startswith("5002 bytes, ")
    assert parts != key_parts(STEP, {"text": Constant("y" * 5_000)})


def test_what_is_not_there_yet_is_no_part() -> None:
    assert key_parts(STEP, {"data": FromStep("ingest")}) == key_parts(STEP, {})


def test_changed_code_is_told_by_file_and_name() -> None:
    before = Keyed(parts={"code": "c1"}, code={"a.py:f": "1", "a.py:g": "1", "a.py:old": "1"})
    now = Keyed(parts={"code": "c2"}, code={"a.py:f": "1", "a.py:g": "2", "b.py:new": "1"})
    assert told(before, now) == [
        "code of a.py:g changed",
        "code of a.py:old is gone",
        "code of b.py:new is new",
    ]
    assert told(Keyed(parts={"code": "c1"}), now) == ["its code changed"]


def test_more_workers_and_another_environment_are_told() -> None:
    before = Keyed(parts={"workers": "1", "environment": "e1"})
    assert told(before, Keyed(parts={"workers": "2", "environment": "e2"})) == [
        "environment: e1 -> e2",
        "workers: 1 -> 2",
    ]


# ── what the rule of a cache does to the key ──────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "rule", [{}, {"ttl_ms": 1000}, {"serialize": True}, {"lock": "installed"}], ids=str
)
def test_how_long_and_for_whom_an_output_is_kept_does_not_change_its_key(
    rule: dict[str, Any],
) -> None:
    plain = Step(key="train", function="train", code_digest="c1")
    assert cache_key(cached(**rule), INPUTS) == cache_key(plain, INPUTS)


def test_a_version_counts_in_place_of_the_code() -> None:
    one, two = cached(version="1"), cached(version="2")
    other = Step(key="train", function="train", code_digest="c2", cache=Caching(version="1"))
    assert cache_key(one, INPUTS) == cache_key(other, INPUTS)
    assert cache_key(one, INPUTS) != cache_key(two, INPUTS)
    before, now = Keyed(parts=key_parts(one, INPUTS)), Keyed(parts=key_parts(two, INPUTS))
    assert told(before, now) == ["version: 1 -> 2"]


def test_an_argument_that_is_ignored_is_no_part_of_the_key() -> None:
    step, other = cached(ignore=("lr",)), INPUTS | {"lr": Constant(9)}
    assert cache_key(step, INPUTS) == cache_key(step, other)
    assert key_parts(step, INPUTS) == key_parts(step, other)
    assert cache_key(step, INPUTS) != cache_key(step, INPUTS | {"data": stored("d2")})


def test_another_environment_is_another_key_where_it_is_looked_at() -> None:
    one, two = cached(environment="e1"), cached(environment="e2")
    assert len({cache_key(step, INPUTS) for step in (one, two, cached())}) == 3
