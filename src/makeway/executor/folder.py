"""Keep what must outlive everybody in one folder a worker: small files, written whole.

    launch.json   what to run; written by the executor before anything is forked
    lock          held (flock) by the agent and its worker: held <=> one of them lives
    agent.json    the agent's pid, start time and boot id, so that it can be found again
    begun         the program was let go; without it nothing of the user's has run
    out.log       what the program printed
    notice        it was told to leave: cause and deadline
    report.json   what the worker's runner leaves behind when the step ended well
    error.json    the exception, if one ended it
    exit.json     how it ended; written last, by the agent, durable before the agent goes
    samples.bin   samples that nobody was there to take

Holds:   a file is complete or absent · exit.json is written once
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from makeway.model.record import ErrorRecord, Exit, Report

Kind = TypeVar("Kind")

LAUNCH, LOCK, AGENT, BEGUN = "launch.json", "lock", "agent.json", "begun"
LOG, NOTICE, REPORT, ERROR, EXIT = "out.log", "notice", "report.json", "error.json", "exit.json"
SPOOL = "samples.bin"


class AgentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Who an agent is: a pid alone could be anybody's by tomorrow."""

    pid: int
    started_ticks: int
    boot: str


def worker_folder(store: Path, job: str, number: int, rank: int) -> Path:
    """Give the folder of one worker of one attempt."""
    run, _, step = job.partition(".")  # a job of a workflow lies in the folder of its run
    return store / "workers" / run / step / str(number) / str(rank)


def write_whole(path: Path, value: object, *, durable: bool = False) -> None:
    """Write a value as JSON so that a reader sees all of it or nothing, even after a crash."""
    data = value if isinstance(value, bytes) else msgspec.json.encode(value)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with fresh.open("wb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    fresh.rename(path)
    if durable:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read_whole(path: Path, kind: type[Kind]) -> Kind | None:
    """Read a value written by `write_whole`; None if it is not there."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None


def read_exit(folder: Path) -> Exit | None:
    """Read how the worker ended, if its agent has written it."""
    return read_whole(folder / EXIT, Exit)


def read_report(folder: Path) -> Report | None:
    """Read what the step left behind."""
    return read_whole(folder / REPORT, Report)


def read_error(folder: Path) -> ErrorRecord | None:
    """Read the exception that ended the step."""
    return read_whole(folder / ERROR, ErrorRecord)


def try_lock(folder: Path) -> int | None:
    """Take the worker's lock and give its descriptor; None if an agent or a worker lives.

    The kernel frees it when the last process that inherited the descriptor is gone, however that
    came about: no pid file can say as much.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
