"""Bound what a worker prints: the log of one that floods it is cut, and says so.

Holds:   the log is at most MOST_BYTES, and what is printed between two looks
Cost:    one `stat` a reading; a cut keeps the last KEPT_BYTES, and may lose a line in between
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from makeway.executor.folder import LOG

MOST_BYTES = 1 << 30
KEPT_BYTES = 16 << 20


def cut_flood(folder: Path) -> None:
    """Cut the log of the worker whose folder this is, if it has become too long."""
    with contextlib.suppress(OSError):  # there is none, or it is not ours to cut
        if os.lstat(folder / LOG).st_size > MOST_BYTES:
            _cut(folder / LOG)


def _cut(log: Path) -> None:
    descriptor = os.open(log, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return
        tail = os.pread(descriptor, KEPT_BYTES, status.st_size - KEPT_BYTES)
        whole = tail[tail.find(b"\n") + 1 :]
        # The worker appends: what it prints from here on stands behind what is kept.
        os.ftruncate(descriptor, 0)
        gone = status.st_size - len(whole)
        told = f"makeway: {gone:,} bytes were cut here; a log has {MOST_BYTES:,} at most\n"
        data = told.encode() + whole
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)
