"""Build the house from its parts: the only place that knows them all.

One controller a store at a time, by a lock that the kernel frees when the controller is gone,
however it went: two would each believe that the machine is theirs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from makeway.engine.engine import Engine
from makeway.executor.local import LocalExecutor
from makeway.executor.zygote import Zygote
from makeway.live.clock import WallClock
from makeway.live.controller import Controller
from makeway.policy.choose import decide
from makeway.store.database import Database
from makeway.store.lease import Lease, alone
from makeway.store.log import Log
from makeway.store.series import SeriesWriter


class House:
    """An embedded controller and what it stands on."""

    def __init__(self, store: Path, database: Database, zygote: Zygote, lease: Lease) -> None:
        """Put the parts together."""
        self.store, self.database, self.zygote = store, database, zygote
        self.clock = WallClock()
        self._executor: LocalExecutor | None = None
        self.log = Log(database, lease)
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
        lease = stack.enter_context(alone(store))
        zygote = Zygote(store)  # first: it imports while the database opens
        try:
            database = Database.open(store)
        except BaseException:
            zygote.close()
            raise
        house = House(store, database, zygote, lease)
        stack.callback(house.close)
        yield house
