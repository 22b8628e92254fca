"""Find out which process listens at a port, from /proc alone.

Only processes of one's own can be looked into; of others it is not said who they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
LISTENS = "0A"


def who_listens(port: int) -> str | None:
    """Name the process that listens at a port of this machine, if it can be told."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    for process in PROC.iterdir() if sockets else ():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                if any(str(one.readlink()) in sockets for one in (process / "fd").iterdir()):
                    name = (process / "comm").read_text("utf-8", "replace").strip()
                    return f"{name} (pid {process.name})"
    return None


def _inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (PROC / "net" / table).read_text("utf-8").splitlines()[1:]:
                fields = line.split()
                if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == LISTENS:
                    yield fields[9]
