"""Saved work is there whole or not at all, and a generation that was replaced saves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from makeway.errors import Conflict, InvalidInput
from makeway.store.checkpoint import latest, publish, published


def text(words: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "model.txt").write_text(words)

    return write


def test_what_was_published_last_is_what_one_goes_on_from(tmp_path: Path) -> None:
    publish(tmp_path, text("early"), step=10, fence=1)
    publish(tmp_path, text("late"), step=20, fence=1, progress=0.5)
    found = latest(tmp_path)
    assert found is not None
    found.check()
    assert (found.path / "model.txt").read_text() == "late"
    assert (found.manifest.step, found.manifest.progress) == (20, 0.5)


def test_where_nothing_was_saved_there_is_nothing(tmp_path: Path) -> None:
    assert latest(tmp_path) is None
    assert latest(tmp_path / "nowhere") is None


def test_a_generation_that_was_replaced_is_refused_and_writes_nothing(tmp_path: Path) -> None:
    publish(tmp_path, text("new"), step=10, fence=3)
    written: list[Path] = []
    with pytest.raises(Conflict, match="generation 3 has published already; this is generation 2"):
        publish(tmp_path, written.append, step=90, fence=2)
    assert written == []
    found = latest(tmp_path)
    assert found is not None
    assert found.manifest.step == 10


def test_who_is_overtaken_while_it_writes_is_refused(tmp_path: Path) -> None:
    def slow(folder: Path) -> None:
        publish(tmp_path, text("new"), step=5, fence=2)
        text("old")(folder)

    with pytest.raises(Conflict, match="published already"):
        publish(tmp_path, slow, step=9, fence=1)
    assert [one.manifest.fence for one in published(tmp_path)] == [2]


def test_a_later_generation_counts_more_than_a_later_step(tmp_path: Path) -> None:
    publish(tmp_path, text("old"), step=50, fence=1)
    publish(tmp_path, text("new"), step=40, fence=2)  # it had gone on from step 30
    found = latest(tmp_path)
    assert found is not None
    assert found.manifest.step == 40


def test_the_same_step_saved_again_is_what_one_goes_on_from(tmp_path: Path) -> None:
    for words in ("first", "second", "third"):
        publish(tmp_path, text(words), step=7, fence=1)
    found = latest(tmp_path)
    assert found is not None
    assert (found.path / "model.txt").read_text() == "third"


def test_two_are_kept(tmp_path: Path) -> None:
    for step in range(5):
        publish(tmp_path, text("x"), step=step, fence=1)
    assert sorted(one.manifest.step for one in published(tmp_path)) == [3, 4]


def test_a_program_that_fails_to_write_leaves_nothing(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        text("half")(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        publish(tmp_path, fails, step=1, fence=1)
    assert [one.name for one in tmp_path.iterdir()] == []


@pytest.mark.parametrize("harm", ["cut", "changed", "removed"])
def test_a_damaged_file_is_named(tmp_path: Path, harm: str) -> None:
    found = publish(tmp_path, text("0123456789"), step=1, fence=1)
    file = found.path / "model.txt"
    match harm:
        case "cut":
            file.write_text("012345")
        case "changed":
            file.write_text("0123456780")
        case _:
            file.unlink()
    with pytest.raises(InvalidInput, match=r"damaged: model\.txt") as caught:
        found.check()
    assert caught.value.where == str(file)


SAVES = """
import os, sys
from pathlib import Path
from makeway.store.checkpoint import publish
step = 0
def write(folder):
    for part in range(20):
        (folder / f"part{part}").write_bytes(os.urandom(1 << 16))
print("ready", flush=True)
while True:
    step += 1
    publish(Path(sys.argv[1]), write, step=step, fence=1)
"""


def test_a_process_that_is_killed_while_it_saves_leaves_whole_checkpoints_only(
    tmp_path: Path,
) -> None:
    for kill in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", SAVES, str(tmp_path)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.05 + 0.017 * kill)  # at any point of it
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        for one in published(tmp_path):
            one.check()
            assert len(one.manifest.files) == 20
    publish(tmp_path, text("next"), step=10_000, fence=1)
    assert list(tmp_path.glob(".step-*")) == []  # what they left torn is gone
