"""Outputs that are held in memory: there as long as their holder lives, and not a moment longer."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from makeway.errors import NotFound
from makeway.executor.address import listen
from makeway.executor.protocol import Launch
from makeway.model.job import Program
from makeway.model.record import Output
from makeway.store import held
from makeway.store.blobs import Blobs
from makeway.worker.holding import Held, MemoryBlobs, blobs_for
from makeway.worker.values import decode, encode

RECORDS = "record.sock"


def launch(store: Path) -> Launch:
    known = {"job": "r.ingest", "store": str(store), "program": msgspec.to_builtins(Program())}
    plain: dict[type, object] = {str: "", int: 0, bool: False}
    wanted = {
        field.name: plain.get(field.type)
        for field in msgspec.structs.fields(Launch)
        if field.required
    }
    return msgspec.convert(wanted | known | {"type": "Launch"}, Launch)


class Agent:
    """What an agent does about outputs in memory, without all else that it does."""

    def __init__(self, store: Path) -> None:
        self.store, self.held, self.pids = store, Held(), list[int]()
        self.records = listen(store / RECORDS, socket.SOCK_DGRAM)
        self.records.settimeout(0)

    def keep(self, value: object) -> Output:
        """Store a value as the step's process does, and take what it sends."""
        blobs = blobs_for(self.store, "memory", self.store / RECORDS)
        output = encode(value, blobs)
        while True:
            try:
                said, descriptors, *_ = socket.recv_fds(self.records, 1 << 16, 1)
            except BlockingIOError:
                return output
            self.held.take(said, descriptors)

    def leaves(self) -> int:
        pid = self.held.leave(launch(self.store), None)
        assert pid is not None, "there is something to hold"
        self.pids.append(pid)
        return pid

    def close(self) -> None:
        self.records.close()
        self.held.drop()
        for pid in self.pids:
            end(pid)


def end(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    try:
        os.kill(pid, number)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        return


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    there = Agent(tmp_path)
    yield there
    there.close()


def test_a_value_is_read_from_the_memory_of_its_holder(agent: Agent) -> None:
    output = agent.keep({"rows": [1, 2, 3]})
    agent.leaves()
    assert output.durability == "memory"
    assert decode(output, agent.store) == {"rows": [1, 2, 3]}
    assert Blobs(agent.store).read_verified(output.digest)
    assert not (agent.store / "artifacts").exists(), "no disk is written to"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_is_gone_with_its_holder_however_that_goes(agent: Agent, number: signal.Signals) -> None:
    output = agent.keep([1])
    pid = agent.leaves()
    assert Blobs(agent.store).has(output.digest)
    end(pid, number)
    assert not Blobs(agent.store).has(output.digest)
    with pytest.raises(NotFound):
        Blobs(agent.store).read(output.digest)


def test_what_a_step_holds_is_not_there_before_the_step_has_ended_well(agent: Agent) -> None:
    output = agent.keep([1])
    assert not Blobs(agent.store).has(output.digest)
    agent.held.drop()
    assert agent.held.leave(launch(agent.store), None) is None


def test_what_two_hold_is_there_as_long_as_one_of_them_is(agent: Agent) -> None:
    output = agent.keep([1])
    first = agent.leaves()
    agent.keep([1])
    agent.leaves()
    end(first)
    assert decode(output, agent.store) == [1]


def test_what_is_durable_too_outlives_its_holder(agent: Agent) -> None:
    output = agent.keep([1])
    pid = agent.leaves()
    assert encode([1], Blobs(agent.store)).digest == output.digest
    end(pid)
    assert decode(output, agent.store) == [1]


def test_a_process_that_has_the_pid_by_now_is_not_taken_for_the_holder(agent: Agent) -> None:
    output = agent.keep([1])
    pid = agent.leaves()
    [link] = held.folder_of(agent.store, output.digest).iterdir()
    end(pid)
    stranger = os.open(link.parent, os.O_RDONLY)
    try:
        link.unlink()
        token = link.name.rpartition("-")[2]
        fake = link.with_name(held.link_name(os.getpid(), stranger, token))
        fake.symlink_to(f"/proc/{os.getpid()}/fd/{stranger}")
        assert held.find(agent.store, output.digest) is None
    finally:
        os.close(stranger)


def test_nobody_can_change_what_is_held(agent: Agent) -> None:
    output = agent.keep([1])
    agent.leaves()
    with pytest.raises(PermissionError):
        Blobs(agent.store).path(output.digest).write_bytes(b"x")


def test_a_stranger_that_sends_something_else_is_not_listened_to(agent: Agent) -> None:
    with open(os.devnull) as nothing:  # noqa: PTH123 - any descriptor will do
        agent.held.take(b"no digest", [os.dup(nothing.fileno())])
        agent.held.take(b"a" * 64 + b" token", [os.dup(nothing.fileno())])
    assert agent.held.leave(launch(agent.store), None) is None


def test_what_is_kept_on_the_node_lies_beside_the_store(tmp_path: Path) -> None:
    output = encode([1], blobs_for(tmp_path, "node", tmp_path / RECORDS))
    assert output.durability == "node"
    assert decode(output, tmp_path) == [1]
    Blobs(tmp_path).path(output.digest).unlink()
    assert not Blobs(tmp_path).has(output.digest)


def test_an_output_that_is_large_is_held_whole(agent: Agent) -> None:
    rows = [*range(500_000)]
    output = agent.keep(rows)
    agent.leaves()
    assert output.size_bytes > 3_000_000
    assert decode(output, agent.store) == rows


def test_the_same_value_is_sent_once(agent: Agent) -> None:
    blobs = MemoryBlobs(agent.store, agent.store / RECORDS)
    assert encode([1], blobs) == encode([1], blobs)
    said, descriptors, *_ = socket.recv_fds(agent.records, 1 << 16, 1)
    agent.held.take(said, descriptors)
    with pytest.raises(BlockingIOError):
        agent.records.recv(1)
