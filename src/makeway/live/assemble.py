"""Build the house from its parts: the only place that knows them all.

One controller a store at a time, by a lock that the kernel frees when the controller is gone,
however it went: two would each believe that the machine is theirs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from makeway.engine.engine import Engine
from makeway.errors import Conflict, Unavailable
from makeway.executor.local import LocalExecutor
from makeway.executor.zygote import Zygote
from makeway.live.clock import WallClock
from makeway.live.controller import Controller
from makeway.policy.choose import decide
from makeway.store.database import Database
from makeway.store.log import Log
from makeway.store.series import SeriesWriter


class House:
    """An embedded controller and what it stands on."""

    def __init__(self, store: Path, database: Database, zygote: Zygote) -> None:
        """Put the parts together."""
        self.store, self.database, self.zygote = store, database, zygote
        self.clock = WallClock()
        self._executor: LocalExecutor | None = None
        self.log = Log(database)
        self.series = SeriesWriter(database)

    def controller(self) -> Controller:
        """Make the controller; from here on agents can call."""
        self._executor = LocalExecutor(self.store, self.zygote)
        return Controller(
            Engine(decide),
            self.log,
            self.series,
            self._executor,
            self.clock,
        )

    def reader(self) -> Database:
        """Open another connection, for whoever only reads."""
        return Database.open(self.store, read_only=True)

    def close(self) -> None:
        """Write what is in memory and let go of everything but the workers."""
        self.series.flush()
        if self._executor is not None:
            self._executor.close()
        else:
            self.zygote.close()
        self.database.close()


@contextlib.contextmanager
def embedded(store: Path) -> Iterator[House]:
    """Open a store with a controller of one's own, for as long as the block runs."""
    with contextlib.ExitStack() as stack:
        try:
            store.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"{error.strerror}", where=str(store)) from None
        stack.enter_context(_alone(store))
        zygote = Zygote(store)  # first: it imports while the database opens
        try:
            database = Database.open(store)
        except BaseException:
            zygote.close()
            raise
        house = House(store, database, zygote)
        stack.callback(house.close)
        yield house


@contextlib.contextmanager
def _alone(store: Path) -> Iterator[None]:
    descriptor = os.open(store / "controller.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            problem = f"another makeway (pid {pid}) is at work in this store"
            hint = "wait until it has ended, or use another store: --store DIR or MAKEWAY_STORE"
            raise Conflict(problem, where=str(store), hint=hint) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
