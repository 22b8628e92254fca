"""Tell the pages that something has happened, as briefly as can be: which topics, and up to where.

A page asks again for what it shows; what exactly has happened it need not know. All tabs of a browser
share one such stream, and however much happens a stream says it at most a few times a second.

Source:  HTML Living Standard 9.2 (server-sent events)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from starlette.responses import Response, StreamingResponse

from makeway.errors import NotAllowed
from makeway.server.front import Front
from makeway.server.pages.visit import Visiting
from makeway.server.problems import TooMany
from makeway.server.streams import HEARTBEAT
from makeway.wire.tokens import Scope

PAUSE_S = 0.25
OPENING = b"retry: 1000\n\n"
LastEventId = Annotated[int | None, Header(alias="Last-Event-ID", ge=0)]

routes = APIRouter(include_in_schema=False)


@routes.get("/live")
def live(visit: Visiting, last: LastEventId = None) -> Response:
    """Follow what happens: each message names the topics that have changed."""
    front = visit.front
    if not visit.caller.may(Scope.READ):
        raise NotAllowed("this needs the scope read")
    if front.counts.followers >= front.settings.followers_max:
        raise TooMany(f"{front.settings.followers_max} streams are open already")
    newest = visit.desk.status().last_event
    place = newest if last is None else min(last, newest)
    return StreamingResponse(_news(front, place), media_type="text/event-stream")


async def _news(front: Front, place: int) -> AsyncIterator[bytes]:
    front.counts.followers += 1
    try:
        yield OPENING
        async for items in front.feed.follow(place, front.settings.heartbeat_s):
            if not items:
                yield HEARTBEAT
                continue
            topics = " ".join(sorted({item.topic for item in items}))
            yield f"id: {items[-1].seq}\ndata: {topics}\n\n".encode()
            if await front.feed.rest(PAUSE_S):
                return
    finally:
        front.counts.followers -= 1
