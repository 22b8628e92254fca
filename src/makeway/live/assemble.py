"""Build the house from its parts: the only place that knows them all.

One controller a store at a time, by locks that are gone when the controller is, however it went: two
would each believe that the machine is theirs. The folder of the store has one, since workers live
in it; a database on a server has another, since it may be reached from elsewhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from makeway.engine.engine import Engine
from makeway.errors import Unavailable
from makeway.executor.crew import Crew
from makeway.executor.equipment import Site
from makeway.executor.local import LocalExecutor
from makeway.executor.ray import RayExecutor, RaySite
from makeway.executor.zygote import Zygote
from makeway.live.clock import WallClock
from makeway.live.controller import Controller
from makeway.live.holders import Holders
from makeway.live.probe import Probe
from makeway.live.upkeep import Upkeep
from makeway.live.watch import Lookout
from makeway.live.witness import Witness
from makeway.model.cluster import Node
from makeway.policy.choose import decide
from makeway.store import depot
from makeway.store.database import Database, Location
from makeway.store.earlier import EarlierOutputs
from makeway.store.elsewhere import note, noted
from makeway.store.keep import Keep
from makeway.store.lease import Lease, alone
from makeway.store.log import Log
from makeway.store.packer import Packer
from makeway.store.series_writer import SeriesWriter


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a house is built with.

    database   a URL; empty: SQLite in the store
    ray        where the workers live; None: on this machine
    depot      the URL of an object store that has the artifacts as well; None: what was noted
    patience_s how long to wait for another controller to end, or to be gone
    """

    database: str = ""
    site: Site = Site()
    ray: RaySite | None = None
    depot: str | None = None
    sample_ms: int = 1000
    patience_s: float = 0
    keep: Keep = Keep()


USUAL = Plan()


class House:
    """A controller and what it stands on."""

    def __init__(self, store: Path, plan: Plan, database: Database, lease: Lease) -> None:
        """Put the parts together."""
        self.store, self.plan, self.database = store, plan, database
        self.zygote = Zygote(store)
        self.clock, self._lease = WallClock(), lease
        self._executor: Crew | None = None
        self.series = SeriesWriter(database)

    def controller(self) -> Controller:
        """Make the controller; from here on agents can call."""
        self._executor = self._made()
        log = Log(self.database, self._lease)
        engine = Engine(decide, EarlierOutputs(self.database, self.store))
        controller = Controller(engine, log, self.series, self._executor, self.clock)
        controller.lookout = Lookout(self.store, self.database)
        controller.witness = Witness(self.store, self.database, controller.flush)
        controller.witness.phase_of = controller.lookout.phase_of
        controller.probe = Probe()
        controller.holders = Holders(self.store)
        controller.upkeep = Upkeep(Packer(self.database, self.series, self.plan.keep))
        return controller

    def _made(self) -> Crew:
        plan = self.plan
        if plan.ray is not None:
            return RayExecutor(self.store, plan.ray, sample_ms=plan.sample_ms)
        return LocalExecutor(self.store, self.zygote, sample_ms=plan.sample_ms, site=plan.site)

    def believe(self, nodes: Iterable[Node]) -> None:
        """Let an executor that finds its nodes by itself know which were there before."""
        if isinstance(self._executor, RayExecutor):
            self._executor.believe(nodes)

    def reader(self) -> Database:
        """Open another connection, for whoever only reads."""
        return Database.open(location_of(self.store, self.plan.database), read_only=True)

    def close(self) -> None:
        """Write what is in memory and let go of everything but the workers."""
        with contextlib.suppress(Unavailable):  # samples of the last moment: nothing needs them
            self.series.flush()
        if self._executor is not None:
            self._executor.close()
        self.zygote.close()


@contextlib.contextmanager
def embedded(store: Path, plan: Plan = USUAL) -> Iterator[House]:
    """Open a store with a controller of one's own, for as long as the block runs."""
    location = location_of(store, plan.database)
    with contextlib.ExitStack() as stack:
        lease = stack.enter_context(alone(store, plan.patience_s))
        if location != store:
            lease = stack.enter_context(alone(location, plan.patience_s))
        database = stack.enter_context(Database.open(location))
        if plan.database:
            note(store, plan.database)
        if plan.depot is not None:
            depot.note(store, plan.depot)
        house = House(store, plan, database, lease)
        stack.callback(house.close)
        yield house


def location_of(store: Path, database: str) -> Location:
    """Say where the log of a store is."""
    return database or noted(store) or store
