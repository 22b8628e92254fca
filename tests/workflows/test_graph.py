"""The edges of a workflow, its order, and what is wrong with one that has none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeway.errors import InvalidWorkflow
from makeway.model.record import Output
from makeway.model.workflow import (
    Binding,
    Constant,
    FromSlot,
    FromStep,
    Many,
    SelectTop,
    Step,
    Stored,
)
from makeway.workflows.graph import in_order, steps_in, upstream

OUTPUT = Stored(Output(digest="d", codec="json", size_bytes=1))


def steps(text: str) -> list[Step]:
    """Read steps and what they wait for: `a | b a | c a b`."""
    rows = [row.split() for row in text.split("|")]
    return [Step(key=key, after=tuple(after)) for key, *after in rows]


@pytest.mark.parametrize(
    "binding,read",
    [
        (Constant({"step": "a"}), []),
        (OUTPUT, []),
        (FromStep("a"), ["a"]),
        (FromSlot("best", 1), ["best"]),
        (Many(()), []),
        (Many((FromStep("b"), Constant(1), Many((FromStep("a"), FromSlot("c", 0))))), list("bac")),
    ],
)
def test_what_a_binding_reads(binding: Binding, read: list[str]) -> None:
    assert [*steps_in(binding)] == read


def test_a_step_waits_once_for_all_that_it_reads_chooses_from_and_comes_after() -> None:
    step = Step(
        key="x",
        arguments={"p": FromStep("a"), "q": Many((FromStep("b"), FromStep("a")))},
        select=SelectTop(candidates=("c", "b"), metric="m", k=1),
        after=("d", "a"),
    )
    assert upstream(step) == ("a", "b", "c", "d")


@pytest.mark.parametrize(
    "given_as,order",
    [
        ("a | b | c", "abc"),
        ("c a | b | a", "bac"),
        ("c b | b a | a", "abc"),
        ("d b c | c a | b a | a", "acbd"),
        ("", ""),
    ],
)
def test_steps_come_after_what_they_wait_for_and_else_as_given(given_as: str, order: str) -> None:
    given_steps = steps(given_as) if given_as else []
    assert "".join(step.key for step in in_order(given_steps, {})) == order


def test_steps_that_wait_for_each_other_are_named_in_their_circle() -> None:
    with pytest.raises(InvalidWorkflow) as raised:
        in_order(steps("a | b a d | c b | d c"), {key: f"flow.py:{key}" for key in "abcd"})
    circle = raised.value.problem.partition(": ")[2].split(" -> ")
    assert circle[0] == circle[-1]
    assert {*circle} == {"b", "c", "d"}
    assert raised.value.where == f"flow.py:{circle[0]}"


def test_a_step_that_waits_for_nothing_that_is_there_is_refused_with_what_there_is() -> None:
    with pytest.raises(InvalidWorkflow, match=r"waits for 'z', .* \(a, b\)") as raised:
        in_order(steps("a | b z"), {})
    assert raised.value.where == "step b"


@given(st.data(), st.integers(0, 12))
def test_any_graph_without_a_circle_is_put_in_order(data: st.DataObject, count: int) -> None:
    keys = [f"s{number}" for number in range(count)]
    graph = [
        Step(key=key, after=tuple(data.draw(st.lists(st.sampled_from(keys[:at]), unique=True))))
        if at
        else Step(key=key)
        for at, key in enumerate(keys)
    ]
    order = [step.key for step in in_order(data.draw(st.permutations(graph)), {})]
    assert sorted(order) == sorted(keys)
    assert all(order.index(above) < order.index(step.key) for step in graph for above in step.after)
