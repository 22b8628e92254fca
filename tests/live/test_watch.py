"""Whoever watches what runs: the clocks, the log, and what is kept of a worker that hangs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from makeway.engine.state import State
from makeway.executor.base import Readings
from makeway.executor.folder import LOG, worker_folder
from makeway.live.traces import keep_traces
from makeway.live.watch import LOG_BYTES, Lookout
from makeway.model.event import AttemptJudged
from makeway.model.record import Note, Sample
from tests.engine.house import House

MINUTE_MS = 60_000
ERROR = "ConnectionRefusedError: [Errno 111] attempt {}\n"


class Scene:
    """A job that is at work, the log that it writes, and a lookout beside it."""

    def __init__(self, store: Path) -> None:
        self.house = House("n1")
        self.house.submit("a")
        self.house.go("a")
        self.folder = worker_folder(store, "a", 1, 0)
        self.folder.mkdir(parents=True)
        self.lookout, self.now_ms = Lookout(store), 0
        self.looks()

    @property
    def state(self) -> State:
        return self.house.engine.state

    def looks(self, after_ms: int = 1_000) -> list[AttemptJudged]:
        """Let time pass and the lookout look; what it says is believed."""
        self.now_ms += after_ms
        judged = self.lookout.look(self.state, self.now_ms)
        for event in judged:
            self.house.tell(event)
        return judged

    def prints(self, text: str) -> None:
        with (self.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(text)

    def reads(self, name: str, value: float, step: int | None = None) -> None:
        sample = Sample(name=name, at_ms=self.now_ms, value=value, step=step)
        self.lookout.hear([Readings(job="a", number=1, rank=0, samples=(sample,))])

    def fails_for(self, span_ms: int, every_ms: int = 2_000) -> list[AttemptJudged]:
        """Let it say the same error again and again; give what was judged meanwhile."""
        judged = []
        for number in range(span_ms // every_ms):
            self.prints(ERROR.format(number))
            judged += self.looks(every_ms)
        return judged


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_the_same_error_for_a_minute_is_told_once_with_its_count(scene: Scene) -> None:
    assert scene.fails_for(MINUTE_MS) == []
    (judged,) = scene.fails_for(MINUTE_MS)
    assert judged.symptom is not None
    assert "31 times in 60 s: ConnectionRefusedError" in judged.symptom.text


def test_whoever_comes_further_is_stuck_no_longer(scene: Scene) -> None:
    scene.fails_for(2 * MINUTE_MS)
    scene.reads("progress", 0.1)
    (judged,) = scene.looks()
    assert judged.symptom is None


def test_the_same_progress_again_is_none(scene: Scene) -> None:
    scene.reads("progress", 0.1)
    judged = []
    for number in range(40):
        scene.prints(ERROR.format(number))
        scene.reads("progress", 0.1)
        judged += scene.looks(2_000)
    assert [one.symptom is not None for one in judged] == [True]


def test_no_step_for_long_is_told_of_a_program_that_reports_steps(scene: Scene) -> None:
    for step in range(5):
        scene.reads("loss", 1.0, step)
        assert scene.looks() == []
    judged = [one for _ in range(40) for one in scene.looks()]
    assert ["no step after 4" in str(one.symptom) for one in judged] == [True]


def test_what_was_written_before_it_looked_and_while_it_did_not_counts_for_nothing(
    tmp_path: Path,
) -> None:
    scene = Scene(tmp_path)
    scene.fails_for(MINUTE_MS)
    scene.looks(10 * MINUTE_MS)  # the controller was stopped meanwhile
    assert scene.fails_for(MINUTE_MS // 2) == []
    late = Lookout(tmp_path)
    assert late.look(scene.state, scene.now_ms) == []
    scene.prints(ERROR.format(0))
    assert late.look(scene.state, scene.now_ms + 1_000) == []


def test_it_looks_once_a_second_and_not_more_often(scene: Scene) -> None:
    scene.fails_for(MINUTE_MS)
    scene.prints(ERROR.format(99))
    assert scene.looks(400) == []
    assert len(scene.looks(2_000)) == 1


@pytest.mark.parametrize("trap", ["pipe", "link", "folder"])
def test_what_stands_in_place_of_a_log_is_not_read(tmp_path: Path, trap: str) -> None:
    scene = Scene(tmp_path)
    log = scene.folder / LOG
    match trap:
        case "pipe":
            os.mkfifo(log)
        case "link":
            log.symlink_to("/dev/zero")
        case _:
            log.mkdir()
    assert scene.looks() == []


def test_of_a_flood_the_end_is_read_and_a_log_that_was_cut_is_read_anew(scene: Scene) -> None:
    scene.prints("x" * (3 * LOG_BYTES) + "\n")
    scene.looks()
    (scene.folder / LOG).write_text("", "utf-8")
    scene.looks()
    scene.fails_for(MINUTE_MS)
    assert len(scene.fails_for(MINUTE_MS // 6)) == 1


# ── what is kept of who hangs ─────────────────────────────────────────────────────────────────────

REGISTERS = "import faulthandler, signal, time; faulthandler.register(signal.SIGUSR1)\n"
WAITS = (
    "def waits_for_ever():\n    print('begun', flush=True)\n    time.sleep(60)\nwaits_for_ever()\n"
)


@pytest.fixture
def hanging() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", REGISTERS + WAITS],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "MAKEWAY_STACKS": "USR1"},
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield process
        process.kill()


def test_where_its_threads_stand_is_kept_and_it_is_asked_for_its_stacks(
    tmp_path: Path, hanging: subprocess.Popen[str]
) -> None:
    file = keep_traces(tmp_path, hanging.pid)
    assert file is not None
    kept = msgspec.json.decode(file.read_bytes())
    (process,) = kept["processes"]
    assert process["pid"] == hanging.pid
    assert process["threads"][0]["state"] in ("S", "R")
    assert kept["stacks_asked_of"] == [hanging.pid]
    assert hanging.stderr is not None
    assert next(line for line in hanging.stderr if "in waits_for_ever" in line)


def test_of_who_is_gone_nothing_is_kept(tmp_path: Path) -> None:
    assert keep_traces(tmp_path, 0) is None
    assert not [*tmp_path.iterdir()]


# ── phases ──────────────────────────────────────────────────────────────────────────────────────────


def notes(scene: Scene, kind: str, key: str, value: object = None) -> None:
    note = Note(kind=kind, key=key, at_ms=scene.now_ms, value=value)
    scene.lookout.hear([Readings(job="a", number=1, rank=0, samples=(), notes=(note,))])


def trains(scene: Scene, steps: int = 3) -> None:
    for step in range(steps):
        scene.reads("loss", 0.5, step=step)
        scene.looks()


def test_a_phase_has_a_limit_of_its_own(scene: Scene) -> None:
    trains(scene)
    notes(scene, "phase", "eval", {"limit": "5m"})
    assert [one for _ in range(29) for one in scene.looks(10_000)] == []
    scene.looks(10_001)
    scene.looks(10_000)
    assert scene.state.attempts["a"].symptom is not None
    assert "the limit of its section 'eval'" in scene.state.attempts["a"].symptom.text


def test_after_a_phase_the_steps_have_their_limit_again(scene: Scene) -> None:
    trains(scene)
    notes(scene, "phase", "eval", {"limit": 3600})
    scene.looks(4_000)
    notes(scene, "phase", "")
    judged = [one for _ in range(40) for one in scene.looks(1_000)]
    assert [one.symptom is not None for one in judged] == [True]


def test_who_says_that_steps_will_come_has_a_limit_for_the_first(scene: Scene) -> None:
    notes(scene, "phase", "", {"steps": True})
    judged = [one for _ in range(11 * 60) for one in scene.looks(1_000)]
    assert [one.symptom is not None for one in judged] == [True]


@pytest.mark.parametrize("limit", [None, "soon", -3, float("nan"), [1], {}])
def test_a_limit_that_is_no_time_is_as_if_none_was_given(scene: Scene, limit: object) -> None:
    trains(scene)
    notes(scene, "phase", "eval", {"limit": limit})
    assert [one for _ in range(29) for one in scene.looks(10_000)] == []


def test_saved_work_is_progress(scene: Scene) -> None:
    trains(scene)
    for _ in range(4):
        notes(scene, "checkpoint", "step-1")
        assert scene.looks(12_000) == []


def waits_for(scene: Scene, *ranks: int) -> None:
    """Let the worker at whose place all meet say who has not come."""
    note = Note(kind="waiting", key="workers", value=list(ranks), at_ms=scene.now_ms)
    heard = Readings(job="a", number=1, rank=0, samples=(), notes=(note,))
    scene.lookout.hear([heard])


def test_who_has_not_met_the_others_is_named_until_all_have(scene: Scene) -> None:
    scene.looks()
    waits_for(scene, 1, 2)
    (judged,) = scene.looks()
    assert judged.symptom is not None
    assert (judged.symptom.name, judged.symptom.ranks) == ("not_ready", (1, 2))
    assert "ranks 1, 2 have not met the others yet" in judged.symptom.text
    assert scene.looks() == []
    waits_for(scene, 2)
    (judged,) = scene.looks()
    assert judged.symptom is not None
    assert judged.symptom.ranks == (2,)
    waits_for(scene)
    (judged,) = scene.looks()
    assert judged.symptom is None
