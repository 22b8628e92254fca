"""Offer the tracking endpoint where no service works: inside the command that runs the workers.

To listen costs next to nothing, so that is done at once, and the address is left for the workers.
What answers (a web framework, a loop, threads) takes half a second to import; nobody pays for that
before somebody calls. The first connection waits in the socket meanwhile.

The port is the one of the last time, if nobody else has it by now: workers that outlived a command
that was killed find the next one by it.

Takes:   a house whose lock is held, and the inbox of its controller
Holds:   after the block nothing listens, and nobody waits for the inbox
Cost:    0.3 ms; from the first connection on, the imports
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

from makeway.errors import Unavailable
from makeway.executor.tracking import known_endpoint, note_endpoint
from makeway.live.assemble import House
from makeway.live.inbox import Inbox
from makeway.live.kinds import learn_kinds
from makeway.live.tracker import Ground, Tracker
from makeway.server.office import Office

HOST = "127.0.0.1"
BACKLOG = 1_024
LET_GO_S = 5.0


@contextlib.contextmanager
def offered(house: House, inbox: Inbox) -> Iterator[None]:
    """Offer the endpoint for as long as the block runs."""
    sock = _bound(house)
    endpoint = note_endpoint(house.store, f"http://{HOST}:{sock.getsockname()[1]}")
    bell = os.eventfd(0, os.EFD_CLOEXEC)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, bell)

        def wait() -> None:
            ready, _, _ = select.select([sock.fileno(), bell], [], [])
            if bell in ready:
                sock.close()
                return
            with sock, house.reader() as reader:
                tracker = Tracker(
                    Ground(
                        store=house.store, inbox=inbox, database=house.database, reader=reader,
                        now_ms=house.clock.now_ms, endpoint=endpoint,
                    )
                )  # fmt: skip
                _answer(tracker, sock, bell)

        thread = threading.Thread(target=wait, name="makeway-offered", daemon=True)
        thread.start()
        try:
            yield
        finally:
            inbox.close()  # who still waits hears that it is over
            os.eventfd_write(bell, 1)
            thread.join(LET_GO_S)


def _answer(tracker: Tracker, sock: socket.socket, bell: int) -> None:
    """Answer until the bell rings."""
    from makeway.server.app import create_tracking_app
    from makeway.server.listen import serve_at
    from makeway.server.openapi import Nobody

    # Classes that came with these imports are met in the controller's thread, before others meet
    # them: see `live.kinds`.
    tracker.ground.inbox.ask(lambda _state: learn_kinds())
    running = serve_at(create_tracking_app(Nobody(), tracker), sock, HOST)
    try:
        select.select([bell], [], [])
    finally:
        running.stop()


@contextlib.contextmanager
def offered_too(url: str, office: Office, tracker: Tracker) -> Iterator[None]:
    """Answer for a service also where workers were told to look before it came; unless it is taken."""
    from makeway.server.app import create_tracking_app
    from makeway.server.listen import serve_at

    sock = _at(urlsplit(url).port or 0)
    if sock is None:
        yield
        return
    running = serve_at(create_tracking_app(office, tracker), sock, HOST)
    try:
        yield
    finally:
        running.stop()


def _bound(house: House) -> socket.socket:
    """Give a socket that listens, at the port of the last time if that is free."""
    known = known_endpoint(house.store)
    port = None if known is None else urlsplit(known.url).port
    sock = (_at(port) if port else None) or _at(0)
    if sock is None:
        raise Unavailable("this machine has no port left", where=HOST)
    return sock


def _at(port: int) -> socket.socket | None:
    """Listen at a port of this machine; None: it is taken."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((HOST, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        return None
    sock.setblocking(False)  # noqa: FBT003 - the socket's own way to say it
    return sock
