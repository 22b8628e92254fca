"""Open the store of a project, keep one connection to it, and bring old tables up to date.

Statements are SQLAlchemy's, over the tables of the schema, and never text: so the same ones serve
SQLite and PostgreSQL. There are two ways to carry them out. `rows` and `each` leave all to
SQLAlchemy and take values by name. `write` and `find` are for what happens thousands of times a
second: they take tuples, and a statement that is written at the top of a module, since its text is
made once and kept. What only SQLite knows stands in one section at the end.

One process writes (the controller); any number may read meanwhile and see whole transactions only.
Threads may share a Database: they take turns.

Takes:   the folder of the store, `.makeway` by default; the database in it is `makeway.db`
Raises:  Unavailable: damaged, newer than this makeway, read-only, in use for too long, disk full
         NotFound: opened for reading, and there is no store
Cost:    importing SQLAlchemy and the tables 0.2 s of processor time; open at head 1 ms (3 ms the first
         time), a new store 12 ms; a transaction 17 µs, `find` 17 µs, `rows` 60 µs and more
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from makeway.errors import NotFound, Unavailable
from makeway.store import schema
from makeway.store.statement import Statement, driver_text

FILE = "makeway.db"
HEAD = "0001"  # the newest of migrations/versions; their numbers sort as text
BUSY_MS = 10_000

Row = Sequence[Any]
NOTHING: Mapping[str, object] = {}


class Database:
    """One connection to one store; see the module."""

    def __init__(self, connection: sa.Connection, file: Path, *, read_only: bool) -> None:
        """Take a connection that is ready; `open` makes one."""
        self.file = file
        self.read_only = read_only
        self._connection = connection
        self._texts: dict[Statement, str] = {}
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
            database = cls(_connect(file, read_only=read_only), file, read_only=read_only)
            try:
                if not read_only:
                    _check_writable(file)
                database._bring_up_to_date()
            except BaseException:
                database.close()
                raise
        return database

    def close(self) -> None:
        """Close the connection; closing twice is no error."""
        with self._lock:
            self._connection.close()
            self._connection.engine.dispose()

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

    def write(self, statement: Statement, rows: Iterable[tuple[object, ...]]) -> None:
        """Carry out a statement once for each row; only within a transaction."""
        assert self._within == "transaction", "write within a transaction"
        self._connection.exec_driver_sql(self._text(statement), list(rows))

    def find(self, query: Statement, values: tuple[object, ...] = ()) -> Sequence[Row]:
        """Give all rows of a query that is asked often."""
        with self._lock, _plainly(self.file):
            return self._connection.exec_driver_sql(self._text(query), values).all()

    def rows(self, query: sa.Executable, values: Mapping[str, object] = NOTHING) -> Sequence[Row]:
        """Give all rows of a query."""
        with self._lock, _plainly(self.file):
            return self._connection.execute(query, values).all()

    def each(self, query: sa.Executable, values: Mapping[str, object] = NOTHING) -> Iterator[Row]:
        """Give the rows of a query one by one; only while `reading` or in a transaction."""
        assert self._within is not None, "go through rows within `reading`"
        return iter(self._connection.execute(query, values))

    def _text(self, statement: Statement) -> str:
        text = self._texts.get(statement)
        if text is None:
            text = self._texts[statement] = driver_text(statement, self._connection.dialect)
        return text

    @contextmanager
    def _until_done(self, what: str, begin: str) -> Iterator[None]:
        try:
            self._connection.exec_driver_sql(begin)
            self._within = what
            yield
            self._connection.commit()
        except BaseException:
            self._connection.rollback()
            # SQLAlchemy takes a COMMIT that was refused for an end; the driver is still within.
            _driver(self._connection).rollback()
            raise
        finally:
            self._within = None

    def _bring_up_to_date(self) -> None:
        found = _version(self._connection)
        if found == HEAD:
            return
        _check_version(found, self.file, read_only=self.read_only)
        try:
            with self.transaction():
                # Now nobody else writes: either another process has just made it, or we do.
                if not sa.inspect(self._connection).get_table_names():
                    _build(self._connection)
                elif _version(self._connection) != HEAD:
                    from makeway.store.migrate import migrate  # Alembic: 150 ms

                    migrate(self._connection)
        except Unavailable:
            raise
        except Exception as error:
            problem = (
                f"its tables could not be brought from {found or 'nothing'} to {HEAD}: {error}"
            )
            raise Unavailable(problem, where=str(self.file)) from error


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


def _check_version(found: str | None, file: Path, *, read_only: bool) -> None:
    """Refuse tables that are not of today, unless they can be brought up to date here."""
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


def _build(connection: sa.Connection) -> None:
    """Make all tables of a new store, and note for Alembic that nothing is left to be done."""
    schema.metadata.create_all(connection, checkfirst=False)
    schema.alembic_version.create(connection)
    connection.execute(sa.insert(schema.alembic_version).values(version_num=HEAD))


def _driver(connection: sa.Connection) -> Any:  # noqa: ANN401 - the driver's own kind
    return connection.connection.driver_connection


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


def _connect(file: Path, *, read_only: bool) -> sa.Connection:
    """Open the file; without `read_only`, make it."""
    try:
        return _dial(file, "rw" if read_only else "rwc")
    except DBAPIError as error:
        # The side files of the write-ahead log cannot be made in a folder that is read-only. If
        # there are none, nobody writes, and SQLite may take the file as it lies there.
        refused = _name(error.orig) in {"SQLITE_CANTOPEN", "SQLITE_READONLY"}
        alone = file.is_file() and not Path(f"{file}-wal").exists()
        if not (read_only and refused and alone):
            raise
        return _dial(file, "ro&immutable=1")


def _dial(file: Path, mode: str) -> sa.Connection:
    def create() -> sqlite3.Connection:
        return sqlite3.connect(
            f"{file.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_MS / 1000,
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
    for setting in SETTINGS:
        connection.execute(setting)
    if mode == "rw":
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    elif mode == "rwc" and connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        _patiently(connection, "PRAGMA journal_mode = WAL")


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


def _version(connection: sa.Connection) -> str | None:
    """Give the revision that is noted in the database, or None if there is none."""
    try:
        found = connection.execute(sa.select(schema.alembic_version.c.version_num)).scalar()
    except DBAPIError as error:
        if _name(error.orig) == "SQLITE_ERROR":  # no such table
            return None
        raise
    return None if found is None else str(found)


def _name(error: BaseException | None) -> str:
    """Give the family of an error: SQLITE_IOERR of SQLITE_IOERR_SHORT_READ."""
    name = getattr(error, "sqlite_errorname", "")
    return "_".join(name.split("_")[:2])


@contextmanager
def _plainly(file: Path) -> Iterator[None]:
    """Say in our own words what the world did to the file; bugs of ours stay as they are."""
    try:
        yield
    except DBAPIError as error:
        name = _name(error.orig)
        if name not in PROBLEMS:
            raise
        raise _problem(name, file) from error.orig


def _problem(name: str, file: Path) -> Unavailable:
    problem, hint = PROBLEMS[name]
    return Unavailable(problem, where=str(file), hint=hint)
