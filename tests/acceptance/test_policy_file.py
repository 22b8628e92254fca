"""Try a policy file from the command line, before it is applied to anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.terminal import Terminal

SCENARIO = """
cluster: {nodes: [{name: n, cpus: 8}]}
queues: [{name: a}, {name: b}]
jobs:
  - {name: x, queue: a, copies: 6, per_worker: {cpus: 1}}
  - {name: y, queue: b, copies: 9, per_worker: {cpus: 1}}
"""
TOML = '[[queues]]\nname = "a"\n[[queues]]\nname = "b"\nweight = 3\n'


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    (tmp_path / "s.yaml").write_text(SCENARIO)
    (tmp_path / "p.toml").write_text(TOML)
    return Terminal(tmp_path)


def test_a_file_that_is_right_is_said_to_be(terminal: Terminal) -> None:
    said = terminal.types("policy", "check", "p.toml").stdout
    assert said == "p.toml is right: 2 queues\n"


def test_what_it_would_change_in_a_scenario_is_said(terminal: Terminal) -> None:
    words = ("policy", "check", "p.toml", "--scenario", "s.yaml", "--at", "1s")
    found = terminal.reads(*words)
    assert found["changes"] == ["queue b weight: 1 -> 3"]
    assert (len(found["evictions"]), len(found["starts"])) == (2, 2)
    assert not found["applied"]
    said = terminal.types(*words).stdout
    assert "queue b weight" in said
    assert "in a would be evicted for y" in said
    assert "75.0%" in said


def test_a_file_that_changes_nothing_is_said_to_change_nothing(terminal: Terminal) -> None:
    (terminal.folder / "same.yaml").write_text("queues: [{name: a}, {name: b}]")
    said = terminal.types("policy", "check", "same.yaml", "--scenario", "s.yaml", "--at", "1s")
    assert said.stdout == "it changes nothing\n"


@pytest.mark.parametrize(
    "text, problem",
    [
        ("", "p.yaml:1: the file is empty; a policy file has policy, queues or nodes"),
        ("queue: []", "p.yaml:1: a policy file has no key 'queue'; did you mean 'queues'?"),
        ("\nqueues: [{nam: a}]", "p.yaml:2: a queue has no key 'nam'; did you mean 'name'?"),
    ],
)
def test_a_file_that_is_wrong_is_told_with_its_line(
    terminal: Terminal, text: str, problem: str
) -> None:
    (terminal.folder / "p.yaml").write_text(text)
    said = terminal.types("policy", "check", "p.yaml", expect=2)
    assert said.stderr == f"error: {problem}\n"
    assert not said.stdout


def test_a_file_that_is_not_there_is_told(terminal: Terminal) -> None:
    for name in ("no.toml", "no.yaml"):
        said = terminal.types("policy", "check", name, expect=3).stderr
        assert said == f"error: {name}: there is no such file\n"


def test_an_instant_needs_a_scenario(terminal: Terminal) -> None:
    said = terminal.types("policy", "check", "p.toml", "--at", "1s", expect=2).stderr
    assert "--scenario FILE" in said
