"""The commands that answer on a scenario file, as a person or a script types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.acceptance.terminal import Terminal

FILES = sorted((Path(__file__).parents[2] / "examples" / "scenarios").glob("*.yaml"))
SMALL = """
cluster: {nodes: [{name: n, cpus: 2}]}
queues: [{name: lab, queues: [{name: ada}, {name: bob}]}]
jobs:
  - {name: a, queue: lab/ada, per_worker: {cpus: 2}, runtime: 100s}
  - {name: b, queue: lab/bob, at: 5s, class: high, workers: {min: 1, max: 2}, per_worker: {cpus: 1}, runtime: 20s}
  - {name: c, queue: lab/bob, at: 6s, per_worker: {cpus: 9}}
expect:
  - {at: 5s, workers: {b: 2, a: 0, c: 0}, preempted: [a], queued: [a]}
  - {at: 6s, rejected: [c], shares: {lab/ada: 0.5}}
"""


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    (tmp_path / "small.yaml").write_text(SMALL)
    return Terminal(tmp_path)


def without_clock(printed: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    printed["metrics"].pop("wall_s")
    return printed


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_holds(path: Path, terminal: Terminal) -> None:
    done = terminal.types("simulate", str(path), "--check", "-o", "name")
    entries = len(yaml.safe_load(path.read_text())["expect"])
    assert done.stderr == f"{entries} of {entries} entries of expect hold\n"


def test_every_format_says_the_same(terminal: Terminal) -> None:
    as_json = without_clock(terminal.reads("simulate", "small.yaml"))
    for output, reads in (("yaml", yaml.safe_load), ("jsonl", json.loads)):
        told = terminal.types("simulate", "small.yaml", "-o", output).stdout
        assert without_clock(reads(told)) == as_json
    assert terminal.types("simulate", "small.yaml", "-o", "name").stdout.split() == ["a", "b", "c"]
    for output in ("table", "wide"):
        told = terminal.types("simulate", "small.yaml", "-o", output).stdout
        for words in ("a    lab/ada", "NoNodeFits", "x evicted", "makespan 125 s"):
            assert words in told, words
        assert "\x1b" not in told


def test_what_is_not_as_expected_is_told_line_by_line(terminal: Terminal) -> None:
    text = SMALL.replace("b: 2, a: 0", "b: 1, a: 0").replace("lab/ada: 0.5", "lab/ada: 0.25")
    (terminal.folder / "small.yaml").write_text(text)
    done = terminal.types("simulate", "small.yaml", "--check", "-o", "json", expect=1)
    assert done.stderr.splitlines() == [
        "small.yaml:9: at 5 s b should have 1 workers, and has 2",
        "small.yaml:10: at 6 s lab/ada should have a share of 0.25, and has 0.5",
        "2 not as expected; 2 of 2 entries were compared",
    ]
    assert json.loads(done.stdout)["at_s"] == 125


def test_an_instant_is_shown_after_all_that_happens_at_it(terminal: Terminal) -> None:
    told = terminal.reads("simulate", "small.yaml", "--at", "5s")
    assert told["at_s"] == 5
    assert {job["name"]: job["workers"] for job in told["jobs"]} == {"a": 0, "b": 2}
    done = terminal.types("simulate", "small.yaml", "--at", "5", "--check", "-o", "name")
    assert done.stderr == "1 of 2 entries of expect hold; 1 later\n"


def test_until_goes_no_further_than_the_end(terminal: Terminal) -> None:
    assert terminal.reads("simulate", "small.yaml", "--until", "1h")["at_s"] == 125
    assert terminal.reads("simulate", "small.yaml", "--until", "10s")["at_s"] == 10


def test_another_policy_decides(terminal: Terminal) -> None:
    told = terminal.reads("simulate", "small.yaml", "--policy", "fifo")
    assert told["policy"] == "fifo"
    assert told["metrics"]["preemptions"] == 0


@pytest.mark.parametrize(
    "words,code,told",
    [
        (("simulate", "none.yaml"), 3, "none.yaml: there is no such file"),
        (("simulate", "."), 2, "is a directory"),
        (("simulate", "small.yaml", "--policy", "lifo"), 2, "no policy is called 'lifo'"),
        (("simulate", "small.yaml", "--at", "soon"), 2, "'soon' is not a time"),
        (("simulate", "small.yaml", "--at", "1", "--until", "2"), 2, "give one of them"),
        (("why", "a"), 3, "there is no store here"),
        (("why", "z", "--scenario", "small.yaml"), 3, "there is no job 'z'"),
        (("shares",), 3, "there is no store here"),
        (("shares", "moon", "--scenario", "small.yaml"), 3, "there is no queue 'moon'"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_printed(
    words: tuple[str, ...], code: int, told: str, terminal: Terminal
) -> None:
    done = terminal.types(*words, expect=code)
    assert told in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_why_a_job_waits_runs_or_was_refused(terminal: Terminal) -> None:
    at = ("--scenario", "small.yaml", "--at", "6s")
    told = terminal.types("why", "a", *at).stdout
    assert told.startswith("a waits: InsufficientFree\n")
    assert "in its way: b" in told
    assert terminal.types("why", "c", *at).stdout.startswith("c was refused: NoNodeFits\n")
    assert terminal.types("why", "b", *at).stdout == "b does not wait\n"
    assert terminal.reads("why", "a", *at)["blocked_by"] == ["b"]
    assert terminal.reads("why", "b", *at) is None


def test_shares_are_a_tree_of_four_numbers(terminal: Terminal) -> None:
    at = ("--scenario", "small.yaml", "--at", "6s")
    paths = [row["path"] for row in terminal.reads("shares", *at)]
    assert paths == ["lab", "lab/ada", "lab/bob"]
    [row] = terminal.reads("shares", "lab/bob", *at)
    assert (row["share"], row["usage"], row["demand"]) == (0.5, {"cpus": 2}, {"cpus": 2})
    assert terminal.types("shares", *at).stdout.splitlines()[2].split()[:2] == ["ada", "50.0%"]
