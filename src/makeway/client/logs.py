"""Read what the workers of a job print, as the service passes it on.

The first calls give all there is so far, some at a time, until one gives nothing. Whoever goes on to
ask is told of what is new by a thread that listens, and never waits; when its connection breaks it
begins anew and passes over what was given.

Raises:  what the service says is wrong, from the next call on; Unreachable: it has been gone for long
Holds:   nothing is given twice, nothing is left out; each letter belongs to one rank
"""

from __future__ import annotations

import http.client
import itertools
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from makeway.client.address import Address
from makeway.client.connection import Ask, Connection, segment
from makeway.errors import MakewayError, Unavailable, Unreachable
from makeway.wire.jobs import JobView

LINES = {"Accept": "application/x-ndjson"}
FINAL = ("succeeded", "failed", "cancelled")
# A worker may say nothing for long, and the stream then has nothing to pass on.
QUIET_S = 900.0
GIVE_UP_S, AGAIN_S = 30.0, 0.5
ITEMS = 64  # of at most 256 KiB each


class Printed(msgspec.Struct, frozen=True):
    """Some text of one worker."""

    rank: int
    text: str


class JobLog:
    """The log of one attempt, or of the latest; see the module."""

    def __init__(
        self, address: Address, token: str | None, job: str, ask: tuple[int | None, int | None]
    ) -> None:
        """Take where the service is and who asks, the id of the job, and (attempt, rank)."""
        self._address, self._token, self._job = address, token, job
        self._query = {"attempt": ask[0], "rank": ask[1]}
        self._given: Counter[int] = Counter()
        self._heard: queue.SimpleQueue[Printed | Exception | None] = queue.SimpleQueue()
        self._first: Iterator[Printed] | None = None
        self._looked = self._listens = self._ended = False

    def more(self) -> Sequence[tuple[int, bytes]]:
        """Give what was printed since the last call: (rank, bytes); empty if nothing was."""
        if not self._looked:
            if self._first is None:
                self._first = self._read(Connection(self._address, self._token), follow=False)
            found = list(itertools.islice(self._first, ITEMS))
            self._looked = not found
            return _joined(found)
        if not self._listens:
            self._listens = True
            threading.Thread(target=self._listen, daemon=True).start()
        return _joined(self._news())

    def ended(self) -> bool:
        """Say whether the job is final, so that nothing more will come."""
        if self._listens:
            return self._ended and self._heard.empty()
        return self._final()

    def _news(self) -> list[Printed]:
        found: list[Printed] = []
        while True:
            try:
                heard = self._heard.get_nowait()
            except queue.Empty:
                return found
            if isinstance(heard, Exception):
                raise heard
            if heard is not None:
                found.append(heard)

    def _listen(self) -> None:
        broken_at: float | None = None
        while not self._ended:
            connection = Connection(self._address, self._token)
            try:
                for printed in self._read(connection, follow=True):
                    broken_at = None
                    self._heard.put(printed)
                self._ended = self._final()
            except Unavailable as error:
                broken_at = broken_at or time.monotonic()
                if time.monotonic() - broken_at > GIVE_UP_S:
                    self._heard.put(error)
                    return
            except MakewayError as error:
                self._heard.put(error)
                return
            finally:
                connection.close()
            if not self._ended:
                time.sleep(AGAIN_S)

    def _read(self, connection: Connection, *, follow: bool) -> Iterator[Printed]:
        """Read the log from its beginning; what was given before is passed over."""
        query = {**self._query, "follow": str(follow).lower()}
        path = segment("jobs", self._job, "logs")
        passed: Counter[int] = Counter()
        broken = Unreachable("the connection broke within the log", where=self._address.text)
        with connection.stream(Ask(path=path, query=query, headers=LINES), QUIET_S) as response:
            for line in _lines(response, broken):
                printed = msgspec.json.decode(line, type=Printed)
                known = self._given[printed.rank] - passed[printed.rank]
                passed[printed.rank] += len(printed.text)
                fresh = printed.text[max(0, known) :]
                if fresh:
                    self._given[printed.rank] += len(fresh)
                    yield Printed(printed.rank, fresh)

    def _final(self) -> bool:
        connection = Connection(self._address, self._token)
        try:
            body = connection.ask(Ask(path=segment("jobs", self._job)))
        finally:
            connection.close()
        return msgspec.json.decode(body, type=JobView).phase in FINAL


def _lines(response: http.client.HTTPResponse, broken: Unreachable) -> Iterator[bytes]:
    """Give whole lines; half a line, or half a chunk, means that it broke."""
    try:
        for line in response:
            if not line.endswith(b"\n"):
                raise broken
            yield line
    except (OSError, http.client.HTTPException):
        raise broken from None


def _joined(found: Sequence[Printed]) -> list[tuple[int, bytes]]:
    return [(one.rank, one.text.encode("utf-8", "surrogatepass")) for one in found]
