"""Compare policies from the terminal: traces in both forms, scenarios, every mistake, plots."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.acceptance.terminal import Terminal

CSV = """user,gpus,submit_s,duration_s,group,priority
ada,4,0,100,lab,0
bob,8,10,50,lab,0
eve,1,20,5,shop,100
eve,1,30,5,shop,0
"""
SWF = """; MaxProcs: 8
; MaxNodes: 2
1 0 -1 100 4 -1 -1 4 200 -1 1 7 2 -1 1 -1 -1 -1
2 10 -1 50 8 -1 -1 8 60 -1 1 8 2 -1 1 -1 -1 -1
3 12 -1 -1 4 -1 -1 4 60 -1 5 8 2 -1 1 -1 -1 -1
4 20 -1 5 1 -1 -1 1 10 -1 0 9 3 -1 1 -1 -1 -1
"""
ON_8 = ("--nodes", "1", "--gpus-per-node", "8")
SCENARIO = """cluster: {nodes: [{name: n, cpus: 2}]}
jobs:
  - {name: a, copies: 3, per_worker: {cpus: 1}, runtime: 10s}
"""
HEAD = "submit_s,duration_s,gpus,user\n"


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    (tmp_path / "t.csv").write_text(CSV)
    (tmp_path / "t.swf").write_text(SWF)
    (tmp_path / "s.yaml").write_text(SCENARIO)
    return Terminal(tmp_path)


def test_every_policy_gets_a_row(terminal: Terminal) -> None:
    found = terminal.reads("compare", "t.csv", *ON_8)
    rows = {row["policy"]: row for row in found["policies"]}
    assert [*rows] == ["fair", "fifo", "fit", "priority", "drf", "las", "srsf"]
    assert {row["ended"] for row in rows.values()} == {4}
    assert rows["fifo"]["mean_wait_s"] == 85.0
    assert rows["fit"]["mean_wait_s"] == 22.5
    assert rows["srsf"]["knew"] == "exact run times"
    assert all(row["mean_completion_s"] >= found["lower_bound_s"] for row in rows.values())


def test_a_trace_in_the_standard_format_brings_its_own_machine(terminal: Terminal) -> None:
    done = terminal.types("compare", "t.swf", "--policies", "fit,fair", "-o", "json")
    found = json.loads(done.stdout)
    assert [row["jobs"] for row in found["policies"]] == [3, 3]
    assert found["policies"][1]["knew"] == "time limits"
    assert "2 nodes of 4 processors; 1 never ran" in done.stderr


def test_a_compressed_trace_is_read_as_well(terminal: Terminal) -> None:
    (terminal.folder / "z.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    plain, packed = (
        terminal.reads("compare", name, *ON_8, "--policies", "fifo")
        for name in ("t.csv", "z.csv.gz")
    )
    assert packed["policies"][0]["mean_wait_s"] == plain["policies"][0]["mean_wait_s"]


def test_a_scenario_is_played_under_each(terminal: Terminal) -> None:
    found = terminal.reads("compare", "s.yaml", "--policies", "fifo,fair")
    assert [row["mean_completion_s"] for row in found["policies"]] == [13.333, 13.333]


def test_a_plot_names_every_policy(terminal: Terminal) -> None:
    terminal.types("compare", "t.csv", *ON_8, "--policies", "fifo,srsf", "--plot", "p.svg")
    root = ET.parse(terminal.folder / "p.svg").getroot()
    words = {node.text for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"fifo", "srsf", "from submission to end"} <= words


def test_a_plot_can_be_a_png(terminal: Terminal) -> None:
    pytest.importorskip("PIL")
    terminal.types("compare", "t.csv", *ON_8, "--policies", "fifo", "--plot", "p.png")
    assert (terminal.folder / "p.png").read_bytes().startswith(b"\x89PNG")


def test_a_start_and_an_eviction_can_cost(terminal: Terminal) -> None:
    words = ("compare", "t.csv", *ON_8, "--policies", "fifo")
    usual, dearer = (terminal.reads(*words, *more) for more in ((), ("--startup", "10s")))
    assert dearer["policies"][0]["makespan_s"] > usual["policies"][0]["makespan_s"]


@pytest.mark.parametrize(
    "text, said",
    [
        (HEAD + "0,5,1,ada\n0,-5,1,ada\n", "t.csv:3: duration_s must not be negative"),
        (HEAD + "0,5,0,ada\n", "t.csv:2: gpus must be at least 1"),
        (HEAD + "0,5,1,\n", "t.csv:2: user is missing"),
        (HEAD + "0,nan,1,ada\n", "t.csv:2: duration_s must be a number"),
        ("submit_s,duration_s,gpus,user,mood\n", "t.csv:1: there is no column 'mood'"),
        ("submit_s,gpus,user\n", "t.csv:1: a column is missing: duration_s"),
        (HEAD, "there is no job in it"),
    ],
)
def test_what_is_wrong_in_a_trace_is_told_with_its_line(
    terminal: Terminal, text: str, said: str
) -> None:
    (terminal.folder / "t.csv").write_text(text)
    assert said in terminal.types("compare", "t.csv", *ON_8, expect=2).stderr


@pytest.mark.parametrize(
    "words, code, said",
    [
        (("t.csv",), 2, "--nodes N and --gpus-per-node M"),
        (("t.csv", *ON_8, "--policies", "lifo"), 2, "no policy is called 'lifo'"),
        (("t.csv", *ON_8, "--policies", ","), 2, "name at least one policy"),
        (("t.csv", *ON_8, "--plot", "p.gif"), 2, "written as .svg or .png"),
        (("t.csv", *ON_8, "--checkpoint", "often"), 2, "--checkpoint"),
        (("s.yaml", *ON_8), 2, "a scenario has its own cluster"),
        (("none.csv", *ON_8), 3, "there is no such file"),
    ],
)
def test_every_mistake_is_told(
    terminal: Terminal, words: tuple[str, ...], code: int, said: str
) -> None:
    assert said in terminal.types("compare", *words, expect=code).stderr
