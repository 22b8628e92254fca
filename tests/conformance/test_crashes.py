"""Whoever dies at whichever step: a worker runs at most once, and how it ended is told once.

The truth is written by the program itself. The controller's steps are not killed here but repeated,
by an executor that begins anew; the whole controller is killed in tests/live.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from makeway.executor.protocol import Fork, Forked
from makeway.failpoint import VARIABLE
from makeway.model import event as ev
from tests.conformance.stage import Stage, script

NEVER_BEGAN = [
    "zygote.fork.before",
    "zygote.fork.after",
    "agent.json.write",
    "agent.json.rename",
    "agent.json.written",
    "agent.go",
    "agent.begun.before",
]
BEGAN = ["agent.begun.after", "agent.start.after", "exit.json.write", "exit.json.rename"]
ENDED = ["exit.json.written"]


@pytest.mark.parametrize("name", [*NEVER_BEGAN, *BEGAN, *ENDED])
def test_who_dies_at_a_step_is_told_of_and_nothing_runs_twice(
    store_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    truth, died = tmp_path / "truth", tmp_path / "died"
    program = script(f"echo run >> {truth}")
    monkeypatch.setenv(VARIABLE, f"{name}@{died}")
    stage = Stage(store_dir)
    try:
        stage.launch(program)
        stage.until(lambda event: isinstance(event, ev.WorkerReady | ev.WorkerExited), "anything")
        if any(isinstance(event, ev.WorkerReady) for event in stage.events):
            stage.release()
        ended = stage.exit()
        assert died.exists()
        runs = truth.read_text().count("run") if truth.exists() else 0
        assert runs <= 1
        if name in NEVER_BEGAN and ended.lost is not None:
            assert (ended.started, runs) == (False, 0)
        if name in BEGAN:
            assert ended.started
            assert ended.lost is not None
        if name in ENDED:
            assert ended.good
        stage.events.clear()
        stage.restart()
        stage.launch(program)
        again = stage.exit()
        assert (again.started, again.good) == (ended.started, ended.good)
        assert runs == (truth.read_text().count("run") if truth.exists() else 0)
    finally:
        stage.close()


@pytest.mark.parametrize(
    "name",
    ["launch.json.write", "launch.json.rename", "launch.json.written", "executor.fork.after"],
)
def test_a_controller_that_dies_at_a_step_of_the_launch_is_followed_by_one_that_goes_on(
    store_dir: Path, tmp_path: Path, name: str
) -> None:
    truth = tmp_path / "truth"
    text = (
        "import sys; from pathlib import Path; from tests.conformance.stage import Stage, script;"
        " stage = Stage(Path(sys.argv[1])); stage.launch(script(sys.argv[2])); stage.ready()"
    )
    program = script(f"echo run >> {truth}")
    killed = subprocess.run(
        [sys.executable, "-c", text, str(store_dir), program.argv[-1]],
        env={**os.environ, VARIABLE: name},
        check=False,
    )
    assert killed.returncode == -9
    assert not truth.exists()
    stage = Stage(store_dir)
    try:
        stage.launch(program)
        stage.until(lambda event: isinstance(event, ev.WorkerReady | ev.WorkerExited), "anything")
        if any(isinstance(event, ev.WorkerReady) for event in stage.events):
            stage.release()
            assert stage.exit().good
            assert truth.read_text() == "run\n"
        else:  # it was forked, or about to be, and had not begun: the attempt can be repeated
            assert not stage.exit().started
            assert not truth.exists()
    finally:
        stage.close()


def test_a_request_that_is_carried_out_late_brings_nobody_to_life_a_second_time(
    store_dir: Path, tmp_path: Path
) -> None:
    truth = tmp_path / "truth"
    stage = Stage(store_dir)
    try:
        assert stage.run(script(f"echo run >> {truth}"))[0].good
        stage.zygote.ask(Fork(folder=str(stage.folder())))
        [reply] = stage.zygote.replies() or []
        assert isinstance(reply, Forked)
        assert reply.pid is None
        assert truth.read_text() == "run\n"
    finally:
        stage.close()


def test_a_step_can_be_survived_once_and_not_the_second_time(tmp_path: Path) -> None:
    text = (
        "from makeway.failpoint import reach\n"
        "for number in range(3): reach('here'); print(number, flush=True)"
    )
    for said, lines in [("here", 0), ("here:2", 1), ("here:4", 3), ("elsewhere", 3)]:
        done = subprocess.run(
            [sys.executable, "-c", text],
            env={**os.environ, VARIABLE: said},
            check=False,
            capture_output=True,
        )
        assert len(done.stdout.split()) == lines
        assert done.returncode == (-9 if lines < 3 else 0)
