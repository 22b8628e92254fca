"""Stand before every route: refuse what is not meant for us, count, and let no error out bare.

In this order: Host, Origin, the length that a body says it has; then the app. Every answer gets the
headers that keep a browser from guessing, framing and keeping. What fails for a mistake of ours is
logged with its traceback and told as a problem without it; neither has a header or a body in it, so
no token.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from makeway.errors import InvalidInput, MakewayError, Unavailable
from makeway.server.front import Front
from makeway.server.hosts import wrong_host, wrong_origin
from makeway.server.office import Settings
from makeway.server.problems import BUG, TooLarge, refusal, told
from makeway.server.replies import PATIENCE

LOG = logging.getLogger("makeway.server")
NO_ROUTE = "none"
FILES = "/api/2.0/mlflow-artifacts/artifacts/"
SECURITY: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class Guard:
    """The outermost layer of the app; see the module."""

    def __init__(self, app: ASGIApp, front: Front) -> None:
        """Take what is behind it."""
        self._app, self._front = app, front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
                self._count(scope, status, time.perf_counter() - began)
            await send(message)

        try:
            wrong = self._wrong(scope)
            if wrong is not None:
                await _drain(scope, receive, self._front.settings.body_max_bytes * PATIENCE)
                await refusal(wrong)(scope, receive, sending)
                return
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            return
        except (asyncio.CancelledError, Exception) as error:
            ending = self._front.feed.closed
            if not ending and isinstance(error, Exception):
                LOG.exception("%s %s failed", scope["method"], _route(scope))
            if status or not (ending or isinstance(error, Exception)):
                raise  # half of the answer is out: all that is left is to break the connection
            answer = refusal(Unavailable("the service is ending")) if ending else told(BUG)
            await answer(scope, receive, sending)

    def _wrong(self, scope: Scope) -> MakewayError | None:
        headers = Headers(scope=scope)
        settings = self._front.settings
        here = scope.get("server") or ("",)
        ours = {here[0], self._front.listens_on, *settings.allowed_hosts}
        hosts = headers.getlist("host")
        wrong = wrong_host(hosts, {name.lower() for name in ours if name})
        return (
            wrong
            or wrong_origin(
                headers.get("origin"), hosts[0], scope["scheme"], settings.allowed_origins
            )
            or _too_long(headers.get("content-length", "0"), _most(scope, settings))
        )

    def _count(self, scope: Scope, status: int, took_s: float) -> None:
        self._front.counts.add(scope["method"], _route(scope), status, took_s)


def _route(scope: Scope) -> str:
    """Name the route of a request by its pattern."""
    path = getattr(scope.get("route"), "path", None)
    return str(path) if path else NO_ROUTE


def _most(scope: Scope, settings: Settings) -> int:
    """Say how long a body may be: what is a file goes straight to the disk, and may be longer."""
    is_file = scope["method"] == "PUT" and scope["path"].startswith(FILES)
    return settings.artifact_max_bytes if is_file else settings.body_max_bytes


def _too_long(length: str, most: int) -> MakewayError | None:
    if not (length.isascii() and length.isdigit()):
        return InvalidInput("this is no length", where="header Content-Length")
    if int(length[:20]) > most:
        return TooLarge(f"the body is larger than {most} bytes", where="body")
    return None


async def _drain(scope: Scope, receive: Receive, most: int) -> None:
    """Read a body that nobody wants, up to a size: its sender reads no answer before it is sent.

    Who asks first whether to send it at all hears at once that they need not.
    """
    if "expect" in Headers(scope=scope):
        return
    size = 0
    async for part in Request(scope, receive).stream():
        size += len(part)
        if size > most:
            return
