"""Say one thing at a time to a service over a connection that is kept.

A kept connection may be gone when it is used next: the service ends it when it is idle for long. It
is looked at before each request, and what may be said twice (a question, an order with a key) is
said once more on a fresh connection if the old one dies under it. What may not is never repeated:
whoever asked is told that it may have been done.

Raises:  Unreachable: nobody answers, or not in time; else what the service says is wrong
Holds:   a request that is not safe reaches the service at most once
Cost:    0.3 ms a question beyond what the service takes
"""

from __future__ import annotations

import http.client
import select
import socket
from collections.abc import Mapping
from urllib.parse import quote, urlencode

import msgspec

from makeway.client.address import Address
from makeway.client.problem import error_of
from makeway.errors import InvalidInput, Unreachable

CONNECT_S = 5.0
ANSWER_S = 60.0
START_HINT = "start it with: makeway up; or name another one by --url or MAKEWAY_URL"
LOST_HINT = "it may have been done: look before you ask again"

Query = Mapping[str, object]
GONE = (http.client.RemoteDisconnected, http.client.BadStatusLine, ConnectionError)


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `again` says that it may be sent twice, as every GET may."""

    method: str = "GET"
    path: str
    query: Query = {}
    body: bytes | None = None
    headers: Mapping[str, str] = {}
    again: bool = False

    @property
    def repeatable(self) -> bool:
        """Say whether it does no harm to send it twice."""
        return self.again or self.method == "GET"


class Connection:
    """A connection to a service; not for several threads at once."""

    def __init__(self, address: Address, token: str | None = None) -> None:
        """Take where to and as whom; the first request opens it."""
        self.address = address
        self._headers = {"Accept": "application/json", "User-Agent": "makeway"}
        if token:
            if not (token.isascii() and token.isprintable()):
                raise InvalidInput("a token has letters and digits of ASCII only", where="token")
            self._headers["Authorization"] = f"Bearer {token}"
        self._open: http.client.HTTPConnection | None = None
        # http.client lets go of it while an answer that ends the connection is still read.
        self._sock: socket.socket | None = None

    def ask(self, ask: Ask) -> bytes:
        """Send a request and give the body of the answer."""
        response = self._answer(ask)
        try:
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._lost(ask, error) from None
        if response.status >= 300:
            raise error_of(response.status, body, self.address.text)
        return body

    def stream(self, ask: Ask, quiet_s: float) -> http.client.HTTPResponse:
        """Send a request whose answer goes on; `quiet_s` without a byte means that it broke."""
        response = self._answer(ask)
        if response.status >= 300:
            body = response.read()
            raise error_of(response.status, body, self.address.text)
        if self._sock is not None:
            self._sock.settimeout(quiet_s)
        return response

    def close(self) -> None:
        """Let go of the connection; the next request opens a new one."""
        if self._open is not None:
            self._open.close()
            self._open = self._sock = None

    def interrupt(self) -> None:
        """Wake whoever reads in another thread: what is read has ended."""
        sock = self._sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it is gone already

    def _answer(self, ask: Ask) -> http.client.HTTPResponse:
        kept = self._open is not None and not self._stale()
        if not kept:
            self.close()
            self._open = self._opened()
        assert self._open is not None, "it was opened just now"
        try:
            self._open.request(
                ask.method,
                self._target(ask),
                body=ask.body,
                headers={**self._headers, **_typed(ask)},
            )
            return self._open.getresponse()
        except TimeoutError:
            self.close()
            problem = f"it did not answer within {ANSWER_S:g} s"
            hint = "" if ask.method == "GET" else LOST_HINT
            raise Unreachable(problem, where=self.address.text, hint=hint) from None
        except GONE as error:
            self.close()
            if kept and ask.repeatable:
                return self._answer(ask)
            raise self._lost(ask, error) from None
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._lost(ask, error) from None

    def _opened(self) -> http.client.HTTPConnection:
        address = self.address
        kind = http.client.HTTPSConnection if address.tls else http.client.HTTPConnection
        connection = kind(address.host, address.port, timeout=CONNECT_S)
        try:
            connection.connect()
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            problem = f"nobody answers there: {reason[:1].lower()}{reason[1:]}"
            raise Unreachable(problem, where=address.text, hint=START_HINT) from None
        connection.sock.settimeout(ANSWER_S)
        self._sock = connection.sock
        return connection

    def _stale(self) -> bool:
        """Say whether a kept connection has ended meanwhile: then there is something to read."""
        sock = self._open.sock if self._open is not None else None
        if sock is None:
            return True
        looked = select.poll()  # select() knows no descriptor above 1023
        looked.register(sock, select.POLLIN)
        return bool(looked.poll(0))

    def _target(self, ask: Ask) -> str:
        known = {name: value for name, value in ask.query.items() if value is not None}
        path = self.address.path + ask.path
        return f"{path}?{urlencode(known, doseq=True)}" if known else path

    def _lost(self, ask: Ask, error: Exception) -> Unreachable:
        reason = str(error) or type(error).__name__
        hint = START_HINT if ask.repeatable else LOST_HINT
        problem = f"the connection broke before the answer came: {reason}"
        return Unreachable(problem, where=self.address.text, hint=hint)


def segment(*names: str) -> str:
    """Write names as a path: whatever is in them stays within its own place."""
    return "".join(f"/{quote(name, safe='@')}" for name in names)


def _typed(ask: Ask) -> dict[str, str]:
    typed = {"Content-Type": "application/json"} if ask.body is not None else {}
    return {**typed, **ask.headers}
