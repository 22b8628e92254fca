"""Follow the log for one receiver elsewhere, and tell it everything once it can be reached.

One thread a receiver. It reads some entries, writes what they lead to in the receiver's language,
sends that, and only then moves the receiver's place. While the receiver cannot be reached it tries
again, later and later, and nothing is lost: the log is the outbox (store.outbox). What it refuses
for good is counted, said in the service's log and passed over, so that one message that it does not
understand does not keep back all others.

    log ── some entries ──> written ──> sent ──> place kept
                               └─ not sent: the same entries again, after a pause

Holds:   in order; each at least once, and with the same id if more than once
Raises:  nothing: a receiver that is wrong is no reason for the service to be
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from makeway.errors import MakewayError
from makeway.model.event import Entry
from makeway.store.database import Database
from makeway.store.outbox import Place, keep_place, places

LOG = logging.getLogger("makeway.export")
AT_ONCE = 200
PAUSE_MIN_S, PAUSE_MAX_S = 0.5, 60.0
QUIET_S = 1.0  # how long a thread waits for news before it looks whether the service ends
UNTOLD_MAX = 2_000  # entries that lead to no message before a place is written all the same


class Unreachable(Exception):
    """The receiver does not answer, or says that it cannot now: it is tried again."""


class Refused(Exception):
    """The receiver does not take this, and will not later."""


Message = TypeVar("Message")


class Receiver(Protocol[Message]):
    """Who is told, and in which language."""

    @property
    def name(self) -> str:
        """Give the name under which its place is kept."""
        ...

    def written(self, entry: Entry) -> Iterator[Message]:
        """Give what an entry leads to, as the receiver reads it."""
        ...

    def send(self, messages: Sequence[Message]) -> None:
        """Send some messages; raises Unreachable, or Refused."""
        ...


class Source(Protocol):
    """Where the log comes from: a service."""

    @property
    def database(self) -> Database:
        """Give the connection that may write."""
        ...

    @property
    def ending(self) -> bool:
        """Say whether the service is on its way out."""
        ...

    def entries(self, after: int, *, follow: bool) -> Iterator[Entry]:
        """Give the entries after a seq."""
        ...

    def wait_for(self, after: int, timeout_s: float) -> int:
        """Wait until there is an entry after this seq, at most so long; give the last seq."""
        ...

    def now_ms(self) -> int:
        """Tell the time as the log does."""
        ...


class Outlet(Generic[Message]):
    """Tells one receiver; see the module."""

    def __init__(self, source: Source, receiver: Receiver[Message]) -> None:
        """Take whose log it is and who is told; `start` begins."""
        self._source, self._receiver = source, receiver
        known = places(source.database).get(receiver.name)
        last = source.wait_for(-1, 0)
        self.place = known or Place(sink=receiver.name, seq=last, at_ms=source.now_ms())
        self._kept = self.place
        self._closing = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"makeway-{receiver.name}", daemon=True
        )

    def start(self) -> None:
        """Begin to tell, from where it was left."""
        self._keep(self.place)
        self._thread.start()

    def close(self, patience_s: float = 5.0) -> None:
        """Tell what can be told at once, and end."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(patience_s)

    # ── the thread ────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        pause_s = PAUSE_MIN_S
        while True:
            closing = self._closing.is_set() or self._source.ending
            try:
                more = self._some()
            except (Unreachable, MakewayError) as error:
                self._trouble(str(error))
                if closing or self._closing.wait(pause_s):
                    return
                pause_s = min(PAUSE_MAX_S, pause_s * 2)
                continue
            except Exception:
                LOG.exception("%s is not told any more", self._receiver.name)
                return
            pause_s = PAUSE_MIN_S
            if not more:
                if closing:
                    self._keep(self.place)
                    return
                self._source.wait_for(self.place.seq, QUIET_S)

    def _some(self) -> bool:
        """Tell some of what is new; False: there is nothing more."""
        entries = list(
            itertools.islice(self._source.entries(self.place.seq, follow=False), AT_ONCE)
        )
        if not entries:
            return False
        messages = [message for entry in entries for message in self._receiver.written(entry)]
        refused = self._send(messages) if messages else 0
        self.place = Place(
            sink=self.place.sink, seq=entries[-1].seq, refused=self.place.refused + refused,
            at_ms=self._source.now_ms(),
        )  # fmt: skip
        if messages or self.place.seq - self._kept.seq > UNTOLD_MAX or self._kept.problem:
            self._keep(self.place)
        return True

    def _send(self, messages: Sequence[Message]) -> int:
        """Send them together, or, where that is refused, one by one; give how many were refused."""
        try:
            self._receiver.send(messages)
        except Refused as error:
            if len(messages) == 1:
                LOG.warning("%s refuses a message: %s", self._receiver.name, error)
                return 1
            return sum(self._send([message]) for message in messages)
        return 0

    def _trouble(self, text: str) -> None:
        if not self.place.problem:
            LOG.warning("%s cannot be told, and is tried again: %s", self._receiver.name, text)
        self.place = msgspec.structs.replace(self.place, problem=text)
        self._keep(self.place)

    def _keep(self, place: Place) -> None:
        if place == self._kept and place.sink in places(self._source.database):
            return
        try:
            keep_place(self._source.database, place)
        except MakewayError as error:  # the store cannot be written now: it is told once more later
            LOG.warning("the place of %s was not kept: %s", self._receiver.name, error)
            return
        self._kept = place
