"""Limit and kill a worker's tree by a cgroup, where this machine lets us have one.

A worker's cgroup lies below the one that we are in ourselves, never elsewhere: whatever limits us
limits it as well. Of the second version it needs the memory controller, delegated to us (systemd:
`Delegate=yes`); of the first, the right to make a folder.

    v2   memory.max, memory.oom.group: the kernel ends the whole tree; cgroup.kill
    v1   memory.limit_in_bytes: the kernel ends one process of it, and we the others

Takes:   `root`, where the system's own files lie (/ but for tests)
Gives:   `parent_of_workers`: the folder in which workers' cgroups can be made; None if there is none
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from makeway.executor.processes import descendants

PROCS, SUBTREE = "cgroup.procs", "cgroup.subtree_control"
MAX_V2, MAX_V1 = "memory.max", "memory.limit_in_bytes"
OWN = "makeway-controller"
SYSTEM = Path("/")


def parent_of_workers(root: Path = SYSTEM) -> Path | None:
    """Find where workers' cgroups can be made, by making one."""
    for folder in (_own_v2(root), _own_v1(root)):
        if folder is not None and _works(folder):
            return folder
    return None


def make(cgroup: Path, memory_bytes: int) -> None:
    """Make a worker's cgroup with its limit; OSError if that is not to be had."""
    with contextlib.suppress(FileExistsError):
        cgroup.mkdir()
    if (cgroup / MAX_V2).exists():
        _write(cgroup / MAX_V2, memory_bytes)
        _try(cgroup / "memory.swap.max", 0)
        _try(cgroup / "memory.oom.group", 1)
    else:
        _write(cgroup / MAX_V1, memory_bytes)
        _try(cgroup / "memory.memsw.limit_in_bytes", memory_bytes)


def enter(cgroup: Path) -> None:
    """Put this process into it, and so all that it starts."""
    _write(cgroup / PROCS, 0)


def oom_kills(cgroup: Path) -> int:
    """Count how often the kernel ended something in it for want of memory."""
    for name in ("memory.events.local", "memory.events", "memory.oom_control"):
        counts = dict(line.split() for line in _read(cgroup / name).splitlines())
        if "oom_kill" in counts:
            return int(counts["oom_kill"])
    return 0


def peak_bytes(cgroup: Path) -> int:
    """Give the most that it has used; 0 if the kernel does not say."""
    for name in ("memory.peak", "memory.max_usage_in_bytes"):
        text = _read(cgroup / name).strip()
        if text:
            return int(text)
    return 0


def members(cgroup: Path) -> list[int]:
    """Give the processes in it."""
    return [int(line) for line in _read(cgroup / PROCS).split()]


def kill(cgroup: Path) -> None:
    """Kill all that is in it."""
    if (cgroup / "cgroup.kill").exists():
        _try(cgroup / "cgroup.kill", 1)
        return
    for pid in members(cgroup):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def remove(cgroup: Path, *, patience_s: float = 1.0) -> None:
    """Take an empty one away; the kernel may need a moment to see that it is."""
    until = time.monotonic() + patience_s
    while True:
        try:
            cgroup.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > until:
                return
            time.sleep(0.002)
        else:
            return


# ── where we are ourselves ────────────────────────────────────────────────────────────────────────


def _own_v2(root: Path) -> Path | None:
    own = _own(root, lambda kind, _options: kind == "cgroup2", "0::")
    if own is None or "memory" not in _read(own / "cgroup.controllers").split():
        return None
    if "memory" not in _read(own / SUBTREE).split() and not _delegate(own):
        return None
    return own


def _own_v1(root: Path) -> Path | None:
    return _own(root, lambda kind, options: kind == "cgroup" and "memory" in options, ":memory:")


def _own(root: Path, wanted: Callable[[str, list[str]], bool], label: str) -> Path | None:
    """Give the folder of the cgroup that this process is in."""
    lines = _read(root / "proc/self/cgroup").splitlines()
    path = next((line.partition(label)[2] for line in lines if label in line), None)
    if path is None:
        return None
    for line in _read(root / "proc/self/mounts").splitlines():
        _, mount, kind, options, *_ = line.split()
        if wanted(kind, options.split(",")):
            top = root / mount.lstrip("/")
            for own in (top / path.lstrip("/"), top):  # in a container the path may be the host's
                if os.getpid() in members(own):
                    return own
    return None


def _delegate(own: Path) -> bool:
    """Let the memory of folders below be limited; processes may then be in folders below alone."""
    if _try(own / SUBTREE, "+memory"):
        return True
    inside = members(own)
    if set(inside) - set(_family()):
        return False  # others live here, who are not ours to move
    aside = own / OWN
    try:
        aside.mkdir(exist_ok=True)
    except OSError:
        return False
    for pid in inside:
        _try(aside / PROCS, pid)
    if _try(own / SUBTREE, "+memory"):
        return True
    for pid in inside:
        _try(own / PROCS, pid)
    remove(aside, patience_s=0)
    return False


def _family() -> Iterator[int]:
    yield os.getpid()
    yield from descendants(os.getpid())


def _works(folder: Path) -> bool:
    trial = folder / f"makeway-trial-{os.getpid()}"
    try:
        make(trial, 1 << 40)
    except OSError:
        return False
    finally:
        remove(trial, patience_s=0)
    return True


# ── files of the kernel ───────────────────────────────────────────────────────────────────────────


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _write(path: Path, value: object) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, str(value).encode())
    finally:
        os.close(descriptor)


def _try(path: Path, value: object) -> bool:
    try:
        _write(path, value)
    except OSError:
        return False
    return True
