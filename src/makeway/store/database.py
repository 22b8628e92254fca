"""Open the store of a project, keep one connection to it, and bring old tables up to date.

Statements are SQLAlchemy's, over the tables of the schema, and never text: so the same ones serve
SQLite and PostgreSQL. There are two ways to carry them out. `rows` and `each` leave all to
SQLAlchemy and take values by name. `write` and `find` are for what happens thousands of times a
second: they take tuples, and a statement that is written at the top of a module, since its text is
made once and kept. What only one kind of database knows stands in `sqlite` and `postgres`.

One process writes (the controller); any number may read meanwhile and see whole transactions only.
Threads may share a Database: they take turns. A connection that was lost is dialled again by the
next use of it; what was going on when it was lost is `Unavailable`, and nothing is done twice.

Takes:   the location of the store: a folder, `.makeway` by default, the database in it is
         `makeway.db`; or the URL of a PostgreSQL database
Raises:  Unavailable: damaged, newer than this makeway, read-only, in use for too long, disk full,
         not reachable; the caller may try again
         NotFound: opened for reading, and there is no store
Cost:    importing SQLAlchemy and the tables 0.2 s of processor time; open at head 1 ms (3 ms the first
         time), a new store 12 ms; a transaction 17 µs, `find` 17 µs, `rows` 60 µs and more
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from makeway.errors import InvalidInput, NotFound, Unavailable
from makeway.store import schema
from makeway.store.elsewhere import noted
from makeway.store.kind import Kind
from makeway.store.sqlite import FILE, Sqlite
from makeway.store.statement import Statement, Upsert, driver_text

__all__ = ["FILE", "HEAD", "NOTHING", "Database", "Location", "Row"]

HEAD = "0002"  # the newest of migrations/versions; their numbers sort as text

Location = Path | str
Row = Sequence[Any]
NOTHING: Mapping[str, object] = {}


class Database:
    """One connection to one store; see the module."""

    def __init__(self, kind: Kind, *, read_only: bool) -> None:
        """Take where the store is, and dial; `open` brings it up to date as well."""
        self.where = kind.where
        self.read_only = read_only
        self._kind = kind
        self._texts: dict[Statement, str] = {}
        self._lock = threading.RLock()
        self._within: str | None = None
        self._lost = False
        with self._plainly():
            self._connection = kind.dial(read_only=read_only)

    @classmethod
    def open(cls, location: Location, *, read_only: bool = False) -> Database:
        """Open the store in a folder or behind a URL. For writing, make or migrate it if need be."""
        database = cls(_kind(location), read_only=read_only)
        try:
            with database._plainly():
                database._bring_up_to_date()
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Close the connection; closing twice is no error."""
        with self._lock:
            self._hang_up()

    def reconnect(self) -> None:
        """Dial again, whatever is believed of the connection; the next use of a lost one does."""
        with self._lock, self._plainly():
            assert self._within is None, f"reconnect within a {self._within}"
            self._dial_again()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[None]:
        """Write all of what follows or none of it; wait for other writers up to 10 s.

        What is `durable` is on the disk at the end; what is not may be lost with the machine.
        """
        with self._lock, self._plainly():
            assert self._within is None, f"a transaction within a {self._within}"
            with self._until_done():
                self._kind.begin(self._connection, durable=durable)
                self._within = "transaction"
                yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """See one state of the store in all that follows, whatever others write meanwhile."""
        with self._lock, self._plainly():
            if self._within is not None:
                yield
                return
            with self._until_done():
                self._connection.exec_driver_sql(self._kind.begin_reading)
                self._within = "reading"
                yield

    def write(self, statement: Statement, rows: Iterable[tuple[object, ...]]) -> None:
        """Carry out a statement once for each row; only within a transaction."""
        assert self._within == "transaction", "write within a transaction"
        if given := list(rows):
            self._connection.exec_driver_sql(self._text(statement), given)

    def load(self, upsert: Upsert, rows: Sequence[tuple[object, ...]]) -> None:
        """Write rows by the hundred, each of another key; only within a transaction."""
        assert self._within == "transaction", "load within a transaction"
        if not self._kind.load(self._connection, upsert, rows):
            self.write(upsert, rows)

    def find(self, query: Statement, values: tuple[object, ...] = ()) -> Sequence[Row]:
        """Give all rows of a query that is asked often."""
        with self._lock, self._plainly():
            return self._connection.exec_driver_sql(self._text(query), values).all()

    def rows(self, query: sa.Executable, values: Mapping[str, object] = NOTHING) -> Sequence[Row]:
        """Give all rows of a query."""
        with self._lock, self._plainly():
            return self._connection.execute(query, values).all()

    def each(self, query: sa.Executable, values: Mapping[str, object] = NOTHING) -> Iterator[Row]:
        """Give the rows of a query one by one; only while `reading` or in a transaction."""
        assert self._within is not None, "go through rows within `reading`"
        options = {"stream_results": True}
        return iter(self._connection.execute(query, values, execution_options=options))

    def _text(self, statement: Statement) -> str:
        text = self._texts.get(statement)
        if text is None:
            text = self._texts[statement] = driver_text(statement, self._connection.dialect)
        return text

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        """Say in our own words what the world did to the store; bugs of ours stay as they are."""
        try:
            if self._lost and self._within is None:
                self._dial_again()
            yield
        except UnicodeEncodeError as error:
            raise InvalidInput(f"this is no Unicode: {error.object!r}", where="text") from None
        except DBAPIError as error:
            self._lost = self._lost or self._kind.lost(error)
            problem = self._kind.problem(error)
            if problem is None:
                raise
            raise problem from error.orig

    @contextmanager
    def _until_done(self) -> Iterator[None]:
        try:
            yield
            self._connection.commit()
        except BaseException:
            self._undo()
            raise
        finally:
            self._within = None

    def _undo(self) -> None:
        try:
            self._connection.rollback()
            # SQLAlchemy takes a COMMIT that was refused for an end; the driver is still within.
            self._kind.roll_back(self._connection.connection.driver_connection)
        except (SQLAlchemyError, self._connection.dialect.loaded_dbapi.Error):
            self._lost = True  # what was going on ends with the connection

    def _dial_again(self) -> None:
        self._hang_up()
        self._connection = self._kind.dial(read_only=self.read_only)
        self._lost = False

    def _hang_up(self) -> None:
        with suppress(SQLAlchemyError):  # it may be gone already
            self._connection.close()
            self._connection.engine.dispose()

    def _bring_up_to_date(self) -> None:
        found = self._version()
        if found == HEAD:
            return
        self._check_version(found)
        try:
            with self.transaction():
                # Now nobody else writes: either another process has just made it, or we do.
                tables = sa.inspect(self._connection).get_table_names()
                if schema.alembic_version.name not in tables:
                    _build(self._connection)
                elif self._version() != HEAD:
                    from makeway.store.migrate import migrate  # Alembic: 150 ms

                    migrate(self._connection)
        except Unavailable:
            raise
        except Exception as error:
            problem = (
                f"its tables could not be brought from {found or 'nothing'} to {HEAD}: {error}"
            )
            raise Unavailable(problem, where=self.where) from error

    def _version(self) -> str | None:
        """Give the revision that is noted in the database, or None if there is none."""
        try:
            found = self._connection.execute(sa.select(schema.alembic_version.c.version_num))
        except DBAPIError as error:
            if self._kind.no_table(error):
                return None
            raise
        noted = found.scalar()
        return None if noted is None else str(noted)

    def _check_version(self, found: str | None) -> None:
        """Refuse tables that are not of today, unless they can be brought up to date here."""
        if found is not None and found > HEAD:
            problem = f"a newer makeway made this store (its tables are {found}, known are {HEAD})"
            hint = "use that version, or another folder"
            raise Unavailable(problem, where=self.where, hint=hint)
        if self.read_only:
            if found is None:
                raise NotFound("this database holds no store", where=self.where)
            problem = f"this store is of an older makeway ({found}, wanted is {HEAD})"
            hint = "any command that writes brings it up to date, such as makeway up"
            raise Unavailable(problem, where=self.where, hint=hint)


def _kind(location: Location) -> Kind:
    if isinstance(location, Path):
        url = noted(location)
        return _kind(url) if url else Sqlite(location)
    scheme, given, _ = location.partition("://")
    if not given:
        return Sqlite(Path(location))
    if scheme not in {"postgresql", "postgres"}:
        problem = f"a store is a folder, or a URL that begins with postgresql://, not {scheme}://"
        raise InvalidInput(problem, where="store")
    from makeway.store.postgres import Postgres  # an extra

    return Postgres(location)


def _build(connection: sa.Connection) -> None:
    """Make all tables of a new store, and note for Alembic that nothing is left to be done."""
    schema.metadata.create_all(connection, checkfirst=False)
    schema.alembic_version.create(connection)
    connection.execute(sa.insert(schema.alembic_version).values(version_num=HEAD))
