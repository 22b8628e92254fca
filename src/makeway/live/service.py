"""Run the controller for many: the loop in one thread, whoever asks in others.

The controller alone touches the engine; callers reach it through its inbox, and read what has been
from connections of their own. Nothing here knows HTTP: the routes of REST, and a command that works
without a service, both ask the desks of its `Office`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from makeway.engine.state import State
from makeway.errors import Conflict, InvalidInput
from makeway.executor.equipment import Site
from makeway.executor.ray import RaySite
from makeway.executor.tracking import note_endpoint
from makeway.intake.setup import Setup
from makeway.live.assemble import House, Plan
from makeway.live.clock import fresh_id
from makeway.live.config import Config
from makeway.live.controller import Controller
from makeway.live.counts import Counts, counted
from makeway.live.edited import facts_of
from makeway.live.inbox import Inbox
from makeway.live.keys import Keys, digest
from makeway.live.kinds import learn_kinds
from makeway.live.machine import this_machine
from makeway.live.rights import Owners
from makeway.live.settings import CpuLimits, ExecutorKind, MemoryLimits
from makeway.live.submission import Terms, Wanted, assert_taken, events_of
from makeway.live.tracker import Ground
from makeway.model.cluster import ROOT, Node, Queue
from makeway.model.event import (
    Entry,
)
from makeway.model.rules import LIVE, Rules
from makeway.model.ruling import FailureRules
from makeway.policy.snapshot import Snapshot
from makeway.store.database import Database
from makeway.store.idempotency import Write, look_up, remember
from makeway.store.log import Damage, Log
from makeway.store.rows import JobRow
from makeway.version import __version__
from makeway.wire.cluster import StatusView
from makeway.wire.tokens import Caller, Scope

TURN_MS = 1_000
FOLLOW_S = 1.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a service begins with; None: what was in force before, or the default.

    nodes    None: the executor finds them by itself
    owners   by queue: whose it is, beside those whose name it bears
    """

    nodes: tuple[Node, ...] | None
    rules: Rules | None = None
    queues: tuple[Queue, ...] | None = None
    owners: Owners = {}
    failures: FailureRules | None = None


class Service:
    """One controller and all who ask it; see the module."""

    def __init__(self, house: House, settings: Settings, owner: Caller) -> None:
        """Take a house whose lock is held; `owner` is whoever started it."""
        self.house, self.settings, self.owner = house, settings, owner
        self.store, self.owners, self.url = house.store, settings.owners, ""
        self.reader = house.reader()
        self.since_s = time.time()
        self._controller: Controller = house.controller()
        self._controller.heard = self._heard
        self._log, self._keys = Log(self.reader), Keys()
        self._ending = threading.Event()
        self._news = threading.Condition()
        self._last = 0
        self._reloaded: Settings | None = None
        self._settled = True

    @property
    def inbox(self) -> Inbox:
        """Give the way to the controller."""
        return self._controller.inbox

    @property
    def classes(self) -> Mapping[str, int]:
        """Give the classes in force."""
        return self._controller.state.rules.classes

    @property
    def damaged(self) -> Sequence[Damage]:
        """Name what of the log did not read as it was written."""
        return self._controller.damaged

    # ── the loop ──────────────────────────────────────────────────────────────────────────────────

    def begin(self) -> Counts:
        """Go on where the log ends, with the machines, rules and queues of the settings."""
        controller, wanted = self._controller, self.settings
        learn_kinds()
        controller.recover()
        if wanted.nodes is None:
            state = controller.state
            up = {**state.nodes, **state.draining}
            self.house.believe(up.values())
        self._last = self._log.last()
        before = controller.state
        rules = wanted.rules or (before.rules if before.rules != Rules() else LIVE)
        controller.start(rules=rules)
        self._settle()
        if wanted.nodes is None:
            controller.turn(0)  # the executor tells which there are
        return counted(controller.state)

    def _settle(self) -> None:
        """Let machines, rules and queues be as the settings say."""
        wanted = self.settings
        setup = Setup(rules=wanted.rules, queues=wanted.queues, failures=wanted.failures)
        for fact in facts_of(self._state, setup):
            self._controller.submit(fact)
        self._settle_nodes()

    def _settle_nodes(self) -> None:
        """Let the machines be those of the settings; one goes when the last worker has left it."""
        nodes = self.settings.nodes
        if nodes is None:
            self._settled = True
            return
        for fact in facts_of(self._state, Setup(nodes=nodes)):
            self._controller.submit(fact)
        wanted, state = {node.name for node in nodes}, self._state
        self._settled = wanted >= {*state.nodes, *state.draining, *state.lost}

    @property
    def _state(self) -> State:
        return self._controller.state

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Turn the loop until `stop`, or until `until` says so after a turn."""
        try:
            while not self._ending.is_set() and not until():
                self._controller.turn(TURN_MS)
                if not self._settled:
                    self._settle_nodes()
                if self._reloaded is not None:
                    self.settings, self._reloaded = self._reloaded, None
                    self.owners = self.settings.owners
                    self._settle()
        finally:
            self.inbox.close()
            self._controller.flush()
            self._ending.set()
            with self._news:
                self._news.notify_all()

    def reload(self, settings: Settings) -> None:
        """Take other settings from now on; the loop does it after its turn."""
        self._reloaded = settings
        self.inbox.wake()

    def ground(self, url: str) -> Ground:
        """Give what a tracker stands on, and leave its address for workers to come."""
        return Ground(
            store=self.store, inbox=self.inbox, database=self.database, reader=self.reader,
            now_ms=self.now_ms, endpoint=note_endpoint(self.store, url),
        )  # fmt: skip

    def stop(self) -> None:
        """Let the loop end; from any thread, and safe to repeat."""
        self._ending.set()
        self.inbox.wake()

    @property
    def ending(self) -> bool:
        """Say whether the service is on its way out."""
        return self._ending.is_set()

    def close(self) -> None:
        """Close what only the service had open."""
        self.reader.close()

    # ── what a desk needs ─────────────────────────────────────────────────────────────────────────

    def now_ms(self) -> int:
        """Tell the time as the log does."""
        return self.house.clock.now_ms()

    def snapshot(self, state: State) -> Snapshot:
        """Show the state to the policy, as of now."""
        return state.snapshot(self.now_ms())

    def declared(self) -> Sequence[str]:
        """Name the queues that were set, as the tree is read."""
        return [path for path in self._controller.state.declared if path != ROOT]

    def terms(self) -> Terms:
        """Say by what submissions are read."""
        rules = self._controller.state.rules
        return Terms(rules=rules, declared=self.declared(), owners=self.owners)

    def brought(
        self, wanted: Wanted, caller: Caller, key: str | None, body: Mapping[str, object]
    ) -> str:
        """Let the engine have a job, and give its id once it is durable."""
        if key is None:
            return self._brought(wanted, caller, ())
        request = (caller.user, key, digest(body))
        with self._keys.used(caller.user, key):
            known = look_up(self.reader, *request)
            if known is not None:
                return known
            job = fresh_id(self.now_ms())
            return self._brought(wanted, caller, (remember(request, job, self.now_ms()),), job)

    def again(self, row: JobRow, caller: Caller) -> str:
        """Bring a job that has ended once more, as it was asked for."""
        spec = msgspec.structs.replace(row.spec, after=())
        return self._brought(Wanted(spec=spec, hold=False), caller, ())

    def has_nodes(self, change: Callable[[tuple[Node, ...]], tuple[Node, ...]]) -> None:
        """Let the machines be others than now; the loop does it, and lets who runs leave first."""
        known = self.settings.nodes
        if known is None:
            hint = "let a machine join or leave Ray: makeway follows"
            raise Conflict("the machines are those of Ray", hint=hint)
        with self._news:
            nodes = change(known)
            self.settings = msgspec.structs.replace(self.settings, nodes=nodes)
            self._settled = False
        # The first answer comes before the loop settles, the second one after that.
        for _ in range(2):
            self.inbox.ask(lambda _state: None)

    def owned_by(self, owners: Owners) -> None:
        """Let queues be whose they are said to be."""
        self.owners = owners

    @property
    def database(self) -> Database:
        """Give the connection that may write."""
        return self.house.database

    def entries(self, after: int, *, follow: bool) -> Iterator[Entry]:
        """Give the entries after a seq; with `follow`, go on until the service ends."""
        while True:
            for entry in self._log.read(after):
                after = entry.seq
                yield entry
            if not follow or self.ending:
                return
            self.wait_for(after, FOLLOW_S)

    def wait_for(self, after: int, timeout_s: float) -> int:
        """Wait until there is an entry after this seq, at most so long; give the last seq."""
        with self._news:
            self._news.wait_for(lambda: self._last > after or self.ending, timeout_s)
            return self._last

    def status(self, caller: Caller) -> StatusView:
        """Say how the service is."""
        counts = self.inbox.ask(counted)
        return StatusView(
            version=__version__, pid=os.getpid(), url=self.url, store=str(self.store),
            database=self.reader.where, since_s=self.since_s, last_event=counts.last,
            nodes=counts.nodes, running=counts.running, queued=counts.queued,
            capacity=counts.capacity, usage=counts.usage, user=caller.user,
            scopes=tuple(sorted(scope.value for scope in caller.scopes)),
            storing=not self._controller.storing, text=self._controller.storing,
        )  # fmt: skip

    def _brought(self, wanted: Wanted, caller: Caller, also: Sequence[Write], job: str = "") -> str:
        name = job or fresh_id(self.now_ms())
        told = self.inbox.tell(events_of(name, wanted, caller), also)
        assert_taken(name, told)
        return name

    def _heard(self, entries: Sequence[Entry]) -> None:
        with self._news:
            self._last = entries[-1].seq if entries else self._last
            self._news.notify_all()


def owner_of(user: str) -> Caller:
    """Give whoever started the service: they may do all."""
    return Caller(user=user, scopes=frozenset(Scope))


def settings_of(config: Config) -> Settings:
    """Take what a service begins with out of the configuration."""
    return Settings(
        nodes=_nodes_of(config),
        rules=config.rules if config.given("policy") else None,
        queues=config.queues if config.given("queues") else None,
        owners=config.users,
        failures=config.failures,
    )


def _nodes_of(config: Config) -> tuple[Node, ...] | None:
    if config.executor.kind is ExecutorKind.LOCAL:
        return config.nodes or (this_machine(),)
    if config.nodes:
        where, hint = config.origin("nodes"), "leave them out: Ray says which there are"
        raise InvalidInput("nodes are for the executor local", where=where, hint=hint)
    return None


def plan_of(config: Config, patience_s: float = 0) -> Plan:
    """Take what the house is built with out of the configuration."""
    limits, service = config.limits, config.service
    site = Site(
        pin=limits.cpu in (CpuLimits.AUTO, CpuLimits.PIN),
        cgroups=limits.memory is not MemoryLimits.GUARD,
        run_as_user=limits.run_as_user,
    )
    return Plan(
        database=service.database,
        site=site,
        ray=_ray_of(config),
        depot=config.artifacts.url,
        sample_ms=limits.sample_interval_ms,
        patience_s=patience_s,
        keep=config.retention,
    )


def _ray_of(config: Config) -> RaySite | None:
    given = config.executor
    if given.kind is ExecutorKind.LOCAL:
        return None
    return RaySite(
        address=given.ray_address, host=given.host, port=given.port, lease_ms=given.lease_ms
    )
