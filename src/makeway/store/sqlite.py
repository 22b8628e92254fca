"""Keep the store in one file of a folder: what only SQLite knows.

The write-ahead log lets any number of readers see whole transactions while one writes. A commit of
the log of events is flushed to the disk (synchronous = FULL): it survives the end of the machine. A
commit of samples is not: a power cut may take the last moments of them, and nothing else.

Cost:    a flush, 0.1 ms on a fast disk and several ms on a slow one, for each append to the log
Source:  https://www.sqlite.org/pragma.html#pragma_synchronous
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from makeway.errors import NotFound, Unavailable
from makeway.store import kind
from makeway.store.kind import Values
from makeway.store.statement import Upsert

FILE = "makeway.db"

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


class Sqlite:
    """The store in one folder; see the module."""

    # Take the right to write at once: a reader that turns writer half-way can only fail.
    begin_writing = "BEGIN IMMEDIATE"
    begin_reading = "BEGIN"

    def __init__(self, directory: Path) -> None:
        """Take the folder; nothing is made before it is dialled."""
        self.directory, self.file = directory, directory / FILE
        self.where = str(self.file)
        self._durable = True

    def dial(self, *, read_only: bool) -> sa.Connection:
        """Open the file; without `read_only`, make it."""
        self._durable = True
        if read_only:
            if not self.file.exists():
                hint = "nothing has run here yet; start with: makeway run FILE.py"
                raise NotFound("there is no store here", where=str(self.directory), hint=hint)
            return self._dial_to_read()
        _make_folder(self.directory)
        connection = _dial(self.file, "rwc")
        if not os.access(self.file, os.W_OK):
            # SQLite would open it for reading, and refuse at the first write.
            connection.close()
            raise self._named("SQLITE_READONLY")
        return connection

    def begin(self, connection: sa.Connection, *, durable: bool) -> None:
        """Begin to write, alone."""
        if durable is not self._durable:
            connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        connection.exec_driver_sql(self.begin_writing)

    def roll_back(self, driver: Any) -> None:  # noqa: ANN401 - the driver's own kind
        """End a transaction whose COMMIT was refused: SQLAlchemy takes that for an end."""
        driver.rollback()

    def load(self, connection: sa.Connection, upsert: Upsert, rows: Sequence[Values]) -> bool:
        """Leave it to the usual way, which is the quickest."""
        del connection, upsert, rows
        return False

    def problem(self, error: DBAPIError) -> Unavailable | None:
        """Say in our own words what the world did to the file; bugs of ours stay as they are."""
        name = _name(error.orig)
        if name in PROBLEMS:
            return self._named(name)
        if "Could not decode to UTF-8" in str(error.orig):
            return self._named("SQLITE_CORRUPT")
        return None

    def lost(self, error: DBAPIError) -> bool:
        """Say no: a file is there or not, and the connection to it stays."""
        del error
        return False

    def no_table(self, error: DBAPIError) -> bool:
        """Say whether a table is not there."""
        return _name(error.orig) == "SQLITE_ERROR"

    def _dial_to_read(self) -> sa.Connection:
        try:
            return _dial(self.file, "rw")
        except DBAPIError as error:
            # The side files of the write-ahead log cannot be made in a folder that is read-only.
            # If there are none, nobody writes, and SQLite may take the file as it lies there.
            refused = _name(error.orig) in {"SQLITE_CANTOPEN", "SQLITE_READONLY"}
            alone = self.file.is_file() and not Path(f"{self.file}-wal").exists()
            if not (refused and alone):
                raise
            return _dial(self.file, "ro&immutable=1")

    def _named(self, name: str) -> Unavailable:
        problem, hint = PROBLEMS[name]
        return Unavailable(problem, where=self.where, hint=hint)


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


def _dial(file: Path, mode: str) -> sa.Connection:
    def create() -> sqlite3.Connection:
        return sqlite3.connect(
            f"{file.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=kind.BUSY_MS / 1000,
            isolation_level=None,  # transactions begin and end where we say so
            check_same_thread=False,  # the Database has a lock
            cached_statements=256,
        )

    def settle(connection: sqlite3.Connection, _record: object) -> None:
        try:
            _settle(connection, mode)
        except BaseException:
            connection.close()
            raise

    engine = sa.create_engine(
        "sqlite://", creator=create, poolclass=StaticPool, hide_parameters=True
    )
    sa.event.listen(engine, "connect", settle)
    return engine.connect()


def _settle(connection: sqlite3.Connection, mode: str) -> None:
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    if mode == "rw":
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    elif mode == "rwc" and connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        _patiently(connection, "PRAGMA journal_mode = WAL")


def _patiently(connection: sqlite3.Connection, statement: str) -> None:
    """Repeat what SQLite refuses at once instead of waiting: two that make a store at one time."""
    until = time.monotonic() + kind.BUSY_MS / 1000
    while True:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            if _name(error) != "SQLITE_BUSY" or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _name(error: BaseException | None) -> str:
    """Give the family of an error: SQLITE_IOERR of SQLITE_IOERR_SHORT_READ."""
    name = getattr(error, "sqlite_errorname", "")
    return "_".join(name.split("_")[:2])
