"""Hear what happens as the service tells it: server-sent events that go on after a break.

Each event has its place in the log as its id. When the connection breaks, the next one begins
behind the last event that was heard (`Last-Event-ID`): nothing is lost and nothing is told twice,
also over a restart of the service.

Raises:  Unreachable: nobody has answered for `GIVE_UP_S`, though it was tried again and again
Holds:   seqs rise
Source:  HTML Living Standard, section 9.2, Server-sent events
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from makeway.client.connection import Ask, Connection
from makeway.codec import decode_entry
from makeway.errors import Unavailable
from makeway.model.event import Entry

# The service says something, if only a comment, more often than this.
QUIET_S = 60.0
GIVE_UP_S = 30.0
AGAIN_S, AGAIN_MAX_S = 0.2, 3.0


class Message(msgspec.Struct, frozen=True):
    """One message of a stream: its id, its kind, its data."""

    id: str
    kind: str
    data: str


def messages(lines: Iterable[bytes]) -> Iterator[Message]:
    """Read messages as the standard says; one that is not complete is none."""
    last, kind, data = "", "", list[str]()
    for line in lines:
        if not line.endswith(b"\n"):
            return  # the connection broke within a line
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if not text:
            if data:
                yield Message(last, kind or "message", "\n".join(data))
            kind, data = "", []
            continue
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                data.append(value)
            case "event":
                kind = value
            case "id" if "\0" not in value:
                last = value
            case _:
                pass  # a comment, or what a later standard knows


class Events:
    """The events after a seq, for as long as somebody reads; `close` ends it from any thread."""

    def __init__(self, connection: Connection, after: int, topics: Sequence[str] = ()) -> None:
        """Take a connection of one's own, which nobody else uses."""
        self._connection, self._after, self._topics = connection, after, topics
        self._closed = threading.Event()
        self._reached = False

    def close(self) -> None:
        """End it: whoever waits for the next event is told that there is none."""
        self._closed.set()
        self._connection.interrupt()

    def __iter__(self) -> Iterator[Entry]:
        """Give the events, over every break."""
        pause_s, broken_at = AGAIN_S, None
        while not self._closed.is_set():
            try:
                for entry in self._heard():
                    pause_s, broken_at = AGAIN_S, None
                    yield entry
            except Unavailable:
                broken_at = broken_at or time.monotonic()
                late = time.monotonic() - broken_at > GIVE_UP_S
                if not self._closed.is_set() and (late or not self._reached):
                    raise
            except (OSError, ValueError, http.client.HTTPException):
                broken_at = broken_at or time.monotonic()
            finally:
                self._connection.close()
            self._closed.wait(pause_s)
            pause_s = min(AGAIN_MAX_S, pause_s * 2)

    def _heard(self) -> Iterator[Entry]:
        query = {"topics": ",".join(self._topics) or None}
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(self._after)}
        ask = Ask(path="/events", query=query, headers=headers)
        with self._connection.stream(ask, QUIET_S) as response:
            self._reached = True
            if self._closed.is_set():
                return  # it was closed while this was opened
            for message in messages(response):
                if not message.id.isdigit() or int(message.id) <= self._after:
                    continue
                entry = decode_entry(message.data, "an event of the service")
                self._after = entry.seq
                yield entry
