"""Read what a worker's tree uses besides memory, and what is left around it, straight from /proc.

What the network moves is counted by the machine, not by the process: unless a worker has a network
namespace of its own, it is the traffic of all who share it.

Gives:   names and values; what cannot be read (no rights, no such file) is left out
Cost:    about 100 µs a process, most of it for its descriptors; where there is no GPU, nothing for it
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from makeway.executor.protocol import Launch
from makeway.model.workflow import Binding, Many, Stored
from makeway.store.blobs import DIGEST

PROC = Path("/proc")
SHM = "/dev/shm"  # noqa: S108 - it is looked at, nothing is put there
GPUS_MAX, INPUTS_MAX = 64, 100


class Used:
    """Totals that only grow, added up over a tree: bytes read and written, bytes of the network."""

    __slots__ = ("read_bytes", "received_bytes", "sent_bytes", "written_bytes")

    def __init__(self, tree: Sequence[int]) -> None:
        """Read them now; 0 for what cannot be read."""
        self.read_bytes, self.written_bytes = _disk(tree)
        self.received_bytes, self.sent_bytes = _network(tree)


def held(tree: Sequence[int]) -> dict[str, float]:
    """Count what the tree holds open now: threads, and files with sockets and pipes."""
    threads = files = 0
    for pid in tree:
        with contextlib.suppress(OSError, ValueError, IndexError):
            stat = (PROC / str(pid) / "stat").read_text()
            threads += int(stat[stat.rindex(")") + 2 :].split()[17])
        with contextlib.suppress(OSError):  # of another user: only they may look
            files += len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - no path is wanted
    found: dict[str, float] = {"system/threads": threads}
    if files:
        found["system/open_files"] = files
    return found


def left(folder: Path) -> dict[str, float]:
    """Say what is left on the volume of this folder, and of shared memory."""
    found: dict[str, float] = {}
    with contextlib.suppress(OSError):
        there = os.statvfs(folder)
        found["system/disk_free_bytes"] = there.f_bavail * there.f_frsize
        if there.f_files:  # some file systems do not count them
            found["system/disk_free_inodes"] = there.f_favail
    with contextlib.suppress(OSError):
        there = os.statvfs(SHM)
        found["system/shm_free_bytes"] = there.f_bavail * there.f_frsize
    return found


def stored_inputs(launch: Launch) -> dict[str, str]:
    """Give the artifacts that a step reads, by their series."""
    call = launch.program.call
    found: dict[str, str] = {}
    if call is not None:
        for name, binding in call.arguments.items():
            for key, digest in _stored(name, binding):
                if DIGEST.fullmatch(digest):
                    found[f"available/{key}"] = digest
    return dict(islice(found.items(), INPUTS_MAX))


def _stored(key: str, binding: Binding) -> Iterator[tuple[str, str]]:
    match binding:
        case Stored(output):
            yield key, output.digest
        case Many(items):
            for place, item in enumerate(items):
                yield from _stored(f"{key}[{place}]", item)
        case _:
            return


def gpus(devices: Sequence[int] | None) -> dict[str, float]:
    """Read how busy the worker's GPUs are and what of their memory is used; nothing without NVML."""
    if not devices:
        return {}
    nvml = _nvml()
    found: dict[str, float] = {}
    if nvml is None:
        return found
    for device in devices[:GPUS_MAX]:
        with contextlib.suppress(nvml.NVMLError):
            handle = nvml.nvmlDeviceGetHandleByIndex(device)
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            busy = nvml.nvmlDeviceGetUtilizationRates(handle)
            found[f"system/gpu_{device}_utilization_percentage"] = float(busy.gpu)
            found[f"system/gpu_{device}_memory_usage_bytes"] = float(memory.used)
            share = 100 * memory.used / memory.total if memory.total else 0.0
            found[f"system/gpu_{device}_memory_usage_percentage"] = round(share, 1)
    return found


@functools.cache
def _nvml() -> Any:  # noqa: ANN401 - a module of an extra, None without it
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def _disk(tree: Iterable[int]) -> tuple[int, int]:
    read = written = 0
    for pid in tree:
        with contextlib.suppress(OSError, ValueError, IndexError):
            rows = (PROC / str(pid) / "io").read_text().splitlines()
            # What went through calls, from a cache too: a loader that waits reads nothing at all.
            read += int(rows[0].split()[1])
            written += int(rows[1].split()[1])
    return read, written


def _network(tree: Sequence[int]) -> tuple[int, int]:
    received = sent = 0
    for pid in tree[:1]:
        with contextlib.suppress(OSError, ValueError, IndexError):
            for row in (PROC / str(pid) / "net/dev").read_text().splitlines()[2:]:
                name, _, numbers = row.partition(":")
                if name.strip() != "lo":
                    fields = numbers.split()
                    received += int(fields[0])
                    sent += int(fields[8])
    return received, sent


RATES: tuple[tuple[str, Callable[[Used], int]], ...] = (
    ("system/disk_read_bytes_per_second", lambda used: used.read_bytes),
    ("system/disk_write_bytes_per_second", lambda used: used.written_bytes),
    ("system/network_receive_bytes_per_second", lambda used: used.received_bytes),
    ("system/network_transmit_bytes_per_second", lambda used: used.sent_bytes),
)
