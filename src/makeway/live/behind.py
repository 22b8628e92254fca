"""Say what a desk stands in front of: a service that works, or a store at rest.

What differs is small: a store at rest is looked at and never changed, and its state is what the log
says of everything that was not finished when it ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from makeway.engine.state import State
from makeway.live.inbox import Told
from makeway.live.rights import Owners
from makeway.live.submission import Terms, Wanted
from makeway.model.cluster import Node
from makeway.model.event import Entry, Event
from makeway.policy.snapshot import Snapshot
from makeway.store.database import Database
from makeway.store.idempotency import Write
from makeway.store.rows import JobRow
from makeway.wire.cluster import StatusView
from makeway.wire.tokens import Caller

Answer = TypeVar("Answer")


class Ear(Protocol):
    """Who can be asked about the state, and told what is wanted."""

    def ask(self, look: Callable[[State], Answer]) -> Answer:
        """Look at the state between two steps."""
        ...

    def tell(self, events: Sequence[Event], also: Sequence[Write] = ()) -> Told:
        """Bring events and wait until they are durable."""
        ...


class Behind(Protocol):
    """What a desk needs of what is behind it."""

    @property
    def inbox(self) -> Ear:
        """Give who can be asked and told."""
        ...

    @property
    def reader(self) -> Database:
        """Give a connection for reading."""
        ...

    @property
    def store(self) -> Path:
        """Give the folder of the store."""
        ...

    @property
    def classes(self) -> Mapping[str, int]:
        """Give the classes in force."""
        ...

    def now_ms(self) -> int:
        """Tell the time as the log does."""
        ...

    def snapshot(self, state: State) -> Snapshot:
        """Show the state to the policy, as of now."""
        ...

    def declared(self) -> Sequence[str]:
        """Name the queues that were set."""
        ...

    def terms(self) -> Terms:
        """Say by what submissions are read."""
        ...

    def brought(
        self, wanted: Wanted, caller: Caller, key: str | None, body: Mapping[str, object]
    ) -> str:
        """Let the engine have a job, and give its id once it is durable."""
        ...

    def again(self, row: JobRow, caller: Caller) -> str:
        """Bring a job that has ended once more."""
        ...

    def entries(self, after: int, *, follow: bool) -> Iterator[Entry]:
        """Give the entries after a seq."""
        ...

    def status(self, caller: Caller) -> StatusView:
        """Say how it is."""
        ...

    def has_nodes(self, change: Callable[[tuple[Node, ...]], tuple[Node, ...]]) -> None:
        """Let the machines be others than now; who runs on one that goes leaves first."""
        ...

    def owned_by(self, owners: Owners) -> None:
        """Let queues be whose they are said to be."""
        ...

    @property
    def database(self) -> Database:
        """Give the connection that may write."""
        ...

    def stop(self) -> None:
        """End it."""
        ...
