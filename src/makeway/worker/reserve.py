"""Reserve what a worker needs before it may start: its folder, its program, its port.

The meeting port of a gang is bound and held, without listening, from the barrier to the end: the
usual "bind, close, hope" loses it to a stranger now and then, and a rank that meets a stranger
there hangs for minutes whatever timeout it was given. With SO_REUSEADDR on both sides the program's
own listener can still bind it, and nobody else's plain bind can.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from makeway.executor.protocol import Launch


class Reservation:
    """What is held for a worker; rank 0 of a job holds the meeting port."""

    def __init__(self, meeting: socket.socket | None) -> None:
        """Take the bound socket, if this worker holds one."""
        self._meeting = meeting

    @property
    def port(self) -> int:
        """Give the port at which the workers meet; 0 if another worker holds it."""
        return 0 if self._meeting is None else int(self._meeting.getsockname()[1])

    def descriptors(self) -> tuple[int, ...]:
        """Give what the program must not inherit."""
        return () if self._meeting is None else (self._meeting.fileno(),)


@contextlib.contextmanager
def reserve(launch: Launch) -> Iterator[Reservation]:
    """Check and hold all that the worker needs; OSError names what is not there."""
    program = launch.program
    directory = Path(program.directory or ".")
    if not directory.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such working directory", str(directory))
    if program.argv:
        path = program.environment.get("PATH", os.environ.get("PATH"))
        if shutil.which(program.argv[0], path=path) is None:
            raise FileNotFoundError(errno.ENOENT, "there is no such program", program.argv[0])
    if launch.rank != 0:
        yield Reservation(None)
        return
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as meeting:
        meeting.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        meeting.bind((launch.address, 0))
        yield Reservation(meeting)
