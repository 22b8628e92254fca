"""Look at a store in which no service works: everything can be asked, nothing can be changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

from makeway.engine.engine import Engine
from makeway.engine.state import State
from makeway.errors import Unreachable
from makeway.live.clock import WallClock
from makeway.live.counts import counted
from makeway.live.inbox import Told
from makeway.live.rights import Owners
from makeway.live.submission import Terms, Wanted
from makeway.model.cluster import ROOT, Node
from makeway.model.event import Entry, Event
from makeway.policy.choose import decide
from makeway.policy.snapshot import Snapshot
from makeway.store.database import Database
from makeway.store.idempotency import Write
from makeway.store.log import Log
from makeway.store.rows import JobRow
from makeway.version import __version__
from makeway.wire.cluster import StatusView
from makeway.wire.tokens import Caller

Answer = TypeVar("Answer")


class Still:
    """A store at rest; see `behind.Behind`."""

    def __init__(self, store: Path) -> None:
        """Open the store, and replay what was not finished."""
        self.store = store
        self.reader = Database.open(store, read_only=True)
        self._log, self._clock = Log(self.reader), WallClock()
        engine = Engine(decide)
        engine.replay(self._log.read_unfinished(), self._log.last())
        self._clock.not_before(self._log.last_at_ms())
        self._state = engine.state

    @property
    def inbox(self) -> Still:
        """Give who can be asked: nobody changes the state, so whoever asks may look themselves."""
        return self

    @property
    def classes(self) -> Mapping[str, int]:
        """Give the classes in force."""
        return self._state.rules.classes

    def close(self) -> None:
        """Close the store."""
        self.reader.close()

    def ask(self, look: Callable[[State], Answer]) -> Answer:
        """Look at the state."""
        return look(self._state)

    def tell(self, events: Sequence[Event], also: Sequence[Write] = ()) -> Told:
        """Refuse: nobody is there who could do it."""
        del events, also
        self._refuse()

    def now_ms(self) -> int:
        """Tell the time as the log does."""
        return self._clock.now_ms()

    def snapshot(self, state: State) -> Snapshot:
        """Show the state to the policy, as of now."""
        return state.snapshot(self.now_ms())

    def declared(self) -> Sequence[str]:
        """Name the queues that were set."""
        return [path for path in self._state.declared if path != ROOT]

    def terms(self) -> Terms:
        """Say by what submissions would be read."""
        return Terms(rules=self._state.rules, declared=self.declared(), owners={})

    def brought(
        self, wanted: Wanted, caller: Caller, key: str | None, body: Mapping[str, object]
    ) -> str:
        """Refuse: nobody is there who could run it."""
        del wanted, caller, key, body
        self._refuse()

    def again(self, row: JobRow, caller: Caller) -> str:
        """Refuse: nobody is there who could run it."""
        del row, caller
        self._refuse()

    def entries(self, after: int, *, follow: bool) -> Iterator[Entry]:
        """Give the entries after a seq; nothing follows."""
        del follow
        return self._log.read(after)

    def status(self, caller: Caller) -> StatusView:
        """Say what is there, and that nobody works."""
        counts = counted(self._state)
        return StatusView(
            version=__version__, pid=os.getpid(), url="", store=str(self.store),
            database=self.reader.where, since_s=self._clock.now_ms() / 1000,
            last_event=counts.last, nodes=counts.nodes, running=counts.running,
            queued=counts.queued, capacity=counts.capacity, usage=counts.usage, user=caller.user,
            scopes=tuple(sorted(scope.value for scope in caller.scopes)),
            text="no service works in this store",
        )  # fmt: skip

    def has_nodes(self, change: Callable[[tuple[Node, ...]], tuple[Node, ...]]) -> None:
        """Refuse: nobody is there whose machines they would be."""
        del change
        self._refuse()

    def owned_by(self, owners: Owners) -> None:
        """Refuse: nobody is there who would hold to it."""
        del owners
        self._refuse()

    @property
    def database(self) -> Database:
        """Refuse: only a service writes."""
        self._refuse()

    def stop(self) -> None:
        """Refuse: there is nothing to end."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        hint = "start one with: makeway up"
        raise Unreachable("no service works in this store", where=str(self.store), hint=hint)
