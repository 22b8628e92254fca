"""Keep the store in a PostgreSQL database: what only PostgreSQL knows.

The URL is libpq's, `postgresql://user@host:5432/makeway?sslmode=require`; a schema of one's own is
`?options=-csearch_path%3Dlab`. Who writes takes one lock for it, as SQLite has by nature: so
transactions come one after another, and what they read stands until they end. Reading sees one
snapshot.

A connection that dies is noticed in seconds, on both sides: here, to dial again; on the server, to
free the locks of a controller whose machine is gone. Nothing waits longer than its time-out.

Text may hold any character but NUL, which becomes the sign for what cannot be shown. Rows by the
hundred go through COPY into a table of the session and from there in one statement.

Raises:  Unavailable: the server cannot be reached, refuses, or took too long
Cost:    importing psycopg 0.1 s; opening 15 ms; an append 1 ms on the same machine
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from makeway.errors import InvalidInput, Unavailable
from makeway.store import kind
from makeway.store.kind import Values
from makeway.store.statement import Upsert, older

SCHEMES = ("postgresql", "postgres")
CONNECT_S = 5
STATEMENT_MS = 60_000
COPY_ROWS_MIN = 50

# By libpq: a peer that says nothing for 10 s is asked, and given up 6 s later.
KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 16_000,
}
# The server does likewise with us; so the locks of a machine that is gone are free within 20 s.
SETTINGS = (
    "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 3",
    "SET tcp_user_timeout = '16s'",
    f"SET statement_timeout = {STATEMENT_MS}",
    "SET client_min_messages = warning",
    "SET TIME ZONE 'UTC'",
)

# Who writes holds this until the transaction ends; each schema is a store of its own.
WRITERS = "hashtext('makeway writes'), hashtext(current_schema())"

AGAIN = "it works again by itself when the server does"
PROBLEMS = {  # by SQLSTATE, or by the first two signs of it: its class
    "08": ("the connection to the server is lost", AGAIN),
    "25006": ("it cannot be written", "is this a standby, or was it opened for reading?"),
    "25P03": ("a transaction stood still for too long and was ended", "try again"),
    "28": ("the server refuses this user", "is the password in the URL or in ~/.pgpass right?"),
    "3D000": ("there is no such database on this server", "make it with: createdb NAME"),
    "3F000": ("there is no such schema in this database", "make it with: CREATE SCHEMA NAME"),
    "40": ("others wrote the same at that moment", "try again"),
    "42501": ("this user may not do that in this database", "grant it, or use another user"),
    "53100": ("the disk of the server is full", "make room; nothing that was stored is lost"),
    "53": ("the server has too much to do", "look at its connections and its memory"),
    "55P03": ("another process has been writing for 10 s", "try again, or end that process"),
    "57014": (f"the server took longer than {STATEMENT_MS // 1000} s", "is it under heavy load?"),
    "57P": ("the server is shutting down or starting", AGAIN),
    "58": ("the disk of the server failed", "look at the server's own log"),
    "XX": ("the database is damaged", "look at the server's own log; bring back a backup"),
}


class Postgres:
    """The store behind a URL; see the module."""

    begin_reading = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

    def __init__(self, url: str) -> None:
        """Take the URL; nothing is dialled yet."""
        self.where = name_of(url)
        self._url = url

    def dial(self, *, read_only: bool) -> sa.Connection:
        """Open a connection."""

        def create() -> Any:  # noqa: ANN401 - the driver's own kind
            connection = dial(self._url, "makeway")
            for setting in (*SETTINGS, f"SET lock_timeout = {kind.BUSY_MS}"):
                connection.execute(setting)
            connection.execute(f"SET idle_in_transaction_session_timeout = {STATEMENT_MS}")
            if read_only:
                connection.execute("SET default_transaction_read_only = on")
            return connection

        engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=create,
            poolclass=StaticPool,
            hide_parameters=True,
            module=_driver(self.where),
            paramstyle="format",  # values by their places, as everywhere in the store
            use_native_hstore=False,
        )
        return engine.connect()

    def begin(self, connection: sa.Connection, *, durable: bool) -> None:
        """Begin to write, alone."""
        relaxed = "" if durable else "SET LOCAL synchronous_commit = off;"
        connection.exec_driver_sql(f"BEGIN; {relaxed} SELECT pg_advisory_xact_lock({WRITERS})")

    def roll_back(self, driver: Any) -> None:  # noqa: ANN401 - the driver's own kind
        """End what is still going on."""
        driver.rollback()

    def load(self, connection: sa.Connection, upsert: Upsert, rows: Sequence[Values]) -> bool:
        """Write many rows at once: COPY, and one statement from there."""
        if len(rows) < COPY_ROWS_MIN:
            return False
        names = list(upsert.columns)
        new = sa.table(f"{upsert.table.name}_new", *map(sa.column, names))
        connection.exec_driver_sql(
            f"CREATE TEMPORARY TABLE IF NOT EXISTS {new.name} (LIKE {upsert.table.name})"
            " ON COMMIT DELETE ROWS"
        )
        driver: Any = connection.connection.driver_connection
        into = f"COPY {new.name} ({', '.join(names)}) FROM STDIN"
        with driver.cursor() as cursor, cursor.copy(into) as copy:
            for row in rows:
                copy.write_row(row)
        from_there = insert(upsert.table).from_select(names, sa.select(*new.c))
        changes = {name: from_there.excluded[name] for name in upsert.replace}
        if changes:
            made = from_there.on_conflict_do_update(
                index_elements=upsert.key, set_=changes, where=older(upsert, from_there.excluded)
            )
        else:
            made = from_there.on_conflict_do_nothing(index_elements=upsert.key)
        connection.execute(made)
        connection.execute(sa.delete(new))
        return True

    def problem(self, error: DBAPIError) -> Unavailable | None:
        """Say in our own words what the server said; bugs of ours stay as they are."""
        return problem_of(error.orig, self.where)

    def lost(self, error: DBAPIError) -> bool:
        """Say whether the connection is of no more use."""
        return error.connection_invalidated or _gone(error.orig)

    def no_table(self, error: DBAPIError) -> bool:
        """Say whether a table is not there."""
        return _state(error.orig) == "42P01"


def dial(url: str, name: str) -> Any:  # noqa: ANN401 - the driver's own kind
    """Open a connection of the driver's, which the server lists under this name."""
    connection = _driver(name_of(url)).connect(
        url,
        autocommit=True,  # transactions begin and end where we say so
        connect_timeout=CONNECT_S,
        application_name=name,
        client_encoding="utf8",
        **KEEPALIVES,
    )
    connection.adapters.register_dumper(str, _text_dumper())
    return connection


def _driver(where: str) -> Any:  # noqa: ANN401 - the module itself, which is an extra
    try:
        import psycopg
    except ImportError:
        problem = "PostgreSQL needs psycopg, which is not installed"
        hint = "pip install 'makeway[postgres]'"
        raise Unavailable(problem, where=where, hint=hint) from None
    return psycopg


def name_of(url: str) -> str:
    """Name a database without its user, password and options."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        host = parts.hostname or ""
    except ValueError as error:
        raise InvalidInput(f"this is no URL: {error}", where="store") from None
    return f"postgresql://{host}{port}{parts.path}"


def problem_of(error: BaseException | None, where: str) -> Unavailable | None:
    """Say in our own words what became of a statement or a connection."""
    state = _state(error)
    for known in (state, state[:3], state[:2]):
        if known in PROBLEMS:
            problem, hint = PROBLEMS[known]
            return Unavailable(problem, where=where, hint=hint)
    if not _gone(error):
        return None
    said = str(error).strip().splitlines()
    return Unavailable(
        f"the database server cannot be reached: {said[-1] if said else 'no word from it'}",
        where=where,
        hint=f"is it running, and is the URL right? {AGAIN}",
    )


def _state(error: BaseException | None) -> str:
    return getattr(error, "sqlstate", None) or ""


def _gone(error: BaseException | None) -> bool:
    """Say whether there is no connection: the driver's own word, or the server's last one."""
    kinds = {one.__name__ for one in type(error).__mro__}
    # An error without a code is the driver's, not the server's.
    no_word = not _state(error) and bool(kinds & {"OperationalError", "InterfaceError"})
    return no_word or _state(error)[:2] == "08" or _state(error)[:3] == "57P"


@cache
def _text_dumper() -> Any:  # noqa: ANN401 - a class of the driver's, which is an extra
    from psycopg.types.string import StrDumperUnknown

    class WithoutNul(StrDumperUnknown):  # type: ignore[misc] # the extra is not followed
        """Replaces what no text of PostgreSQL can hold."""

        def dump(self, text: str) -> Any:  # noqa: ANN401 - as the driver has it
            return super().dump(text.replace("\0", "\N{REPLACEMENT CHARACTER}"))

    return WithoutNul
