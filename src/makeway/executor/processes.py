"""Find, identify, measure and kill trees of processes, straight from /proc.

A pid is a number that is used again: a process is (pid, start time, boot). A tree is everything
that descends from a process; those that left it (a daemon whose parent has gone) come back to the
nearest subreaper, which every agent is, so a sweep of its descendants until none is left reaches
all of them. Measured there: what killpg cannot reach, `setsid` children and daemons, is reached.

Cost:    `descendants` about 60 µs a process, `memory_of` 20 µs a process
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

PROC = Path("/proc")
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_CHILD_SUBREAPER = 36
LIBC = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Let orphaned descendants come to this process instead of to pid 1."""
    if LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


@functools.cache
def boot_id() -> str:
    """Name this boot of the machine."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def start_ticks(pid: int) -> int | None:
    """Give when a process started (clock ticks after boot); None if it is gone."""
    fields = _stat(pid)
    return None if fields is None else int(fields[19])


def descendants(pid: int) -> list[int]:
    """Give every living process below `pid`, parents before children."""
    found, todo = [], [pid]
    while todo:
        children = list(_children(todo.pop()))
        found += children
        todo += children
    return found


def kill_descendants(pid: int, *, patience_s: float = 5.0) -> bool:
    """Kill everything below `pid`, which must be this process, and reap it; True if all is gone.

    Each round kills and reaps, and what was orphaned by it has come to us for the next one. A
    process in an uninterruptible wait outlasts the patience: the caller reports it.
    """
    until = time.monotonic() + patience_s
    pause = 0.001
    while True:
        reap()
        alive = descendants(pid)
        if not alive:
            return True
        for each in alive:
            _kill(each)
        if time.monotonic() > until:
            return False
        time.sleep(pause)
        pause = min(0.05, pause * 2)


def reap() -> list[tuple[int, int]]:
    """Collect every child that has ended: (pid, wait status)."""
    ended = []
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            ended.append((pid, status))
    return ended


def holders(lock: Path, marker: str) -> list[int]:
    """Find the processes of a worker that lost its agent.

    They have inherited the lock's descriptor, or, if a library closed it when it started them,
    they carry `marker` in the environment that they were started with.
    """
    me = os.getpid()
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != me:
            with contextlib.suppress(OSError):
                if _holds(entry, lock) or marker.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
    return found


def kill_all(pids: Iterable[int]) -> None:
    """Kill each of these and all below it."""
    for pid in pids:
        for each in [*descendants(pid), pid]:
            _kill(each)


def memory_of(pids: Iterable[int]) -> int:
    """Add up the resident memory, in bytes. Shared pages count once for each that maps them."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError, ValueError):
            total += int((PROC / str(pid) / "statm").read_bytes().split()[1]) * PAGE
    return total


def own_memory_of(pids: Iterable[int]) -> int:
    """Add up the memory in bytes, a page that several map divided among them (Pss); 1.5 ms each."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, StopIteration):
            lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
            total += int(next(line for line in lines if line.startswith("Pss:")).split()[1]) << 10
    return total


def cpu_ms_of(pids: Iterable[int]) -> int:
    """Add up the processor time used by these and by what they have waited for, in ms."""
    total = 0
    for pid in pids:
        fields = _stat(pid)
        if fields is not None:
            total += sum(int(field) for field in fields[11:15])
    return total * 1000 // TICKS


def _stat(pid: int) -> list[str] | None:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def _children(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for thread in (PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(OSError):
                yield from (int(child) for child in (thread / "children").read_text().split())


def _holds(entry: Path, lock: Path) -> bool:
    for descriptor in (entry / "fd").iterdir():
        with contextlib.suppress(OSError):
            if descriptor.readlink() == lock:
                return True
    return False


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
