"""M8 and M9 as a person meets them: which run was it, what is it made of, what is it worth."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from tests.acceptance.terminal import Terminal

FLOW = """
import makeway as mw

@mw.step(cpus=0.1)
def ingest(n: int) -> list[int]:
    return list(range(n))

@mw.step(cpus=0.1)
def train(data: list[int], lr: float) -> mw.Model:
    for epoch in range(3):
        mw.log_metric("loss", lr / (epoch + 1), step=epoch)
    return mw.log_model(
        {"lr": lr, "n": len(data)}, name="net", metrics={"accuracy": 1 - lr + len(data) / 100}
    )

@mw.step(cpus=0.1)
def serve(model: mw.Model) -> int:
    return model.load()["n"]

@mw.workflow
def flow(n: int = 5):
    data = ingest(n)
    models = [train.options(name=f"train-{k}")(data, lr=k / 10) for k in range(1, 6)]
    best = mw.select_top(models, k=1, metric="accuracy")
    return serve(best.slots(1)[0])
"""


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """Give a store in which two runs ended well that differ in their data alone."""
    person = Terminal(tmp_path_factory.mktemp("lineage"))
    (person.folder / "flow.py").write_text(FLOW, "utf-8")
    for n in ("5", "9"):
        person.types("run", "flow.py", "-P", f"n={n}", "--no-watch")
    return person


def test_a_run_is_found_by_what_its_steps_came_to(terminal: Terminal) -> None:
    found = terminal.reads("search", "metrics.accuracy > 0.98 AND params.n = 9")
    assert [item["name"] for item in found["items"]] == ["flow"]
    steps = terminal.reads("search", "metrics.loss.max >= 0.4", "--kind", "steps")
    assert {item["name"] for item in steps["items"]} == {"train-4", "train-5"}
    assert terminal.types("search", "--kind", "models", "--count").stdout == "10\n"


def test_a_search_with_a_slip_shows_where_it_is(terminal: Terminal) -> None:
    done = terminal.types("search", "metrics.acuracy > 0.9", expect=2)
    assert done.stdout == ""
    assert "\n  ^\n" in done.stderr
    assert "the nearest is accuracy" in done.stderr


def test_a_model_is_traced_back_and_forward_as_text_as_data_and_as_a_picture(
    terminal: Terminal,
) -> None:
    text = terminal.types("lineage", "train-1").stdout
    for word in ("made by train-1", "data: ingest:2", "made by ingest", "n 9", "read by serve"):
        assert word in text
    data = terminal.reads("lineage", "net:1", "--up", "1")
    assert data["cut"]
    terminal.types("lineage", "@last", "--svg", "made.svg")
    drawn = ET.fromstring((terminal.folder / "made.svg").read_text("utf-8"))
    assert drawn.tag.endswith("svg")


def test_why_two_runs_differ_is_said(terminal: Terminal) -> None:
    runs = terminal.types("runs", "-o", "name").stdout.split()
    found = terminal.reads("lineage", "--diff", *runs)["differences"]
    params = [
        (one["where"], one["name"], one["left"], one["right"])
        for one in found
        if one["what"] == "param"
    ]
    assert params == [("ingest", "n", 9, 5)]


def test_a_data_set_is_told_with_what_it_adds_to_five_pairs(terminal: Terminal) -> None:
    first, second = terminal.reads("datasets")["items"]
    assert (first["rank"], first["lift"]["n"], first["selected"]) == (1, 5, 1)
    assert first["lift"]["mean"] == pytest.approx(0.04)
    assert second["lift"]["mean"] == pytest.approx(-0.04)
    said = terminal.types("datasets").stdout
    assert "+0.04 (+0.04 to +0.04)" in said


def test_only_models_that_no_other_outdoes_are_pareto(terminal: Terminal) -> None:
    items = terminal.reads("search", "--kind", "models", "--pareto")["items"]
    assert items[0]["value"] == pytest.approx(0.99)
    assert all(item["pareto"] for item in items)
    assert json.dumps(items).count("cost_worker_s") == len(items)
