"""Write down how a worker ended: whatever else fails, this must not get lost."""

from __future__ import annotations

import time
from pathlib import Path

from makeway.executor.folder import EXIT, write_whole
from makeway.model.record import ErrorRecord, Exit

DISK_FULL_S = 600.0
AGAIN_S = 0.2


def write_exit(folder: Path, ended: Exit) -> None:
    """Write `exit.json`; on a disk that is full, when somebody has made room.

    Meanwhile the worker's lock is held: nobody takes it for lost.
    """
    until = time.monotonic() + DISK_FULL_S
    while True:
        try:
            write_whole(folder / EXIT, ended, durable=True)
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(AGAIN_S)
        else:
            return


def refused(error: OSError) -> Exit:
    """Say why the program was not even started."""
    what = f"{error.strerror}: {error.filename}" if error.filename else str(error)
    bases = tuple(base.__name__ for base in type(error).__mro__[1:-1])
    now_ms = time.time_ns() // 1_000_000
    return Exit(
        at_ms=now_ms,
        code=126,
        started=False,
        error=ErrorRecord(
            type=type(error).__name__, message=what, bases=bases, errno=error.errno,
            at_ms=now_ms,
        ),
    )  # fmt: skip
