"""An agent keeps samples while the controller is slow or away, and never waits for it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from makeway.executor.address import listen
from makeway.executor.protocol import Frames, FromAgent, Launch, Measured
from makeway.model.job import Program
from makeway.model.record import Sample
from makeway.worker import link as link_module
from makeway.worker.contact import Nearby
from makeway.worker.link import Link
from makeway.worker.recorder import Recorder

LAUNCH = Launch(
    job="j", number=1, fence=1, rank=0, workers=1, workers_min=1, workers_max=1, local_rank=0,
    local_workers=1, node="here", node_rank=0, nodes=1, address="127.0.0.1", barrier_ms=1000,
    sample_ms=1000, program=Program(argv=("true",)), run=None, step=None, store="", controller="",
)  # fmt: skip


class Controller:
    """The controller's end of the link, which reads when the test says so."""

    def __init__(self, place: Path) -> None:
        self.door = listen(place)
        self.frames: Frames[FromAgent] = Frames(FromAgent)
        self.samples: list[Sample] = []
        self.peer: socket.socket | None = None

    def read(self) -> int:
        """Read once, as much as there is; give how many samples there were so far."""
        if self.peer is None:
            self.peer, _ = self.door.accept()
            self.peer.settimeout(0)
        try:
            data = self.peer.recv(1 << 20)
        except BlockingIOError:
            return len(self.samples)
        for message in self.frames.feed(data):
            assert isinstance(message, Measured)
            self.samples += message.samples
        return len(self.samples)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.door.close()
        if self.peer is not None:
            self.peer.close()


@pytest.fixture
def link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Link]:
    monkeypatch.setattr(link_module, "HELD_BACK_AT", 5_000)
    monkeypatch.setattr(link_module, "KEPT_MAX", 10_000)
    monkeypatch.setattr(Nearby, "again_s", 0.0)
    made = Link(Nearby(tmp_path / "controller"), tmp_path)
    yield made
    made.close()


def look(link: Link) -> None:
    """Do what an agent does at each turn."""
    for _ in link.exchange(timeout_ms=0):
        pass
    link.pass_on(LAUNCH, link.read_records())


def test_while_the_controller_is_slow_nothing_is_lost(link: Link, tmp_path: Path) -> None:
    with Controller(tmp_path / "controller") as controller:
        recorder = Recorder(tmp_path)
        for step in range(60_000):
            recorder.sample("loss", 1.0, step)
            if not step % 100:
                look(link)
        assert recorder._kept, "the recorder keeps what the agent does not take"
        turns = 0
        while controller.read() < 60_000:
            recorder.flush()
            look(link)
            turns += 1
            assert turns < 100_000, f"{len(controller.samples)} came"
        assert [sample.step for sample in controller.samples] == list(range(60_000))
        assert (link.dropped, recorder.dropped) == (0, 0)


def test_while_it_is_away_the_oldest_go_first_and_are_counted(link: Link, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    for step in range(30_000):
        recorder.sample("loss", 1.0, step)
        if not step % 100:
            recorder.flush()
            look(link)
    recorder.flush()
    look(link)
    assert link.dropped >= 19_000
    with Controller(tmp_path / "controller") as controller:
        turns = 0
        while not controller.samples or controller.samples[-1].step != 29_999:
            look(link)
            controller.read()
            turns += 1
            assert turns < 10_000
        steps = [sample.step for sample in controller.samples]
    assert steps == list(range(30_000 - len(steps), 30_000))
    assert len(steps) + link.dropped == 30_000
