"""A full disk costs nobody a worker that runs, nor the truth about how it ended."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.stage import Stage, alive, script

BYTES = 4 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={BYTES}", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
    return ballast


def test_a_worker_that_runs_goes_on_and_its_end_is_written_once_there_is_room(
    disk: Path, tmp_path: Path
) -> None:
    stage, done = Stage(disk), tmp_path / "done"
    try:
        text = f"trap 'touch {done}; exit 75' TERM; while :; do sleep 0.02; done"
        stage.launch(script(text))
        stage.ready()
        stage.release()
        stage.started()
        stage.look(200)
        ballast = fill(disk)
        stage.stop(grace_ms=20_000)
        stage.until_true(done.exists)
        stage.look(300)
        assert not (stage.folder() / "exit.json").exists()
        assert alive(stage.agent())
        ballast.unlink()
        assert stage.exit().code == 75
    finally:
        stage.close()


def test_what_cannot_be_launched_is_told_of_and_the_others_go_on(disk: Path) -> None:
    stage = Stage(disk)
    try:
        stage.look(0)
        ballast = fill(disk)
        stage.launch(script("true"))
        ended = stage.exit()
        assert not ended.started
        assert ended.lost is not None
        assert "No space left" in ended.lost
        ballast.unlink()
        stage.launch(script("true"), job="k")
        stage.ready(job="k")
        stage.release(job="k")
        assert stage.exit(job="k").good
    finally:
        stage.close()
