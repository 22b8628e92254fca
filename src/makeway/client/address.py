"""Read the address of a service: http or https, a host, a port, perhaps a path before `/api/v1`."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from makeway.errors import InvalidInput

PORT = 7070
API = "/api/v1"


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a service listens; `text` is how a person wrote it."""

    text: str
    tls: bool
    host: str
    port: int
    path: str


def address_of(text: str) -> Address:
    """Read `http://host:7070`; `host:7070` alone means http, and no port means 7070."""
    where = "the service's URL"
    full = text if "://" in text else f"http://{text}"
    hint = "write it as http://127.0.0.1:7070"
    try:
        parts = urlsplit(full)
        port = parts.port
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no URL: {error}", where=where, hint=hint) from None
    if parts.scheme not in ("http", "https"):
        raise InvalidInput(f"{text!r} is neither http nor https", where=where, hint=hint)
    if parts.username is not None or parts.password is not None:
        hint = "give the token by MAKEWAY_TOKEN or --token-file"
        raise InvalidInput("a URL holds no secret", where=where, hint=hint)
    if not parts.hostname:
        raise InvalidInput(f"{text!r} names no host", where=where, hint=hint)
    if port is None:
        port = 443 if parts.scheme == "https" else PORT
    path = parts.path.rstrip("/").removesuffix(API)
    return Address(
        text=full.rstrip("/"),
        tls=parts.scheme == "https",
        host=parts.hostname,
        port=port,
        path=path + API,
    )
