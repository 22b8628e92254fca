"""A lineage is walked up and down, drawn, and compared."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from makeway.lineage.graph import downstream, upstream, why_differ, why_runs_differ
from makeway.lineage.picture import picture
from makeway.lineage.tree import draw
from makeway.model.lineage import Lineage, Made, Maker, Use


def step(name: str, run: str = "r1", code: str = "c", **params: object) -> Maker:
    return Maker(
        id=f"{run}.{name}", run=run, name=name, state="succeeded", code=code, params=params
    )


def made(digest: str, by: str | None = None, kind: str = "value", **metrics: float | None) -> Made:
    return Made(digest=digest, kind=kind, name=digest, made_by=by, metrics=metrics)


def reads(who: str, digest: str, key: str = "data") -> Use:
    return Use(step=who, digest=digest, role="input", key=key)


def gives(who: str, digest: str) -> Use:
    return Use(step=who, digest=digest, role="output")


# Two runs: the data of the second are others, since its parameter n is.
TWO = Lineage(
    root="m1",
    artifacts=(
        *(made("d1", "r1.ingest"), made("m1", "r1.train", "model", accuracy=0.9)),
        *(made("d2", "r2.ingest"), made("m2", "r2.train", "model", accuracy=0.8)),
        made("answers", "r1.serve"),
    ),
    steps=(
        *(step("ingest", n=5), step("train", lr=0.1), step("serve")),
        *(step("ingest", "r2", n=6), step("train", "r2", lr=0.1)),
    ),
    uses=(
        *(gives("r1.ingest", "d1"), reads("r1.train", "d1"), gives("r1.train", "m1")),
        *(gives("r2.ingest", "d2"), reads("r2.train", "d2"), gives("r2.train", "m2")),
        *(reads("r1.serve", "m1", "model"), gives("r1.serve", "answers")),
    ),
)


def test_up_is_what_it_was_made_from_and_down_what_was_made_from_it() -> None:
    assert upstream(TWO, "answers") == ["m1", "d1"]
    assert downstream(TWO, "d1") == ["m1", "answers"]
    assert upstream(TWO, "nowhere") == []


def test_a_circle_is_walked_once() -> None:
    loop = Lineage(
        root="x",
        artifacts=(made("x"), made("y")),
        steps=(step("a"), step("b")),
        uses=(
            *(reads("r1.a", "x"), gives("r1.a", "y")),
            *(reads("r1.b", "y"), gives("r1.b", "x"), gives("r1.b", "y")),
        ),
    )
    assert upstream(loop, "x") == ["y"]
    assert downstream(loop, "x") == ["y"]
    assert "…" in draw(loop)
    assert ET.fromstring(picture(loop)).tag.endswith("svg")
    assert why_differ(loop, "x", "y")[0].what == "step"


def test_two_models_differ_first_in_what_is_near_and_last_in_what_began_it() -> None:
    found = [(one.depth, one.where, one.what, one.name) for one in why_differ(TWO, "m1", "m2")]
    assert found == [
        (0, "train", "input", "data"),
        (0, "train", "metric", "accuracy"),
        (1, "ingest", "param", "n"),
    ]


def test_what_is_the_same_differs_in_nothing() -> None:
    assert why_differ(TWO, "m1", "m1") == []
    assert why_runs_differ(TWO, "r1", "r1") == []


def test_runs_are_compared_step_by_step_also_where_one_is_missing() -> None:
    found = why_runs_differ(TWO, "r1", "r2")
    said = [(one.where, one.what, one.name, one.left, one.right) for one in found]
    assert said == [
        ("ingest", "param", "n", 5, 6),
        ("train", "input", "data", "d1", "d2"),
        ("serve", "step", "", "there", None),
    ]


def test_other_code_is_a_difference_and_so_is_another_step() -> None:
    lineage = Lineage(
        root="a",
        artifacts=(made("a", "r1.f"), made("b", "r2.f"), made("c", "r2.g")),
        steps=(step("f"), step("f", "r2", code="other"), step("g", "r2", code="other")),
        uses=(gives("r1.f", "a"), gives("r2.f", "b"), gives("r2.g", "c")),
    )
    assert [one.what for one in why_differ(lineage, "a", "b")] == ["code"]
    assert [one.what for one in why_differ(lineage, "a", "c")] == ["step", "code"]


def test_a_tree_shows_where_it_comes_from_and_what_it_went_into() -> None:
    assert draw(TWO).splitlines() == [
        "m1:1  model m1  accuracy 0.9",
        "├─ made by train  r1.train  succeeded  lr 0.1",
        "│  └─ data: d1:1  value d1",
        "│     └─ made by ingest  r1.ingest  succeeded  n 5",
        "└─ read by serve  r1.serve  succeeded  (as model)",
        "   └─ answers:1  value answers",
    ]


@pytest.mark.parametrize("name", ["d1", "r1.train", "answers"])
def test_a_picture_has_a_box_for_each_and_a_line_for_each_use(name: str) -> None:
    drawn = ET.fromstring(picture(TWO))
    space = "{http://www.w3.org/2000/svg}"
    titles = [one.text for one in drawn.iter(f"{space}title")]
    assert titles.count(name) == 1
    assert len(list(drawn.iter(f"{space}path"))) == len(TWO.uses)


def test_a_picture_goes_from_left_to_right_and_shows_any_text() -> None:
    odd = Lineage(root="<&>", artifacts=(made("<&>"),), steps=(), uses=())
    assert "&lt;&amp;&gt;" in picture(odd)
    drawn = ET.fromstring(picture(TWO))
    space = "{http://www.w3.org/2000/svg}"
    at = {
        group.findtext(f"{space}title"): float(group.find(f"{space}rect").get("x"))  # type: ignore[union-attr,arg-type] # each group has one
        for group in drawn.iter(f"{space}g")
    }
    assert at["r1.ingest"] < at["d1"] < at["r1.train"] < at["m1"] < at["r1.serve"]
