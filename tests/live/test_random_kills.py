"""Kill the controller at random, bring it back, kill it again: nothing is lost or started twice.

The truth is kept outside makeway: every worker appends a line when it begins and when it ends.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from tests.acceptance.terminal import Terminal

ROUNDS = int(os.environ.get("MAKEWAY_KILLS", "5"))

FLOW = """
import os, pathlib, time
import makeway as mw

LOG = pathlib.Path(__file__).parent / "truth"

def mark(what: str) -> None:
    who = f"{mw.current.run} {mw.current.step} {mw.current.attempt} {mw.current.rank}"
    with LOG.open("a") as file:
        file.write(f"{who} {what}\\n")

@mw.step(cpus=0.1)
def one(number: int, after: list[int]) -> int:
    mark("begins")
    time.sleep(0.15)
    mark("ends")
    return number

@mw.step(cpus=0.1, workers=2)
def gang(number: int) -> int:
    mark("begins")
    time.sleep(0.2)
    mark("ends")
    return number

@mw.workflow
def flow() -> int:
    return one(9, [gang(number) for number in [one(number, []) for number in range(3)]])
"""
WORKERS = 3 + 3 * 2 + 1


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_killed_every_worker_runs_once(tmp_path: Path, seed: int) -> None:
    rng, terminal = Random(seed), Terminal(tmp_path)
    (tmp_path / "flow.py").write_text(FLOW, encoding="utf-8")
    begun = time.monotonic()
    terminal.types("run", "flow.py")
    whole_s = time.monotonic() - begun  # how long a run takes on this machine as busy as it is
    for _ in range(ROUNDS):
        kill_after(terminal, rng.uniform(0.2, 0.9) * whole_s, "run", "flow.py")
        # If it was killed before its run was accepted this is the one before, which has succeeded.
        known = terminal.types("runs", "-o", "name", "--limit", "1").stdout.split()
        for _ in range(rng.randint(0, 2)):
            kill_after(terminal, rng.uniform(0.2, 0.7) * whole_s, "resume", known[0])
        terminal.types("resume", known[0])
        assert terminal.reads("run-show", known[0])["phase"] == "succeeded"

    lines = (tmp_path / "truth").read_text(encoding="utf-8").splitlines()
    assert {line: n for line, n in Counter(lines).items() if n > 1} == {}
    for run, said in Counter(line.split()[0] for line in lines).items():
        assert said == 2 * WORKERS, f"run {run}"


def kill_after(terminal: Terminal, seconds: float, *words: str) -> None:
    """Begin a command and kill it, whatever it is doing by then."""
    command = terminal.begins(*words)
    time.sleep(seconds)
    command.sends(signal.SIGKILL)
    command.ends()
