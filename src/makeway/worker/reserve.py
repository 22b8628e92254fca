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
from makeway.model.job import Program


class Reservation:
    """What is held for a worker; rank 0 of a job holds the meeting port."""

    def __init__(self, launch: Launch, executable: str) -> None:
        """Take the file that is to be executed; hold the port, if this is the worker for that."""
        self.executable = executable
        self._address = launch.address if launch.rank == 0 else None
        self._meeting: socket.socket | None = None
        self.renew()

    @property
    def port(self) -> int:
        """Give the port at which the workers meet; 0 if another worker holds it."""
        return 0 if self._meeting is None else int(self._meeting.getsockname()[1])

    def descriptors(self) -> tuple[int, ...]:
        """Give what the program must not inherit."""
        return () if self._meeting is None else (self._meeting.fileno(),)

    def renew(self) -> None:
        """Hold another port: whoever is late from the last meeting must not come to the next."""
        if self._address is None:
            return
        meeting = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        meeting.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        meeting.bind((self._address, 0))
        self.close()
        self._meeting = meeting

    def close(self) -> None:
        """Let go of the port."""
        if self._meeting is not None:
            self._meeting.close()


@contextlib.contextmanager
def reserve(launch: Launch) -> Iterator[Reservation]:
    """Check and hold all that the worker needs; OSError names what is not there.

    This process goes to the working directory: what the program's name says is said from there.
    """
    program = launch.program
    if program.directory:
        try:
            os.chdir(program.directory)
        except OSError as error:
            what = {
                errno.ENOENT: "there is no such working directory",
                errno.ENOTDIR: "the working directory is no directory",
            }.get(error.errno or 0, f"the working directory: {error.strerror}")
            raise type(error)(error.errno, what, program.directory) from None
    executable = ""
    if program.call is None:
        executable = _find(program)
    reservation = Reservation(launch, executable)
    try:
        yield reservation
    finally:
        reservation.close()


def _find(program: Program) -> str:
    """Give the file that a command line executes, as a shell finds it."""
    if not program.argv or not program.argv[0]:
        raise FileNotFoundError(errno.ENOENT, "there is no program to run", "")
    name = program.argv[0]
    path = program.environment.get("PATH", os.environ.get("PATH", os.defpath))
    if found := shutil.which(name, path=path):
        return found
    if os.sep in name and Path(name).is_dir():
        raise IsADirectoryError(errno.EISDIR, "this is a directory, not a program", name)
    if os.sep in name and Path(name).exists():
        raise PermissionError(errno.EACCES, "this file may not be executed (chmod +x)", name)
    raise FileNotFoundError(errno.ENOENT, "there is no such program", name)
