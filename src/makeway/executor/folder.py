"""Keep what must outlive everybody in one folder a worker: small files, written whole.

    launch.json   what to run; written by the executor before anything is forked
    lock          held (flock) by the agent and its worker: held <=> one of them lives
    agent.json    the agent's pid, start time and boot id, so that it can be found again
    begun         the program was let go; without it nothing of the user's has run
    out.log       what the program printed
    notice        it was told to leave: cause and deadline
    resize.json   for a program that takes changes while it runs: its membership from here on
    team.json     with rank 0: which generation the attempt is in, and where that one meets
    yield.json    what the program leaves when it has saved its work and ends with 75
    report.json   what the worker's runner leaves behind when the step ended well
    error.json    the exception, if one ended it
    exit.json     how it ended; written last, by the agent, durable before the agent goes
    stuck.json    where its processes stood when it was judged to be stuck
    samples.bin   samples that nobody was there to take

Beside the folders of an attempt's workers, `diagnosis.json` says why it ended, for the next one.

Where the worker is another user's, the folder is still ours: they may add files to it and change
their own, but neither touch ours nor put one in our way (sticky, and written under a fresh name).

Holds:   a file is complete or absent · exit.json is written once
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from makeway.failpoint import reach
from makeway.model.record import ErrorRecord, Exit, Report, Yielded

Kind = TypeVar("Kind")

LAUNCH, LOCK, AGENT, BEGUN = "launch.json", "lock", "agent.json", "begun"
LOG, NOTICE, REPORT, ERROR, EXIT = "out.log", "notice", "report.json", "error.json", "exit.json"
DIAGNOSIS = "diagnosis.json"
SPOOL, RESIZE, TEAM, YIELD = "samples.bin", "resize.json", "team.json", "yield.json"


class AgentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Who an agent is: a pid alone could be anybody's by tomorrow."""

    pid: int
    started_ticks: int
    boot: str
    run_as: str = ""


def worker_folder(store: Path, job: str, number: int, rank: int) -> Path:
    """Give the folder of one worker of one attempt."""
    run, _, step = job.partition(".")  # a job of a workflow lies in the folder of its run
    return store / "workers" / run / step / str(number) / str(rank)


def checkpoints(folder: Path) -> Path:
    """Give the folder in which all attempts of a job keep their checkpoints."""
    return folder.parent.parent / "checkpoint"


def write_whole(path: Path, value: object, *, durable: bool = False) -> None:
    """Write a value as JSON so that a reader sees all of it or nothing, even after a crash."""
    data = value if isinstance(value, bytes) else msgspec.json.encode(value)
    reach(f"{path.name}.write")
    name = f"{path.parent}/.{path.name}.{os.getpid()}"
    fresh = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(name, fresh, 0o644)
    except FileExistsError:  # one of this pid died here, or a stranger put something in the way
        os.unlink(name)  # noqa: PTH108 - the hot path of every worker
        descriptor = os.open(name, fresh, 0o644)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    reach(f"{path.name}.rename")
    os.rename(name, path)  # noqa: PTH104 - as above
    if durable:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    reach(f"{path.name}.written")


def read_whole(path: Path, kind: type[Kind]) -> Kind | None:
    """Read a value written by `write_whole`; None if it is not there, or is nothing of ours.

    The worker's own user may put anything there: a link, a pipe that nobody writes to.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
            return None
        raise
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return msgspec.json.decode(file.read() or b"", type=kind)
    except (msgspec.DecodeError, BlockingIOError, IsADirectoryError):
        return None
    finally:
        os.close(descriptor)


def read_exit(folder: Path) -> Exit | None:
    """Read how the worker ended, if its agent has written it: the agent, and nobody else."""
    with contextlib.suppress(FileNotFoundError):
        if (folder / EXIT).lstat().st_uid == os.geteuid():
            return read_whole(folder / EXIT, Exit)
    return None


def read_report(folder: Path) -> Report | None:
    """Read what the step left behind."""
    return read_whole(folder / REPORT, Report)


def read_error(folder: Path) -> ErrorRecord | None:
    """Read the exception that ended the step."""
    return read_whole(folder / ERROR, ErrorRecord)


def read_yield(folder: Path) -> Yielded | None:
    """Read what a program left that saved its work and wants to go on later."""
    return read_whole(folder / YIELD, Yielded)


def give_to(folder: Path, gid: int) -> None:
    """Let a user add files to a worker's folder; what is ours stays ours."""
    os.chown(folder, -1, gid)
    folder.chmod(0o1770)


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
