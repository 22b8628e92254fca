"""The layout of graphs, and what a run's drawing folds and breaks."""

from __future__ import annotations

import random
import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from makeway.model.phase import ExecutionPhase
from makeway.server.pages.graph import GAP_Y, HEIGHT, WIDTH, laid_out
from makeway.server.pages.run_graph import FOLDED_ABOVE, graph_of, held_up
from makeway.store.rows import ExecutionRow

E = ExecutionPhase


def step(key: str, *after: str, phase: ExecutionPhase = E.SUCCEEDED) -> ExecutionRow:
    """Give a step as the store has it."""
    return ExecutionRow(
        id=f"r.{key}", run="r", key=key, position=0, phase=phase, text="", output=None, metrics={},
        cache_key="", selection=None, started_at_ms=None, ended_at_ms=None, after=after,
        attempts=0, attempt=None, wait=None, not_before_ms=None,
    )  # fmt: skip


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], list[tuple[str, str]]]:
    names = [f"s{at}" for at in range(draw(st.integers(0, 25)))]
    pairs = [
        (names[one], names[other])
        for other in range(len(names))
        for one in draw(st.sets(st.integers(0, max(0, other - 1)), max_size=3))
        if one < other
    ]
    return names, pairs


@given(graphs())
def test_what_comes_from_something_stands_right_of_it(
    graph: tuple[list[str], list[tuple[str, str]]],
) -> None:
    names, pairs = graph
    layout = laid_out(names, pairs)
    assert {*layout.places} == {*names}
    for one, other in pairs:
        assert layout.places[other][0] >= layout.places[one][0] + WIDTH
        first, last = layout.ways[one, other][0], layout.ways[one, other][-1]
        assert first[0] < last[0]


@given(graphs())
def test_no_box_stands_on_another_or_outside(
    graph: tuple[list[str], list[tuple[str, str]]],
) -> None:
    names, pairs = graph
    layout = laid_out(names, pairs)
    columns: dict[float, list[float]] = {}
    for x, y in layout.places.values():
        columns.setdefault(x, []).append(y)
        assert 0 <= x <= layout.width - WIDTH
        assert -0.01 <= y <= layout.height - HEIGHT + 0.01
    for heights in columns.values():
        heights.sort()
        gaps = [below - above for above, below in pairwise(heights)]
        assert all(gap >= HEIGHT + GAP_Y - 0.01 for gap in gaps)


def test_a_circle_is_broken_where_it_closes() -> None:
    layout = laid_out(["a", "b", "c"], [("a", "b"), ("b", "c"), ("c", "a")])
    assert len({*layout.places.values()}) == 3


def test_lines_that_need_not_cross_do_not() -> None:
    names = [*"abc", *"xyz"]
    layout = laid_out(names, [("a", "z"), ("b", "y"), ("c", "x")])
    order = sorted("xyz", key=lambda name: layout.places[name][1])
    assert sorted("abc", key=lambda name: layout.places[name][1]) == [
        {"z": "a", "y": "b", "x": "c"}[name] for name in order
    ]


def test_a_thousand_steps_are_laid_out() -> None:
    seed = random.Random(7)
    names = [f"s{at}" for at in range(1_000)]
    pairs = [(names[seed.randrange(max(0, at - 60), at)], names[at]) for at in range(1, 1_000)]
    assert len(laid_out(names, pairs).places) == 1_000


def test_a_broad_fan_out_is_one_box_until_it_is_opened() -> None:
    many = [step(f"tag[{at}]", "split") for at in range(FOLDED_ABOVE + 10)]
    many[3] = step("tag[3]", "split", phase=E.FAILED)
    steps = [step("split"), *many, step("join", *(one.key for one in many), phase=E.OMITTED)]
    folded = str(graph_of("r", steps, ()).picture)
    assert folded.count("<a ") == 3
    assert "tag ×40" in folded
    assert "39 succeeded, 1 failed" in folded
    assert 'class="n-bad"' in folded, "one that failed is seen from outside"
    assert str(graph_of("r", steps, {"tag[0]"}).picture).count("<a ") == 42


def test_thirty_are_not_folded() -> None:
    many = [step(f"tag[{at}]", "split") for at in range(FOLDED_ABOVE)]
    assert graph_of("r", [step("split"), *many], ()).folded == 0


def test_a_failure_holds_up_all_that_comes_after_it_and_nothing_else() -> None:
    steps = [
        step("a", phase=E.FAILED), step("b", "a", phase=E.OMITTED),
        step("c", "b", phase=E.OMITTED), step("d"), step("e", "d", phase=E.PENDING),
    ]  # fmt: skip
    assert held_up(steps) == {"b": "a", "c": "a"}
    assert len(re.findall('class="edge held"', str(graph_of("r", steps, ()).picture))) == 2


def test_a_name_with_markup_is_only_text() -> None:
    picture = str(graph_of("r", [step('<script>"x"</script>')], ()).picture)
    assert "<script>" not in picture
