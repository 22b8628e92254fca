"""A pid that is somebody else's by now is neither taken for an agent nor killed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from makeway.executor import folder as files
from makeway.executor.adoption import find
from makeway.executor.processes import boot_id, start_ticks
from makeway.model.record import Exit


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with us."""
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            yield process
        finally:
            process.kill()


def record(pid: int) -> files.AgentRecord:
    """What an agent with this pid would have written of itself."""
    ticks = start_ticks(pid)
    assert ticks is not None
    return files.AgentRecord(pid=pid, started_ticks=ticks, boot=boot_id())


@pytest.mark.parametrize(
    "change", [{"started_ticks": 7}, {"boot": "another boot"}], ids=["later", "after a reboot"]
)
@pytest.mark.parametrize("held", [False, True], ids=["nobody is left", "its worker is left"])
def test_a_stranger_with_the_agents_pid_is_left_alone(
    tmp_path: Path, stranger: subprocess.Popen[bytes], change: dict[str, object], held: bool
) -> None:
    agent = msgspec.structs.replace(record(stranger.pid), **change)
    files.write_whole(tmp_path / files.AGENT, agent)
    (tmp_path / files.BEGUN).touch()
    worker = None
    if held:
        lock = files.try_lock(tmp_path)
        assert lock is not None
        worker = subprocess.Popen(["sleep", "600"], pass_fds=[lock])
        os.close(lock)
    found = find(tmp_path)
    assert isinstance(found, Exit)
    assert found.lost == "its agent vanished without a record"
    assert stranger.poll() is None
    if worker is not None:
        assert worker.wait(30) == -9


def test_the_agent_itself_is_found_by_the_same_rule(
    tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    files.write_whole(tmp_path / files.AGENT, record(stranger.pid))
    lock = files.try_lock(tmp_path)
    assert lock is not None
    assert find(tmp_path) == stranger.pid
    os.close(lock)
