"""Who holds outputs in memory is let go when the run is over, and nobody else is touched."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from makeway.executor.processes import boot_id, start_ticks
from makeway.live.holders import Holders
from makeway.model import event as ev
from makeway.model.phase import RunPhase
from makeway.store import held
from tests.engine.house import House
from tests.engine.test_remake import TRAINED

DIGEST = "a" * 64
OVER = ev.Entry(seq=1, at_ms=0, cause=0, event=ev.RunFinished(run="r", phase=RunPhase.SUCCEEDED))


class Scene:
    """A store, and a process that holds something for the run `r`."""

    def __init__(self, store: Path) -> None:
        self.house, self.holders = House("n1"), Holders(store)
        self.process = subprocess.Popen(["sleep", "600"])
        self.file = store / held.FOLDER / held.HOLDERS / f"{self.process.pid}.json"
        self.file.parent.mkdir(parents=True)
        self.link = held.folder_of(store, DIGEST) / f"{self.process.pid}-5-token"
        self.link.parent.mkdir()
        self.link.symlink_to(f"/proc/{self.process.pid}/fd/5")
        self.says()

    def says(self, **otherwise: object) -> None:
        """Write down who it is."""
        pid = self.process.pid
        known = {"job": "r.ingest", "pid": pid, "started_ticks": start_ticks(pid)}
        self.file.write_text(json.dumps(known | {"boot": boot_id()} | otherwise))

    @property
    def lives(self) -> bool:
        return self.process.poll() is None


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    there = Scene(tmp_path)
    yield there
    there.process.kill()
    there.process.wait()


def test_a_holder_of_a_run_that_is_over_is_let_go_and_leaves_nothing_behind(scene: Scene) -> None:
    scene.holders.after(scene.house.engine.state, [OVER])
    assert scene.process.wait(10) == -15
    assert not scene.file.exists()
    assert not scene.link.parent.exists()


def test_a_holder_of_a_run_that_goes_on_stays(scene: Scene) -> None:
    scene.house.runs("r", TRAINED)
    scene.holders.sweep(scene.house.engine.state)
    assert scene.lives
    assert scene.link.is_symlink()


def test_as_long_as_no_run_ends_nobody_is_looked_at(scene: Scene) -> None:
    scene.holders.after(scene.house.engine.state, [])
    assert scene.lives
    assert scene.file.exists()


@pytest.mark.parametrize("otherwise", [{"started_ticks": 1}, {"boot": "another one"}])
def test_a_stranger_that_has_the_pid_by_now_is_left_alone(
    scene: Scene, otherwise: dict[str, object]
) -> None:
    scene.says(**otherwise)
    scene.holders.sweep(scene.house.engine.state)
    assert scene.lives
    assert not scene.file.exists()


def test_what_cannot_be_read_is_passed_over(scene: Scene) -> None:
    scene.file.with_name("torn.json").write_text("{")
    scene.holders.sweep(scene.house.engine.state)
    assert scene.process.wait(10) == -15


def test_where_nothing_was_ever_held_there_is_nothing_to_do(tmp_path: Path) -> None:
    Holders(tmp_path / "store").sweep(House("n1").engine.state)
