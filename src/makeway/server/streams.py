"""Answer with what goes on: events as they are written, and what workers print.

No stream holds a thread while it waits. Events come from the feed that all streams share; logs are
looked at again and again by a few threads that all log streams share.

    GET /events           server-sent events: `id` is the seq, `event` the kind, `data` the entry
    GET /jobs/{ref}/logs  text, or one JSON object a line with `Accept: application/x-ndjson`

Source:  HTML Living Standard 9.2 (server-sent events)
"""

from __future__ import annotations

import codecs
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Annotated

import msgspec
from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from makeway.errors import InvalidInput, MakewayError
from makeway.server.feed import TOPICS, Item, read_log
from makeway.server.front import Front, front_of
from makeway.server.identity import AtDesk, caller_of
from makeway.server.problems import NotSignedIn, TooMany
from makeway.server.shapes import streamed
from makeway.wire.desk import Desk, LogReader

HEARTBEAT = b": nothing new\n\n"
LINES = "application/x-ndjson"
LOOK_EVERY_S = (0.1, 1.0)  # soon after something was printed, then ever more seldom
LINE_BYTES_MAX = 1 << 16

After = Annotated[int | None, Query(ge=0, description="Begin behind this seq; default: now.")]
LastEventId = Annotated[
    int | None, Header(alias="Last-Event-ID", ge=0, description="Where a stream broke off.")
]
Topics = Annotated[
    str | None, Query(description=f"Only events about these, with commas: {', '.join(TOPICS)}.")
]
Follow = Annotated[bool, Query(description="Go on until the client or the service ends.")]
Unended = Annotated[bool, Query(description="Go on until the job has ended.")]
Attempt = Annotated[int | None, Query(ge=1, description="Which attempt; default: the latest.")]
Rank = Annotated[int | None, Query(ge=0, description="Only the worker of this rank.")]


class Watched:
    """Which events are wanted, as a query says it; `Last-Event-ID` counts before `after`."""

    def __init__(
        self, after: After = None, last: LastEventId = None, topics: Topics = None
    ) -> None:
        """Take the filters."""
        self.after = after if last is None else last
        self.topics = frozenset(TOPICS if topics is None else filter(None, topics.split(",")))


class Asked:
    """Whose output is wanted, as a query says it."""

    def __init__(self, attempt: Attempt = None, rank: Rank = None, follow: Unended = False) -> None:
        """Take the filters."""
        self.attempt, self.rank, self.follow = attempt, rank, follow


routes = APIRouter()


@routes.get(
    "/events",
    summary="Follow what happens, as server-sent events",
    tags=["events"],
    **streamed("text/event-stream", "Entries of the log; comments while it is quiet."),
)
def events(
    request: Request, desk: AtDesk, which: Annotated[Watched, Depends()], follow: Follow = True
) -> Response:
    """Give the entries behind a seq, then what comes; without a seq only what comes."""
    place = _place(desk, which)
    # The first entries are read here and now: who may not read them is refused, not broken off.
    first = read_log(desk, place)
    if follow:
        return _stream(request, _followed(request, place, which.topics), "text/event-stream")
    return StreamingResponse(_caught_up(desk, first, which.topics), media_type="text/event-stream")


@routes.get(
    "/jobs/{ref}/logs",
    summary="Read what the workers of a job print",
    tags=["jobs"],
    **streamed("text/plain", "Whole lines, with the rank in front.", problems=(404, 429)),
)
def logs(request: Request, desk: AtDesk, ref: str, asked: Annotated[Asked, Depends()]) -> Response:
    """Give what was printed; with `follow` also what will be, until the job has ended."""
    reader = desk.log(ref, asked.attempt, asked.rank)
    if LINES in request.headers.get("accept", ""):
        return _stream(request, _printed(request, reader, AsJson(), asked), LINES)
    text = AsText(ranks=asked.rank is None)
    return _stream(request, _printed(request, reader, text, asked), "text/plain")


def _stream(request: Request, parts: AsyncIterator[bytes], media_type: str) -> Response:
    """Answer with a stream, if there are not too many already."""
    front = front_of(request)
    if front.counts.followers >= front.settings.followers_max:
        raise TooMany(f"{front.settings.followers_max} streams are open already")
    return StreamingResponse(_counted(front, parts), media_type=media_type)


async def _counted(front: Front, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    front.counts.followers += 1
    try:
        async for part in parts:
            yield part
    finally:
        front.counts.followers -= 1


# ── events ────────────────────────────────────────────────────────────────────────────────────────


def _place(desk: Desk, which: Watched) -> int:
    """Say behind which seq to begin."""
    if strange := sorted(which.topics - {*TOPICS}):
        problem = f"there is no topic {strange[0]!r}; there are {', '.join(TOPICS)}"
        raise InvalidInput(problem, where="query topics")
    last = desk.status().last_event
    if which.after is not None and which.after > last:
        problem = f"there is no event {which.after} yet; the latest is {last}"
        raise InvalidInput(problem, where="after", hint="has the service got another store?")
    return last if which.after is None else which.after


async def _followed(request: Request, after: int, wanted: frozenset[str]) -> AsyncIterator[bytes]:
    """Give entries and heartbeats, for as long as the token is good; it is looked at that often."""
    front = front_of(request)
    beat_s, known_s = front.settings.heartbeat_s, time.monotonic()
    with contextlib.suppress(MakewayError):  # the service ends: whoever listens begins again there
        async for items in front.feed.follow(after, beat_s):
            if time.monotonic() - known_s >= beat_s:
                if not await _still_in(request):
                    return
                known_s = time.monotonic()
            if text := _written(items, wanted):
                yield text
            elif not items:
                yield HEARTBEAT


async def _still_in(request: Request) -> bool:
    """Ask again whose token it is: it may have been revoked since the stream began."""
    try:
        await to_thread.run_sync(caller_of, request, limiter=front_of(request).feed.readers)
    except NotSignedIn:
        return False
    return True


def _caught_up(desk: Desk, items: Sequence[Item], wanted: frozenset[str]) -> Iterator[bytes]:
    with contextlib.suppress(MakewayError):  # likewise
        while items:
            yield _written(items, wanted)
            items = read_log(desk, items[-1].seq)


def _written(items: Sequence[Item], wanted: frozenset[str]) -> bytes:
    return b"".join(item.text for item in items if item.topic in wanted)


# ── logs ──────────────────────────────────────────────────────────────────────────────────────────


class AsText:
    """Whole lines, each with its rank in front if there may be several."""

    def __init__(self, *, ranks: bool) -> None:
        """Begin with no line."""
        self._ranks = ranks
        self._rest: dict[int, bytes] = {}

    def __call__(self, rank: int, data: bytes) -> bytes:
        """Give the lines that are complete; a line without an end is cut somewhere."""
        data = self._rest.pop(rank, b"") + data
        end = data.rfind(b"\n") + 1
        if len(data) - end > LINE_BYTES_MAX:
            data, end = data + b"\n", len(data) + 1
        if data[end:]:
            self._rest[rank] = data[end:]
        return self._marked(rank, data[:end])

    def rest(self) -> bytes:
        """Give what is left of last lines, when nothing more comes."""
        left = [self._marked(rank, data + b"\n") for rank, data in sorted(self._rest.items())]
        self._rest = {}
        return b"".join(left)

    def _marked(self, rank: int, data: bytes) -> bytes:
        if not self._ranks:
            return data
        return b"".join(b"[%d] %s" % (rank, line) for line in data.splitlines(keepends=True))


class AsJson:
    """One object a line: `{"rank": 0, "text": "…"}`; the text goes on where it stopped."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._decoders: dict[int, codecs.IncrementalDecoder] = {}

    def __call__(self, rank: int, data: bytes) -> bytes:
        """Write some text; what is no text becomes U+FFFD, and no letter is cut in two."""
        decoder = self._decoders.get(rank) or codecs.getincrementaldecoder("utf-8")("replace")
        self._decoders[rank] = decoder
        text = decoder.decode(data)
        return msgspec.json.encode({"rank": rank, "text": text}) + b"\n" if text else b""

    def rest(self) -> bytes:
        """Nothing is left to say: half a letter at the end is none."""
        return b""


async def _printed(
    request: Request, reader: LogReader, written: AsText | AsJson, asked: Asked
) -> AsyncIterator[bytes]:
    feed = front_of(request).feed
    soon, seldom = LOOK_EVERY_S
    pause_s = soon
    while True:
        over, found = await to_thread.run_sync(_look(reader), limiter=feed.readers)
        text = b"".join(written(rank, data) for rank, data in found)
        if text:
            yield text
        if found:
            pause_s = soon
            continue
        if over or not asked.follow or await feed.rest(pause_s):
            break
        pause_s = min(seldom, pause_s * 2)
    if left := written.rest():
        yield left


def _look(reader: LogReader) -> Callable[[], tuple[bool, Sequence[tuple[int, bytes]]]]:
    def look() -> tuple[bool, Sequence[tuple[int, bytes]]]:
        try:
            over = reader.ended()  # first: what is printed until then is read after it
            return over, reader.more()
        except MakewayError:  # the service has ended while it was read
            return True, ()

    return look
