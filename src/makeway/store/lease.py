"""Let one controller at a time control a store, and let no other one write.

A lock keeps others away: the kernel frees it when the process is gone, or the server when the
connection is, however they went. On a folder it is `flock`, on PostgreSQL a session's advisory
lock, on a connection of its own that serves nothing else. A second controller is told who is at
work; one that stands by waits, and takes over.

A lock alone is not enough: who lost it need not know yet. So each controller begins a term, one
higher than the last, and makes sure within every transaction that the term is still its own. Since
who writes is alone, nobody can begin a new term in between: what a controller of an earlier term
still wants to write is refused.

Raises:  Conflict: another one is at work, and patience is over · LeaseLost: another one took over
         Unavailable: the server cannot be reached
Cost:    a term is checked in 20 µs (SQLite) to 0.1 ms (PostgreSQL, same machine)
Source:  a fence to every lock: Kleppmann, How to do distributed locking, 2016
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from makeway.errors import Conflict, Unavailable
from makeway.failpoint import reach
from makeway.store import schema
from makeway.store.database import Database, Location
from makeway.store.statement import Upsert

ASK_EVERY_S = 0.25
THE_LEASE = 1  # there is one row

LEASE = schema.lease.c
COLUMNS = ("id", "term", "host", "pid", "since_ms")
HELD = sa.select(LEASE.term, LEASE.host, LEASE.pid, LEASE.since_ms)
BEGIN = Upsert(schema.lease, COLUMNS, ("id",), replace=COLUMNS[1:])


class LeaseLost(Conflict):
    """Another controller has taken over; this one may write nothing more."""


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


class Lease:
    """The right to control a store, for as long as nobody has taken over; see the module."""

    def __init__(self, lock: Lock) -> None:
        """Take a lock that is held."""
        self.term = 0
        self._lock = lock

    def begin(self, database: Database) -> None:
        """Begin a term in the store itself; once is enough."""
        if self.term:
            return
        reach("lease.begin.before")
        with database.transaction():
            before = database.find(HELD)
            term = before[0][0] + 1 if before else 1
            since_ms = time.time_ns() // 1_000_000
            database.write(BEGIN, [(THE_LEASE, term, socket.gethostname(), os.getpid(), since_ms)])
        reach("lease.begin.after")
        self.term = term

    def check(self, database: Database) -> None:
        """Make sure that the term is still ours; within the transaction that depends on it."""
        [(term, host, pid, since_ms)] = database.find(HELD)
        if term != self.term:
            raise _lost(_name(host, pid, since_ms), database.where)

    def refresh(self) -> None:
        """Make sure that the lock is still ours; call it now and then, and after an outage."""
        if not self._lock.refresh():
            raise _lost(self._lock.holder(), self._lock.where)


@contextmanager
def alone(location: Location, patience_s: float = 0) -> Iterator[Lease]:
    """Be the one controller of a store for as long as the block runs; wait so long for it."""
    lock: Lock
    if isinstance(location, str) and "://" in location:
        lock = ServerLock(location)
    else:
        lock = FolderLock(Path(location))
    try:
        _take(lock, time.monotonic() + patience_s)
        yield Lease(lock)
    finally:
        lock.release()


def _take(lock: Lock, until: float) -> None:
    while True:
        refused: Unavailable | None = None
        try:
            if lock.take():
                return
        except Unavailable as error:  # a server that is away may be back before patience is over
            refused = error
        if time.monotonic() >= until:
            raise refused or _taken(lock)
        time.sleep(ASK_EVERY_S)


def _taken(lock: Lock) -> Conflict:
    problem = f"another makeway ({lock.holder()}) is at work in this store"
    hint = "wait until it has ended, or use another store: --store DIR or MAKEWAY_STORE"
    return Conflict(problem, where=lock.where, hint=hint)


def _lost(holder: str, where: str) -> LeaseLost:
    problem = f"another makeway ({holder}) has taken over this store"
    hint = "this one ends and writes nothing more; what was under way goes on under the other"
    return LeaseLost(problem, where=where, hint=hint)


def _name(host: str, pid: int, since_ms: int) -> str:
    since = datetime.fromtimestamp(since_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"pid {pid} on {host}, since {since}"


class FolderLock:
    """A file in the folder of the store, locked; it says who did."""

    def __init__(self, folder: Path) -> None:
        """Take the folder."""
        self.where = str(folder)
        self._folder = folder
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Take it if nobody has it."""
        if self._descriptor is None:
            self._descriptor = self._open()
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        holder = _name(socket.gethostname(), os.getpid(), time.time_ns() // 1_000_000)
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
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

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
                return _name(host, pid, int(since_s * 1000))
        return "who has just ended"

    def release(self) -> None:
        """Let go of it, and of the connection."""
        self._ours = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None

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


PREFIX = "makeway controls: "
NAME_CHARS_MAX = 63  # the server cuts off what is longer
