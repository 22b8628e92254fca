"""Serve what `tools/web_assets.py` has built, under addresses that change with the content.

So a browser may keep a file for ever and never shows an old one. Each is compressed once.

Raises:  Unavailable: nothing has been built
Cost:    a megabyte of memory
"""

from __future__ import annotations

import functools
import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from makeway.errors import NotFound, Unavailable

STATIC = Path(__file__).parents[1] / "static"
TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
FOREVER = "public, max-age=31536000, immutable"
NOT_BUILT = "install makeway again, or in its sources: python tools/web_assets.py"

routes = APIRouter(include_in_schema=False)


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """One file: as it is, and packed."""

    tag: str
    sort: str
    body: bytes
    packed: bytes


@functools.cache
def assets() -> Mapping[str, Asset]:
    """Read what has been built."""
    found = {path.name: _read(path) for path in sorted(STATIC.glob("[a-z]*"))}
    if "app.js" not in found:
        assets.cache_clear()
        raise Unavailable("the scripts of the pages have not been built", hint=NOT_BUILT)
    return found


def _read(path: Path) -> Asset:
    body = path.read_bytes()
    return Asset(
        tag=hashlib.blake2b(body, digest_size=8).hexdigest(),
        sort=f"{TYPES.get(path.suffix, 'application/octet-stream')}; charset=utf-8",
        body=body,
        packed=gzip.compress(body, mtime=0),
    )


def address(name: str) -> str:
    """Say where a file is found; the address changes with it."""
    return f"/static/{assets()[name].tag}/{name}"


@routes.get("/static/{tag}/{name}")
def asset(request: Request, tag: str, name: str) -> Response:
    """Give a file; whoever asks for an older one gets the one of now, and may not keep it."""
    found = assets().get(name)
    if found is None:
        raise NotFound("there is no such file", where=request.url.path)
    headers = {
        "Cache-Control": FOREVER if tag == found.tag else "no-cache",
        "Vary": "Accept-Encoding",
        "Content-Security-Policy": "default-src 'self'",  # a worker goes by its own file's
    }
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(found.packed, headers=headers, media_type=found.sort)
    return Response(found.body, headers=headers, media_type=found.sort)
