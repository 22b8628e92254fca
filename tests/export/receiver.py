"""A server that other systems stand behind: it takes what it is sent, or says why it does not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(ThreadingHTTPServer):
    """Keeps (path, headers, body) of every request that it accepts.

    `status` is what it answers with; only what is answered with 200 is accepted.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.asked = 0
        self.taken: list[tuple[str, dict[str, str], bytes]] = []
        self.news = threading.Condition()

    @property
    def url(self) -> str:
        """Give where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def wait_until_asked(self, times: int, patience_s: float = 60) -> None:
        """Wait until it was asked so many times, whatever it answered."""
        with self.news:
            assert self.news.wait_for(lambda: self.asked >= times, patience_s)

    def bodies(self, count: int, patience_s: float = 60) -> list[bytes]:
        """Wait for so many requests, and give what was in all that came."""
        with self.news:
            there = self.news.wait_for(lambda: len(self.taken) >= count, patience_s)
            assert there, f"only {len(self.taken)} came"
            return [body for _, _, body in self.taken]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        receiver = self.server
        with receiver.news:
            status = receiver.status
            receiver.asked += 1
            if status == 200:
                receiver.taken.append((self.path, dict(self.headers), body))
            receiver.news.notify_all()
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Have such a server for as long as the block runs."""
    receiver = Receiver()
    thread = threading.Thread(target=receiver.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        receiver.server_close()
        thread.join()
