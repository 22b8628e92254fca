"""Keep what can be seen of a worker that hangs, before anybody kills it.

Of every process of its tree: its state, its command, and of each thread in which function of the
kernel it waits (`wchan`), with the kernel's stack where we may read it. A program that wants its
own stacks kept sets `MAKEWAY_STACKS=USR1` (or USR2) and registers `faulthandler` for that signal:
it is sent only to who catches it, and what it writes lands in the log of the worker.

Gives:   `stuck.json` in the worker's folder; None where there is no process to be looked at
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from makeway.executor.folder import write_whole
from makeway.executor.processes import descendants

STUCK = "stuck.json"
PROC = Path("/proc")
PROCESSES_MAX = 64
THREADS_MAX = 64
SIGNALS = {b"USR1": signal.SIGUSR1, b"USR2": signal.SIGUSR2}
WANTED = b"MAKEWAY_STACKS="


def keep_traces(folder: Path, pid: int) -> Path | None:
    """Write down where the processes of a worker stand; `pid` is that of its program."""
    if pid <= 0 or not (PROC / str(pid)).exists():
        return None
    tree = [pid, *descendants(pid)][:PROCESSES_MAX]
    found = [_process(one) for one in tree]
    asked = [one for one in tree if _asks_for_stacks(one)]
    at_ms = time.time_ns() // 1_000_000
    try:
        write_whole(folder / STUCK, {"at_ms": at_ms, "processes": found, "stacks_asked_of": asked})
    except OSError:  # the folder is gone, or the disk is full: the judgement stands all the same
        return None
    return folder / STUCK


def _process(pid: int) -> dict[str, object]:
    here = PROC / str(pid)
    threads = [
        {
            "thread": int(thread.name),
            "state": _state(thread),
            "waits_in": _text(thread / "wchan"),
            "kernel_stack": _text(thread / "stack").splitlines(),
        }
        for thread in sorted(here.glob("task/*"), key=lambda path: int(path.name))[:THREADS_MAX]
    ]
    command = _text(here / "cmdline").replace("\0", " ").strip()
    return {"pid": pid, "command": command, "threads": threads}


def _state(thread: Path) -> str:
    """Give the letter of a thread's state: S sleeps, D waits for a device, T is stopped."""
    _, _, rest = _text(thread / "stat").rpartition(")")
    return rest.split()[0] if rest.split() else ""


def _asks_for_stacks(pid: int) -> bool:
    """Send the signal that a program named for its stacks, if it does catch it."""
    try:
        variables = (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    named = next((one.removeprefix(WANTED) for one in variables if one.startswith(WANTED)), b"")
    number = SIGNALS.get(named)
    if number is None or not _catches(pid, number):
        return False
    with contextlib.suppress(OSError):
        os.kill(pid, number)
        return True
    return False


def _catches(pid: int, number: int) -> bool:
    for line in _text(PROC / str(pid) / "status").splitlines():
        name, _, value = line.partition(":")
        if name == "SigCgt":
            return bool(int(value, 16) >> (number - 1) & 1)
    return False


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:  # it is gone, or it is another user's
        return ""
