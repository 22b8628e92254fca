"""Read bodies and write answers: JSON by msgspec alone, with tags that spare a second sending.

A GET carries the hash of its body as `ETag`; whoever sends that back in `If-None-Match` hears 304
if nothing has changed. Lists that the desk gives whole are cut into pages here: a cursor names the
last item of a page, so an item that comes or goes in between moves nothing.

Raises:  Malformed: the body is not JSON · InvalidInput: it is not of the shape that is asked for
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

import msgspec
from fastapi import Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from makeway.codec import decode, encode
from makeway.errors import InvalidInput
from makeway.server.front import front_of
from makeway.server.problems import Malformed, TooLarge, WrongType
from makeway.wire.page import PAGE, PAGE_MAX, Page

JSON = "application/json"
TAG_BYTES = 12
# What is still read of a body that is too large, so that its sender gets to read the answer.
PATIENCE = 8

Value = TypeVar("Value")
Item = TypeVar("Item")

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="How many items a page may have.")]
Cursor = Annotated[str | None, Query(description="Where to go on: `next_cursor` of a page.")]


async def _body(request: Request) -> bytes:
    """Take a body of JSON, counted while it comes, whatever its length was said to be."""
    sort = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sort != JSON and not (sort.startswith("application/") and sort.endswith("+json")):
        problem = f"the body is {sort or 'of no type'}"
        raise WrongType(problem, where="header Content-Type", hint=f"send {JSON}")
    return await _taken(request)


async def _perhaps(request: Request) -> bytes:
    """Take a body if there is one."""
    length = request.headers.get("content-length", "0")
    if length == "0" and "transfer-encoding" not in request.headers:
        return b""
    return await _body(request)


Body = Annotated[bytes, Depends(_body)]
PerhapsBody = Annotated[bytes, Depends(_perhaps)]


async def _taken(request: Request) -> bytes:
    most = front_of(request).settings.body_max_bytes
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size <= most:
            parts.append(part)
        elif size > most * PATIENCE:
            break
    if size > most:
        raise TooLarge(f"the body is larger than {most} bytes", where="body")
    return b"".join(parts)


def read(body: bytes, kind: type[Value]) -> Value:
    """Read a body as a value of this type."""
    try:
        return decode(body, kind, "body")
    except InvalidInput as error:
        try:
            msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise Malformed(error.problem, where="body", hint="send JSON") from None
        raise


def answer(request: Request, value: object, status: int = 200) -> Response:
    """Answer with a value; a GET is not sent again to whoever has it already."""
    body = encode(value)
    if request.method != "GET":
        return Response(body, status, media_type=JSON)
    tag = tag_of(body)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if matches(request.headers.get("if-none-match"), tag):
        return Response(None, 304, headers)
    return Response(body, status, headers, JSON)


def tag_of(body: bytes) -> str:
    """Give the tag of a body."""
    return f'"{hashlib.blake2b(body, digest_size=TAG_BYTES).hexdigest()}"'


def matches(header: str | None, tag: str) -> bool:
    """Say whether a tag is among those of an If-Match or If-None-Match."""
    if header is None:
        return False
    named = [one.strip().removeprefix("W/") for one in header.split(",")]
    return "*" in named or tag in named


def paged(
    items: Sequence[Item], name: Callable[[Item], str], limit: int = PAGE, cursor: str | None = None
) -> Page[Item]:
    """Cut a page out of a list whose items have names."""
    start = 0
    if cursor is not None:
        last = _uncursor(cursor)
        found = [place for place, item in enumerate(items) if name(item) == last]
        if not found:
            problem = "it names nothing that is in this list"
            raise InvalidInput(problem, where="query cursor", hint="begin again without it")
        start = found[0] + 1
    page = tuple(items[start : start + limit])
    more = page and start + limit < len(items)
    return Page(items=page, next_cursor=_cursor(name(page[-1])) if more else None)


def _cursor(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def _uncursor(cursor: str) -> str:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (UnicodeError, binascii.Error):
        hint = "take it from `next_cursor` as it is"
        raise InvalidInput("this is no cursor", where="query cursor", hint=hint) from None
