"""The data are gone, live: their holder is killed, and what made them runs again, once."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.acceptance.terminal import Terminal

FLOW = Path(__file__).parents[2] / "examples" / "failures" / "data_in_memory.py"
LATE = """
import os
import time
from pathlib import Path

import makeway as mw

@mw.step(cpus=0.2, durability="memory")
def ingest() -> list[int]:
    return [1, 2, 3]

@mw.step(cpus=0.2)
def opens(door: str) -> None:
    while not Path(door).exists():
        time.sleep(0.05)

@mw.step(cpus=0.2)
def train(data: list[int]) -> int:
    return sum(data)

@mw.workflow
def late(door: str) -> int:
    return train.options(after=opens(door))(ingest())

ALL = len(os.sched_getaffinity(0))

@mw.step(cpus=ALL)
def blocks(door: str) -> None:
    while not Path(door).exists():
        time.sleep(0.05)

@mw.workflow
def queued(door: str) -> int:
    data = ingest()
    blocks.options(after=data)(door)
    return train.options(cpus=ALL)(data)
"""


def kill(terminal: Terminal, step: str) -> None:
    """Kill the agent of a step's first attempt; after the step's end that is who holds its output."""
    [file] = terminal.store.glob(f"workers/*/{step}/1/0/agent.json")
    os.kill(json.loads(file.read_bytes())["pid"], signal.SIGKILL)


def steps(terminal: Terminal) -> dict[str, Any]:
    return {one["key"]: one for one in terminal.reads("run-show", "@last")["steps"]}


def attempts(terminal: Terminal, step: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = terminal.reads("step", "show", step)["attempts"]
    return found


def test_data_that_were_in_the_memory_of_who_was_killed_are_made_again_once_for_both_who_need_them(
    tmp_path: Path,
) -> None:
    terminal = Terminal(tmp_path)
    running = terminal.begins("run", str(FLOW), "-P", "trainings=2", "-P", "pause=0.5")
    running.waits_for("train-1  40%")
    running.waits_for("train-2  40%")
    kill(terminal, "ingest")
    assert running.ends() == 0

    assert [*steps(terminal)] == ["ingest", "ingest~2", "train-1", "train-2"]
    for step in ("train-1", "train-2"):
        lost, well = attempts(terminal, step)
        assert lost["diagnosis"]["cause"] == "DATA_LOST"
        assert lost["decision"]["action"] == "rerun_upstream"
        assert lost["decision"]["rerun"] == ["ingest"]
        assert (lost["decision"]["ledger"], lost["decision"]["ledger_after"]) == ("data", [1, 1])
        assert well["diagnosis"]["cause"] == "NONE"
    assert (
        "ingest makes its output again first"
        in terminal.types("diagnose", "train-1", "--attempt", "1").stdout
    )
    kinds = [one["kind"] for one in terminal.reads("decisions")["items"]]
    assert kinds.count("rerun") == 1

    planned = {one["step"]: one for one in terminal.reads("resume", "@last", "--dry-run")["steps"]}
    assert planned["ingest"]["reason"] == "artifact lost"
    assert "kept in memory alone" in planned["ingest"]["text"]


def test_what_is_durable_is_not_made_again_when_the_training_dies(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    asked = ("-P", "durability=durable", "-P", "pause=0.3")
    running = terminal.begins("run", str(FLOW), *asked)
    running.waits_for("train   40%")
    kill(terminal, "train")
    assert running.ends() == 0

    assert [*steps(terminal)] == ["ingest", "train"]
    assert len(attempts(terminal, "ingest")) == 1
    first, second = attempts(terminal, "train")
    assert first["decision"]["action"] == "retry"
    assert second["diagnosis"]["cause"] == "NONE"


def test_data_that_are_lost_before_anybody_reads_them_are_made_again_before_the_start(
    tmp_path: Path,
) -> None:
    terminal, door = Terminal(tmp_path), tmp_path / "door"
    flow = tmp_path / "late.py"
    flow.write_text(LATE)
    running = terminal.begins("run", f"{flow}:late", "-P", f"door={door}")
    running.waits_for("ingest  succeeded")
    running.waits_for("opens   runs")
    kill(terminal, "ingest")
    door.touch()
    assert running.ends() == 0
    assert (
        "is done again, as ingest~2: what ingest gave is gone, and train needs it" in running.said()
    )
    assert len(attempts(terminal, "train")) == 1, "nothing had to fail for it"


def test_data_that_are_lost_while_who_needs_them_waits_for_room_are_made_again(
    tmp_path: Path,
) -> None:
    terminal, door = Terminal(tmp_path), tmp_path / "door"
    flow = tmp_path / "late.py"
    flow.write_text(LATE)
    running = terminal.begins("run", f"{flow}:queued", "-P", f"door={door}")
    running.waits_for("blocks  runs")
    running.waits_for("train   waits")
    kill(terminal, "ingest")
    door.touch()
    assert running.ends() == 0
    lost, well = attempts(terminal, "train")
    assert lost["decision"]["action"] == "rerun_upstream"
    assert well["diagnosis"]["cause"] == "NONE"
