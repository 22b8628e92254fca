"""An agent elsewhere renews its lease by its own clock, and knows when it may not go on."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from makeway.errors import Unavailable
from makeway.executor.door import known_door, open_door
from makeway.executor.protocol import Hello, Renewed
from makeway.worker import contact as contact_module
from makeway.worker.contact import Remote, Seated

LEASE_MS = 15_000
MS = 1_000_000


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_ns = 10**12

    def __call__(self) -> int:
        return self.now_ns

    def passes(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1000) * MS


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(contact_module, "_now_ns", made)
    return made


def remote(seat: int) -> Remote:
    hello = Hello(job="j", number=1, fence=1, rank=0)
    return Remote(Seated(door="/nowhere", hello=hello, lease_ms=LEASE_MS, seat=seat))


def test_it_asks_every_third_of_the_lease_and_ends_after_two_thirds_without_an_answer(
    clock: Clock,
) -> None:
    there = remote(os.getppid())
    assert there.renewal() is None
    clock.passes(5)
    asked = there.renewal()
    assert asked is not None
    assert there.renewal() is None
    clock.passes(4)
    there.renewed(Renewed(sent_ns=asked.sent_ns))
    clock.passes(5.9)
    assert not there.broken(), "9.9 s since the question that was answered"
    clock.passes(0.1)
    assert "its lease is over" in there.broken()


def test_an_answer_to_a_question_of_long_ago_renews_nothing(clock: Clock) -> None:
    there = remote(os.getppid())
    clock.passes(5)
    asked = there.renewal()
    assert asked is not None
    clock.passes(30)  # it was frozen meanwhile
    there.renewed(Renewed(sent_ns=asked.sent_ns))
    assert there.broken()


def test_an_answer_from_the_future_is_not_believed(clock: Clock) -> None:
    there = remote(os.getppid())
    there.renewed(Renewed(sent_ns=clock.now_ns + 10**15))
    clock.passes(10)
    assert there.broken()


def test_a_seat_that_is_gone_or_another_process_is_no_seat(clock: Clock) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert "its place was taken away" in remote(gone.pid).broken()
    assert "its place was taken away" in remote(os.getpid()).broken(), "not this process's parent"


# ── the door ──────────────────────────────────────────────────────────────────────────────────────


def test_a_door_keeps_its_key_and_its_port_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    first, listening = open_door(tmp_path, known_door(tmp_path), "127.0.0.1", 0)
    listening.close()
    again, listening = open_door(tmp_path, known_door(tmp_path), "127.0.0.1", 0)
    listening.close()
    assert first == again
    assert (tmp_path / "door.json").stat().st_mode & 0o777 == 0o600


def test_where_its_port_is_taken_it_takes_another_but_not_one_that_was_named(
    tmp_path: Path,
) -> None:
    first, listening = open_door(tmp_path, known_door(tmp_path), "127.0.0.1", 0)
    listening.close()
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", first.port))
        stranger.listen()
        again, listening = open_door(tmp_path, known_door(tmp_path), "127.0.0.1", 0)
        listening.close()
        assert again.port != first.port
        with pytest.raises(Unavailable, match="agents cannot be listened for"):
            open_door(tmp_path, known_door(tmp_path), "127.0.0.1", first.port)


def test_a_token_is_for_one_worker_of_one_attempt_of_one_store(tmp_path: Path) -> None:
    door, other = known_door(tmp_path), known_door(tmp_path)
    hello = door.hello("j", 1, 2, 0)
    assert door.knows(hello)
    assert not other.knows(hello)
    for changed in ({"job": "k"}, {"number": 2}, {"fence": 3}, {"rank": 1}, {"token": "é"}):
        fields = {name: getattr(hello, name) for name in hello.__struct_fields__}
        assert not door.knows(Hello(**{**fields, **changed}))
