"""Keep other controllers away from a store, until this one is gone, however it goes.

On a folder it is `flock`: the kernel frees it with the process. On PostgreSQL it is a session's
advisory lock, on a connection of its own that serves nothing else: the server frees it with the
connection, and keep-alives on both sides see to it that the connection of a machine that vanished
ends within 20 s.

Beside a database in a folder stands how far its log goes, written after each append. A file that was
cut short, or that was put back, would else be taken for the whole of what has happened.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from makeway.errors import Unavailable

END = "log.end"
PREFIX = "makeway controls: "
NAME_CHARS_MAX = 63  # the server cuts off what is longer


class Lock(Protocol):
    """What keeps others away."""

    where: str

    def take(self) -> bool:
        """Take it if nobody has it, and say whether it is ours."""

    def refresh(self) -> bool:
        """Take it again if it was lost on the way, and say whether it is ours."""

    def holder(self) -> str:
        """Say who has it."""

    def release(self) -> None:
        """Let go of it."""

    def note(self, seq: int) -> None:
        """Note, beside the store, how far its log goes."""

    def noted(self) -> int:
        """Give what was noted; 0: nothing."""


def name_of_holder(host: str, pid: int, since_ms: int) -> str:
    """Name a controller."""
    since = datetime.fromtimestamp(since_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"pid {pid} on {host}, since {since}"


class FolderLock:
    """A file in the folder of the store, locked; it says who did."""

    def __init__(self, folder: Path) -> None:
        """Take the folder."""
        self.where = str(folder)
        self._folder = folder
        self._descriptor: int | None = None
        self._end: int | None = None

    def take(self) -> bool:
        """Take it if nobody has it."""
        if self._descriptor is None:
            self._descriptor = self._open()
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        holder = name_of_holder(socket.gethostname(), os.getpid(), time.time_ns() // 1_000_000)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{holder}\n".encode(), 0)
        return True

    def refresh(self) -> bool:
        """Say yes: the kernel takes it away from nobody."""
        return self._descriptor is not None

    def holder(self) -> str:
        """Say who wrote into it last."""
        assert self._descriptor is not None
        written = os.pread(self._descriptor, 512, 0).decode(errors="replace").strip()
        return written or "who has just begun"

    def release(self) -> None:
        """Let go of it; the file stays."""
        for descriptor in (self._descriptor, self._end):
            if descriptor is not None:
                os.close(descriptor)
        self._descriptor = self._end = None

    def note(self, seq: int) -> None:
        """Write the number into a file of its own; it only ever grows, and so does the number."""
        # While the disk is full it stays what it was: too low is never wrong.
        with suppress(OSError):
            if self._end is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
                self._end = os.open(self._folder / END, flags, 0o600)
            os.pwrite(self._end, b"%d\n" % seq, 0)

    def noted(self) -> int:
        """Read the number."""
        try:
            return int((self._folder / END).read_text("ascii"))
        except (OSError, ValueError):
            return 0

    def _open(self) -> int:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            return os.open(self._folder / "controller.lock", flags, 0o600)
        except OSError as error:
            raise Unavailable(f"{error.strerror}", where=self.where) from None


# Each schema is a store of its own.
KEY = "hashtext('makeway controls'), hashtext(current_schema())"
TAKE = f"SELECT pg_try_advisory_lock({KEY})"
HAVE = "SELECT 1"
# pg_locks shows the two numbers of a key without their sign.
HOLDER = """
    SELECT application_name, extract(epoch FROM backend_start)
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted
    AND classid::bigint = hashtext('makeway controls')::bigint & 4294967295
    AND objid::bigint = hashtext(current_schema())::bigint & 4294967295
"""


class ServerLock:
    """A lock in PostgreSQL that ends with its connection; the connection bears who holds it."""

    def __init__(self, url: str) -> None:
        """Take the URL of the store."""
        from makeway.store import postgres  # an extra

        self._postgres = postgres
        self.where = postgres.name_of(url)
        self._url = url
        self._connection: Any = None
        self._ours = False

    def take(self) -> bool:
        """Take it if nobody has it."""
        taken = bool(self._ask(TAKE)[0][0])
        self._ours = taken
        return taken

    def refresh(self) -> bool:
        """Take it again if the connection was lost, and the lock with it."""
        with suppress(Unavailable):
            if self._ours:
                self._ask(HAVE)
        return self._ours or self.take()

    def holder(self) -> str:
        """Say who has it, by what the server knows of the connection."""
        with suppress(Unavailable):
            for name, since_s in self._ask(HOLDER):
                pid, _, host = name.removeprefix(PREFIX).partition("@")
                return name_of_holder(host, pid, int(since_s * 1000))
        return "who has just ended"

    def release(self) -> None:
        """Let go of it, and of the connection."""
        self._ours = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def note(self, seq: int) -> None:
        """Leave it to the server, which answers for its own files."""

    def noted(self) -> int:
        """Know nothing beside the server."""
        return 0

    def _ask(self, question: str) -> list[Any]:
        """Give the rows of an answer; a connection that fails is given up, and the lock with it."""
        import psycopg  # an extra; Unavailable has been said already if it is not there

        try:
            if self._connection is None:
                name = f"{PREFIX}{os.getpid()}@{socket.gethostname()}"
                self._connection = self._postgres.dial(self._url, name[:NAME_CHARS_MAX])
                for setting in self._postgres.SETTINGS:
                    self._connection.execute(setting)
            rows: list[Any] = self._connection.execute(question).fetchall()
        except psycopg.Error as error:
            self.release()
            problem = self._postgres.problem_of(error, self.where)
            if problem is None:
                raise
            raise problem from error
        return rows
