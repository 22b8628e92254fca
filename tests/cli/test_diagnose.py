"""The command that says why: of a step that really failed, and of what is written in a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FLOW = """
import makeway as mw

@mw.step(memory="200MB")
def fails() -> int:
    return {}["label"]

@mw.workflow
def flow() -> int:
    return fails()
"""
DOCUMENT = "ended: {signal: 9}\nkernel: {oom_kill: 1}\nrequest: {memory: 1GB}\n"


def makeway(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    known = {key: value for key, value in os.environ.items() if not key.startswith("MAKEWAY_")}
    return subprocess.run(
        [sys.executable, "-m", "makeway", *words],
        cwd=folder, env=known, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_file_is_judged_and_printed_for_somebody_who_was_woken(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(DOCUMENT, "utf-8")
    told = makeway(tmp_path, "diagnose", "--evidence-file", "one.yaml")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("OOM_HOST (resource, established)\n")
    assert (
        "decision   retry: OOM_HOST is resource, so this step alone is tried again with 2GB"
        in told.stdout
    )
    assert "[kernel.oom_kill]" in told.stdout


@pytest.mark.parametrize(
    "words, code, said",
    [
        (("diagnose",), 2, "give either the ID"),
        (("diagnose", "x", "--evidence-file", "one.yaml"), 2, "give either the ID"),
        (("diagnose", "--evidence-file", "one.yaml", "--evidence"), 2, "are for an ID"),
        (("diagnose", "--evidence-file", "none.yaml"), 3, "there is no such file"),
        (("diagnose", "--evidence-file", "wrong.yaml"), 2, "wrong.yaml:2: ended has no key"),
        (("diagnose", "--evidence-file", "empty.yaml"), 2, "there is nothing in it"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    (tmp_path / "one.yaml").write_text(DOCUMENT, "utf-8")
    (tmp_path / "wrong.yaml").write_text("ended:\n  signl: 9\n", "utf-8")
    (tmp_path / "empty.yaml").write_text("", "utf-8")
    told = makeway(tmp_path, *words)
    assert (told.returncode, told.stdout) == (code, "")
    assert said in told.stderr


@pytest.mark.slow
def test_a_step_that_failed_is_judged_from_the_store_and_can_be_told_again(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(FLOW, "utf-8")
    makeway(tmp_path, "run", "flow.py")
    told = makeway(tmp_path, "diagnose", "fails", "-o", "json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert (found["cause"], found["decision"]["action"]) == ("CODE_ERROR", "stop")
    assert found["evidence"][0]["ref"] == "workers[0].error"
    document = makeway(tmp_path, "diagnose", "fails", "--evidence", "-o", "json").stdout
    (tmp_path / "again.json").write_text(document, "utf-8")
    again = makeway(tmp_path, "diagnose", "--evidence-file", "again.json", "-o", "json")
    assert json.loads(again.stdout) == found
