"""Make items of plain values, and say where in them something is wrong."""

from __future__ import annotations

import pytest

from makeway.errors import InvalidInput
from makeway.intake.located import Item, item_of, unique


def test_a_place_without_lines_is_a_path() -> None:
    item = item_of({"queues": [{"name": "lab"}, {"name": 7.5}]}, "makeway.toml")
    second = item.mapping("it")["queues"].items("queues")[1]
    assert second.where == "makeway.toml: queues[1]"
    assert second.mapping("a queue")["name"].where == "makeway.toml: queues[1].name"


def test_the_body_of_a_request_is_not_named() -> None:
    assert item_of({"a": [1]}, "").mapping("it")["a"].items("a")[0].where == "a[0]"
    assert item_of([], "").where == ""


def test_what_is_there_twice_is_told_with_the_path_of_the_first() -> None:
    items = item_of(["a", "b", "a"], "").items("names")
    with pytest.raises(InvalidInput, match=r"^\[2\]: there are two names called 'a'; .* \[0\]$"):
        unique(((one.text("name"), one) for one in items), "name")


def test_what_is_nested_without_an_end_is_refused() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidInput, match="body: it is nested too deeply"):
        item_of(deep, "body")


def test_a_long_text_may_have_lines_and_is_measured_in_bytes() -> None:
    assert item_of("a\nb", "").long_text("it", 3) == "a\nb"
    with pytest.raises(InvalidInput, match="at most 3 bytes"):
        item_of("äö", "").long_text("it", 3)


def test_a_number_is_read_as_it_was_written() -> None:
    assert Item("f", 1, 7, "007").long_text("it", 9) == "007"
    assert item_of(7, "").long_text("it", 9) == "7"
