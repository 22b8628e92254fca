"""Listen at an address, in a thread of its own, until `stop`.

The socket is bound before the thread starts: whoever calls `serve` learns at once that a port is
taken, and by whom, and a request that comes in the very next moment waits for its answer instead of
being refused. `stop` ends the streams first, lets answers that are under way go out, and then lets
go of everything; a client that does not read is not waited for.

Raises:  Conflict: the port is taken · NotAllowed: it is the system's · InvalidInput: no such address
Holds:   after `stop` nothing listens and the thread is gone
Cost:    one wakeup a second while nobody asks
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading

import uvicorn
from fastapi import FastAPI

from makeway.errors import Conflict, InvalidInput, MakewayError, NotAllowed, Unavailable
from makeway.server.front import Front
from makeway.server.ports import who_listens

BACKLOG = 1_024
PORT_MAX = 65_535
BEGIN_S, END_S = 10.0, 5.0
LET_GO_S = 1.0
GRACE_S = 1
KEEP_ALIVE_S = 30
TICKS_A_S = 10  # uvicorn's own count: what it does once a second it does every tenth tick
ANYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - it is looked for, not listened at


class Running:
    """An app that listens."""

    def __init__(self, server: Server, thread: threading.Thread, host: str, port: int) -> None:
        """Take what runs."""
        self._server, self._thread = server, thread
        self.host, self.port = host, port

    @property
    def url(self) -> str:
        """Give the address under which this machine reaches it."""
        host = "127.0.0.1" if self.host in ANYWHERE else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def stop(self) -> None:
        """End it and wait until it has ended; safe to repeat."""
        self._server.leave()
        self._thread.join(END_S)
        self._server.front.feed.join(LET_GO_S)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it has ended; say whether it has."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()


class Server(uvicorn.Server):
    """uvicorn, told to end from another thread, and idle while nobody asks."""

    def __init__(self, config: uvicorn.Config, front: Front) -> None:
        """Take how to serve, and whose streams to end."""
        super().__init__(config)
        self.begun = threading.Event()
        self.front = front
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin, and say so."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.begun.set()

    async def main_loop(self) -> None:
        """Wait until it is to end; uvicorn's own looks ten times a second."""
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += TICKS_A_S
            try:
                async with asyncio.timeout(1):
                    await self._leaving.wait()
            except TimeoutError:
                continue

    def leave(self) -> None:
        """End, from any thread."""
        self.should_exit = True
        self.front.feed.close()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._leaving.set)


def serve(app: FastAPI, host: str, port: int) -> Running:
    """Listen at a host's port (0: any that is free) and give what runs."""
    return serve_at(app, bound(host, port), host)


def serve_at(app: FastAPI, sock: socket.socket, host: str) -> Running:
    """Answer those who come to a socket that listens, those who wait in it already as well."""
    front: Front = app.state.front
    front.listens_on = host
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",  # what goes wrong is logged by the guard, once
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="auto",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = Server(config, front)
    thread = threading.Thread(target=server.run, args=([sock],), name="makeway-server", daemon=True)
    running = Running(server, thread, host, sock.getsockname()[1])
    thread.start()
    if not server.begun.wait(BEGIN_S):
        running.stop()
        sock.close()
        raise Unavailable("the server did not begin", where=running.url)
    return running


def bound(host: str, port: int) -> socket.socket:
    """Give a socket that listens; connections wait in it until somebody takes them."""
    where = f"{host}:{port}"
    if not 0 <= port <= PORT_MAX:  # the resolver would take what is left of it
        raise InvalidInput(f"ports go from 0 to {PORT_MAX}", where=where)
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind)
    except (OSError, UnicodeError) as error:
        raise InvalidInput(f"this is no address: {error}", where=where) from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _unbound(error, where, port) from None
    sock.setblocking(False)  # noqa: FBT003 - the socket's own way to say it
    return sock


def _unbound(error: OSError, where: str, port: int) -> MakewayError:
    match error.errno:
        case errno.EADDRINUSE:
            who = who_listens(port)
            problem = f"the port is taken{f' by {who}' if who else ''}"
            return Conflict(problem, where=where, hint="stop that one, or choose another: --port")
        case errno.EACCES:
            hint = "choose one of 1024 and more"
            return NotAllowed("this port is the system's", where=where, hint=hint)
        case int(number):
            reason = os.strerror(number).lower()
        case _:
            reason = str(error)
    return InvalidInput(f"it is not possible to listen there: {reason}", where=where)
