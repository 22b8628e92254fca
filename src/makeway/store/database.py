"""Open the store of a project, keep one connection to it, and bring old tables up to date.

The rest of the store speaks plain SQL through the Python database interface: statements that SQLite
and PostgreSQL both understand, with `?` where a value goes. SQLAlchemy describes the tables and
Alembic builds them, but both are imported only when there is something to build: SQLAlchemy alone
takes 145 ms of processor time, as much as a whole command may take. What only SQLite knows stands
in one section at the end.

One process writes (the controller); any number may read meanwhile and see whole transactions only.
Threads may share a Database: they take turns.

Takes:   the folder of the store, `.makeway` by default; the database in it is `makeway.db`
Raises:  Unavailable: damaged, newer than this makeway, read-only, in use for too long, disk full
         NotFound: opened for reading, and there is no store
Cost:    open at head 1 ms, new store 0.3 s (Alembic); a transaction 20 µs
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from makeway.errors import NotFound, Unavailable

FILE = "makeway.db"
HEAD = "0001"  # the newest of migrations/versions; their numbers sort as text
BUSY_MS = 10_000

Row = tuple[Any, ...]


class Database:
    """One connection to one store; see the module."""

    def __init__(self, connection: sqlite3.Connection, file: Path, *, read_only: bool) -> None:
        """Take a connection that is ready; `open` makes one."""
        self.file = file
        self.read_only = read_only
        self._connection = connection
        self._lock = threading.RLock()
        self._within: str | None = None

    @classmethod
    def open(cls, directory: Path, *, read_only: bool = False) -> Database:
        """Open the store in a folder. For writing, make it or migrate it if need be."""
        file = directory / FILE
        if read_only and not file.exists():
            hint = "nothing has run here yet; start with: makeway run FILE.py"
            raise NotFound("there is no store here", where=str(directory), hint=hint)
        if not read_only:
            _make_folder(directory)
        with _plainly(file):
            connection = _connect(file, read_only=read_only)
            try:
                if not read_only:
                    _check_writable(file)
                _check_version(connection, file, read_only=read_only)
            except BaseException:
                connection.close()
                raise
        return cls(connection, file, read_only=read_only)

    def close(self) -> None:
        """Close the connection; closing twice is no error."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all of what follows or none of it; wait for other writers up to 10 s."""
        with self._lock, _plainly(self.file):
            assert self._within is None, f"a transaction within a {self._within}"
            with self._until_done("transaction", BEGIN_WRITING):
                yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """See one state of the store in all that follows, whatever others write meanwhile."""
        with self._lock, _plainly(self.file):
            if self._within is not None:
                yield
                return
            with self._until_done("reading", BEGIN_READING):
                yield

    def write(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Carry out a statement once for each row; only within a transaction."""
        assert self._within == "transaction", "write within a transaction"
        self._connection.executemany(statement, rows)

    def rows(self, query: str, values: Sequence[object] = ()) -> list[Row]:
        """Give all rows of a query."""
        with self._lock, _plainly(self.file):
            return self._connection.execute(query, values).fetchall()

    def each(self, query: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """Give the rows of a query one by one; only while `reading` or in a transaction."""
        assert self._within is not None, "go through rows within `reading`"
        return iter(self._connection.execute(query, values))

    @contextmanager
    def _until_done(self, what: str, begin: str) -> Iterator[None]:
        try:
            self._connection.execute(begin)
            self._within = what
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # A full disk has rolled it back already; a refused COMMIT leaves it open.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        finally:
            self._within = None


def _make_folder(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise Unavailable(
            "this is a file, and the store is a folder", where=str(directory)
        ) from None
    except OSError as error:
        problem = f"the folder of the store cannot be made: {error.strerror}"
        raise Unavailable(problem, where=str(directory)) from None


def _check_version(connection: sqlite3.Connection, file: Path, *, read_only: bool) -> None:
    found = _version(connection)
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        problem = f"a newer makeway made this store (its tables are {found}, known are {HEAD})"
        hint = "use that version, or another folder"
        raise Unavailable(problem, where=str(file), hint=hint)
    if read_only:
        if found is None:
            raise NotFound("this database holds no store", where=str(file))
        problem = f"this store is of an older makeway ({found}, wanted is {HEAD})"
        hint = "any command that writes brings it up to date, such as makeway up"
        raise Unavailable(problem, where=str(file), hint=hint)
    from makeway.store.migrate import migrate  # SQLAlchemy and Alembic: 250 ms

    try:
        migrate(connection)
    except Exception as error:
        if isinstance(cause := getattr(error, "orig", error), sqlite3.Error):
            raise cause from None  # the disk, or another process: nothing about tables
        problem = f"its tables could not be brought from {found or 'nothing'} to {HEAD}: {error}"
        raise Unavailable(problem, where=str(file)) from error


# ── what only SQLite knows ────────────────────────────────────────────────────────────────────────

# Take the right to write at once: a reader that turns writer half-way can only fail.
BEGIN_WRITING = "BEGIN IMMEDIATE"
BEGIN_READING = "BEGIN"

SETTINGS = (
    "PRAGMA synchronous = NORMAL",  # with the write-ahead log: a power cut loses the last moments
    "PRAGMA foreign_keys = ON",
)

PROBLEMS = {
    "SQLITE_BUSY": ("another process has been writing for 10 s", "try again, or end that process"),
    "SQLITE_CANTOPEN": ("it cannot be opened", "is it a file, and may this user read the folder?"),
    "SQLITE_CORRUPT": ("the file is damaged", "bring it back from a backup, or move it away"),
    "SQLITE_FULL": ("the disk is full", "make room; nothing that was stored is lost"),
    "SQLITE_IOERR": ("the disk failed to read or write it", "look at the disk, then try again"),
    "SQLITE_NOTADB": (
        "the file is no database, or damaged",
        "move it away, or name another folder",
    ),
    "SQLITE_READONLY": ("it cannot be written", "may this user write the file and its folder?"),
}


def _connect(file: Path, *, read_only: bool) -> sqlite3.Connection:
    """Open the file; without `read_only`, make it."""
    connection = _dial(file, "rw" if read_only else "rwc")
    try:
        for setting in SETTINGS:
            connection.execute(setting)
        if read_only:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        elif connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            _patiently(connection, "PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        connection.close()
        # The side files of the write-ahead log cannot be made in a folder that is read-only. If
        # there are none, nobody writes, and SQLite may take the file as it lies there.
        refused = _name(error) in {"SQLITE_CANTOPEN", "SQLITE_READONLY"}
        if not (read_only and refused) or Path(f"{file}-wal").exists():
            raise
        return _dial(file, "ro&immutable=1")
    except BaseException:
        connection.close()
        raise
    return connection


def _dial(file: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{file.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_MS / 1000,
        isolation_level=None,  # transactions begin and end where we say so
        check_same_thread=False,  # the Database has a lock
        cached_statements=256,
    )


def _patiently(connection: sqlite3.Connection, statement: str) -> None:
    """Repeat what SQLite refuses at once instead of waiting: two that make a store at one time."""
    until = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            if _name(error) != "SQLITE_BUSY" or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _check_writable(file: Path) -> None:
    """Refuse now what SQLite would open for reading and refuse at the first write."""
    if not os.access(file, os.W_OK):
        raise _problem("SQLITE_READONLY", file)


def _version(connection: sqlite3.Connection) -> str | None:
    """Give the revision that Alembic wrote into the database, or None if there is none."""
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if _name(error) == "SQLITE_ERROR":  # no such table
            return None
        raise
    return None if row is None else str(row[0])


def _name(error: sqlite3.Error) -> str:
    """Give the family of an error: SQLITE_IOERR of SQLITE_IOERR_SHORT_READ."""
    name = getattr(error, "sqlite_errorname", "")
    return "_".join(name.split("_")[:2])


@contextmanager
def _plainly(file: Path) -> Iterator[None]:
    """Say in our own words what the world did to the file; bugs of ours stay as they are."""
    try:
        yield
    except sqlite3.Error as error:
        if _name(error) not in PROBLEMS:
            raise
        raise _problem(_name(error), file) from error


def _problem(name: str, file: Path) -> Unavailable:
    problem, hint = PROBLEMS[name]
    return Unavailable(problem, where=str(file), hint=hint)
