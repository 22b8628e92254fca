"""A server that answers as a test says, and remembers what it was asked.

The real one cannot be told to drop a connection at a given byte; everything that it does in peace is
tried with the real one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec


class Heard(msgspec.Struct, frozen=True):
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Reply:
    """What a test can do with a request."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._handler = handler

    def json(self, value: object, status: int = 200) -> None:
        """Answer in peace."""
        self.text(msgspec.json.encode(value), status, "application/json")

    def text(self, body: bytes, status: int = 200, kind: str = "text/plain") -> None:
        self._handler.send_response(status)
        self._handler.send_header("Content-Type", kind)
        self._handler.send_header("Content-Length", str(len(body)))
        self._handler.end_headers()
        self._handler.wfile.write(body)

    def begins(self, body: bytes, kind: str) -> None:
        """Answer with a stream that ends when the connection does."""
        self._handler.send_response(200)
        self._handler.send_header("Content-Type", kind)
        self._handler.send_header("Connection", "close")
        self._handler.end_headers()
        self._handler.wfile.write(body)
        self.hangs_up()

    def hangs_up(self) -> None:
        """End the connection after this, whether there was an answer or not."""
        self._handler.close_connection = True


class Played:
    """The server: `play` answers each request; `heard` is what came."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        self.heard: list[Heard] = []
        self.play: Callable[[Heard, Reply], None] = lambda _heard, reply: reply.json({})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"


@contextmanager
def played() -> Iterator[Played]:
    """Listen at a free port for as long as the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            heard = Heard(self.command, self.path, dict(self.headers.items()), body)
            stage.heard.append(heard)
            stage.play(heard, Reply(self))

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        stage = Played(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield stage
        finally:
            server.shutdown()
