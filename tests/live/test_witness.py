"""Whoever looks at an attempt right before its bad end is believed; and who looks for lost data."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from makeway.executor.folder import LOG, checkpoints, worker_folder
from makeway.live.probe import EVERY_MS, Probe
from makeway.live.witness import LINES_MAX, Witness, tail
from makeway.model import event as ev
from makeway.model.incident import InputSeen, Phase, Seen
from makeway.model.job import Program, StepCall
from makeway.model.record import Output, Sample
from makeway.model.workflow import Stored
from makeway.store.checkpoint import publish
from makeway.store.database import Database
from makeway.store.series_writer import SeriesWriter
from tests.engine.house import House


class Scene:
    """A gang of two that is at work, and a witness beside it."""

    def __init__(self, store: Path, database: Database) -> None:
        self.house = House("n1")
        self.house.submit("a", workers=2)
        self.house.go("a")
        self.folder = worker_folder(store, "a", 1, 0)
        self.folder.mkdir(parents=True)
        self.series = SeriesWriter(database)
        self.witness = Witness(store, database, self.series.flush)

    def sees(self, *events: ev.Event) -> list[ev.Event]:
        return self.witness.watch(self.house.engine.state, events)

    def ends(self, rank: int, **how: object) -> ev.WorkerExited:
        return self.house.exited("a", rank, **how)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with Database.open(tmp_path) as database:
        yield Scene(tmp_path, database)


def write_model(folder: Path) -> None:
    (folder / "model").write_text("weights", encoding="utf-8")


def reads(store: Path, database: Database, output: Output) -> list[InputSeen]:
    """Give what is seen of the input of a step that reads this and fails."""
    house = House("n1")
    call = StepCall(file="flow.py", function="train", arguments={"data": Stored(output)})
    house.submit("a", program=Program(call=call))
    house.go("a")
    witness = Witness(store, database, lambda: None)
    events = witness.watch(house.engine.state, [house.exited("a", 0, code=1)])
    return list(seen_in(events).inputs)


def test_an_output_in_memory_that_nobody_holds_any_more_is_told_as_gone(tmp_path: Path) -> None:
    output = Output(digest="a" * 64, codec="json", size_bytes=1, durability="memory")
    with Database.open(tmp_path) as database:
        [seen] = reads(tmp_path, database, output)
    assert (seen.name, seen.durability, seen.available) == ("data", "memory", False)


def test_a_durable_output_is_lost_only_if_its_store_can_be_reached(tmp_path: Path) -> None:
    output = Output(digest="a" * 64, codec="json", size_bytes=1)
    with Database.open(tmp_path) as database:
        [away] = reads(tmp_path, database, output)
        assert (away.durability, away.available) == ("durable", False)
        (tmp_path / "artifacts").mkdir()
        [gone] = reads(tmp_path, database, output)
    assert (gone.durability, gone.available) == ("node", False)


def seen_in(events: list[ev.Event]) -> Seen:
    return next(event.seen for event in events if isinstance(event, ev.AttemptSeen))


def test_the_part_of_its_program_that_a_worker_was_in_is_seen(scene: Scene) -> None:
    scene.witness.phase_of = lambda _attempt, rank: Phase(name=f"eval-{rank}", since_s=3.0)
    seen = seen_in(scene.sees(scene.ends(1, code=1)))
    assert seen.phase == Phase(name="eval-1", since_s=3.0)


def test_a_good_end_is_not_looked_at(scene: Scene) -> None:
    end = scene.ends(0)
    assert scene.sees(end) == [end]


def test_it_looks_once_before_the_first_bad_end_of_an_attempt(scene: Scene) -> None:
    ends = [scene.ends(0), scene.ends(1, code=1)]
    events = scene.sees(*ends)
    assert [type(event).__name__ for event in events] == [
        "WorkerExited", "AttemptSeen", "WorkerExited",
    ]  # fmt: skip
    assert len(scene.sees(scene.ends(0, code=1), scene.ends(1, code=1))) == 3
    scene.house.tell(events[1], scene.ends(1, code=1))
    late = scene.ends(0, signal=15)
    assert scene.sees(late) == [late]


def test_what_an_older_attempt_says_is_not_looked_at(scene: Scene) -> None:
    old = ev.WorkerExited(job="a", fence=0, rank=0, exit=scene.ends(0, code=1).exit)
    strange = ev.WorkerExited(job="b", fence=1, rank=0, exit=scene.ends(0, code=1).exit)
    assert scene.sees(old, strange) == [old, strange]


def test_a_lost_machine_is_a_bad_end_of_all_that_ran_there(scene: Scene) -> None:
    events = scene.sees(ev.NodeLost(name="n1"))
    assert [type(event).__name__ for event in events] == ["AttemptSeen", "NodeLost"]


def test_it_hands_in_the_last_samples_the_log_the_disk_and_the_saved_work(scene: Scene) -> None:
    at_ms = scene.house.now_ms + 500
    sample = Sample(name="system/memory_usage_bytes", at_ms=at_ms, value=5e6)
    scene.series.add("a", 1, 0, [sample])  # not written yet
    (scene.folder / LOG).write_text("loading\nKeyError: 'x'\n", encoding="utf-8")
    publish(
        checkpoints(scene.folder),
        write_model,
        step=40, fence=1, progress=0.38,
    )  # fmt: skip
    seen = seen_in(scene.sees(scene.ends(0, code=1)))
    assert seen.samples["memory_mb"] == ((0.5, 5.0),)
    assert seen.log == ("loading", "KeyError: 'x'")
    assert (seen.checkpoint.progress, seen.checkpoint.step) == (0.38, 40)
    assert seen.disk.bytes_free


def test_of_who_was_told_to_leave_only_how_far_it_came_is_read(scene: Scene) -> None:
    (scene.folder / LOG).write_text("a long story\n", encoding="utf-8")
    scene.house.tell(ev.NodeDrained(name="n1", evict=True))
    scene.series.add("a", 1, 0, [Sample(name="progress", at_ms=scene.house.now_ms, value=0.4)])
    scene.series.add("a", 1, 0, [Sample(name="loss", at_ms=scene.house.now_ms, value=0.4)])
    seen = seen_in(scene.sees(scene.ends(0, signal=15)))
    assert (seen.samples, seen.log) == ({"progress": ((0.0, 0.4),)}, ())


def test_of_a_long_log_the_last_whole_lines_are_read_and_nothing_of_a_pipe(tmp_path: Path) -> None:
    file = tmp_path / LOG
    assert tail(file) == ()
    file.write_bytes(b"".join(b"line %d \xff\n" % number for number in range(20_000)))
    lines = tail(file)
    assert (len(lines), lines[-1]) == (LINES_MAX, "line 19999 �")
    link = tmp_path / "link"
    link.symlink_to(file)
    assert tail(link) == ()


# ── data that are away ────────────────────────────────────────────────────────────────────────────


def settled() -> None:
    """Wait until nobody is asked any more."""
    for thread in threading.enumerate():
        if thread.name == "probe":
            thread.join()


def test_data_are_found_when_all_of_them_can_be_read(tmp_path: Path) -> None:
    house, probe, now_ms = House("n1"), Probe(), 10_000
    first, second = tmp_path / "one.csv", tmp_path / "two.csv"
    house.submit("a")
    house.go("a")
    house.pass_time(10_000)
    away = tuple(InputSeen(name=p.name, path=str(p), available=False) for p in (first, second))
    seen = Seen(inputs=away, available={"one.csv": ((0.0, 1.0), (5.0, 0.0))})
    house.tell(ev.AttemptSeen(job="a", number=1, fence=1, seen=seen))
    house.fails("a", "FileNotFoundError", errno=2)
    found: list[ev.DataFound] = []
    for there in ((), (first,), (first, second)):
        for path in there:
            path.touch()
        for _ in range(2):  # ask, then hear
            assert not found
            now_ms += EVERY_MS
            found = probe.look(house.engine.state, now_ms)
            settled()
    now_ms += EVERY_MS
    found = found or probe.look(house.engine.state, now_ms)
    assert [event.job for event in found] == ["a"]
    house.tell(*found)
    assert probe.look(house.engine.state, now_ms + EVERY_MS) == []
