"""Pass the events of the log on to any number of streams, with one thread for all of them.

The thread follows the log and keeps the latest entries in memory, encoded once. A stream holds no
queue of its own, only its place: it takes what has come after it, and if it has fallen behind what
is kept (it is slow, or resumes at an old place) it reads from the log until it has caught up. So a
client that does not read costs nobody anything.

    log ── one thread ──> kept entries ──> stream at 4711
                              │       └──> stream at 4712
                              └ too old ── read the log from 17 on ──> stream at 17

Holds:   a stream gives every entry behind its place once, in order
Cost:    none while nothing happens; 10 µs an event and stream
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence

import msgspec
from anyio import CapacityLimiter, to_thread

from makeway.codec import encode_entry
from makeway.errors import MakewayError
from makeway.model.event import Entry, Event, JobFinished
from makeway.server.office import SELF, Office
from makeway.server.tally import Tally
from makeway.wire.desk import Desk

LOG = logging.getLogger("makeway.server")
KEPT = 4_096
CHUNK = 500
AGAIN_S = 1.0
READERS = 4
TOPICS = ("jobs", "runs", "nodes", "queues")


class Item(msgspec.Struct, frozen=True):
    """An entry as it goes out."""

    seq: int
    topic: str
    text: bytes


def topic_of(event: Event) -> str:
    """Say what an event is about, by what it names."""
    fields = event.__struct_fields__
    if "job" in fields:
        return "jobs"
    if "run" in fields or "execution" in fields:
        return "runs"
    return "nodes" if type(event).__name__.startswith("Node") else "queues"


def item_of(entry: Entry) -> Item:
    """Write an entry as a server-sent event."""
    name = type(entry.event).__name__
    head = f"id: {entry.seq}\nevent: {name}\ndata: ".encode()
    return Item(entry.seq, topic_of(entry.event), head + encode_entry(entry) + b"\n\n")


def read_log(desk: Desk, after: int) -> list[Item]:
    """Read some of what is behind a place from the log."""
    return [*map(item_of, itertools.islice(desk.events(after, follow=False), CHUNK))]


class Feed:
    """The thread, and what it keeps; see the module."""

    def __init__(self, office: Office) -> None:
        """Take whose log it is; `start` begins to follow it."""
        self._office = office
        self._lock = threading.Lock()  # over what is kept: `_kept`, `_floor`, `_last`, `_told`
        self._kept: deque[Item] = deque(maxlen=KEPT)
        self._floor = self._last = 0
        self._told = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._pump, name="makeway-feed", daemon=True)
        self.ended: Counter[str] = Counter()
        self.tally = Tally(lambda job: office.desk(SELF).job(job))
        # Reading the log for those who are behind takes no thread away from other requests.
        self.readers = CapacityLimiter(READERS)

    @property
    def closed(self) -> bool:
        """Say whether there is nothing more to come."""
        return self._closing.is_set()

    def start(self) -> None:
        """Follow the log from here on; call it from the server's loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def close(self) -> None:
        """End every stream. The thread ends with the iterator that it waits for, at the latest."""
        self._closing.set()
        self._wake()

    def join(self, patience_s: float) -> None:
        """Wait until the thread has let go of the log, at most so long."""
        if self._thread.ident is not None:
            self._thread.join(patience_s)

    async def follow(self, after: int, quiet_s: float) -> AsyncIterator[Sequence[Item]]:
        """Give what comes after a place, some at a time; nothing, if it was quiet for so long."""
        while True:
            news, closed = self._news, self.closed
            items = self._since(after)
            if not items and closed:
                return
            if items is None:
                items = await to_thread.run_sync(self._read, after, limiter=self.readers)
                after = after if items else self._floor
            elif not items and not await _comes(news, quiet_s):
                yield ()
            if items:
                after = items[-1].seq
                yield items

    async def rest(self, quiet_s: float) -> bool:
        """Wait for so long, or until all is over: then it is True."""
        until = asyncio.get_running_loop().time() + quiet_s
        while not self.closed and (left := until - asyncio.get_running_loop().time()) > 0:
            await _comes(self._news, left)
        return self.closed

    def _read(self, after: int) -> list[Item]:
        return read_log(self._office.desk(SELF), after)

    def _since(self, after: int) -> list[Item] | None:
        """Give some of what is kept behind a place; None: that goes back too far."""
        with self._lock:
            if after < self._floor:
                return None
            if after >= self._last:
                return []
            behind = itertools.takewhile(lambda item: item.seq > after, reversed(self._kept))
            found = list(behind)
        return found[: -CHUNK - 1 : -1]

    def _pump(self) -> None:
        begun = False
        while not self._closing.is_set():
            try:
                desk = self._office.desk(SELF)
                if not begun:
                    self._begin(desk.status().last_event)
                    begun = True
                for entry in desk.events(self._last, follow=True):
                    if self._closing.is_set():
                        return
                    self._add(entry)
            except Exception as error:
                if not isinstance(error, MakewayError) and not self._closing.is_set():
                    LOG.exception("the log cannot be followed")
                self._closing.wait(AGAIN_S)
            else:
                self.close()  # the service ends, and has nothing more to say

    def _begin(self, last: int) -> None:
        with self._lock:
            self._floor = self._last = last
        self._wake()

    def _add(self, entry: Entry) -> None:
        item = item_of(entry)
        self.tally.add(entry)
        if isinstance(entry.event, JobFinished):
            self.ended[entry.event.phase.value] += 1
        with self._lock:
            if len(self._kept) == KEPT:
                self._floor = self._kept[0].seq
            self._kept.append(item)
            self._last = entry.seq
            told, self._told = self._told, True
        if not told:
            self._wake()

    def _wake(self) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        """Wake every stream that waits; what comes from here on is told again."""
        with self._lock:
            self._told = False
        old, self._news = self._news, asyncio.Event()
        old.set()


async def _comes(news: asyncio.Event, quiet_s: float) -> bool:
    """Wait for news; False if there were none for so long."""
    try:
        async with asyncio.timeout(quiet_s):
            return await news.wait()
    except TimeoutError:
        return False
