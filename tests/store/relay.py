"""Stand between a client and a PostgreSQL server, and cut the line at the worst moment."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = ".s.PGSQL.5432"


class Relay:
    """Passes on everything; once told to, it lets a commit through and never says that it was."""

    def __init__(self, server: Path, listener: socket.socket) -> None:
        """Take the folder with the server's socket, and where clients call."""
        self.cut = threading.Event()
        self._server, self._listener = server, listener

    def serve(self) -> None:
        """Serve one client after another until the listener is closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, socket.socket(socket.AF_UNIX) as server:
                server.connect(str(self._server / NAME))
                self._pass_on(client, server)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        committing = False
        while True:
            ready, _, _ = select.select([client, server], [], [])
            for one in ready:
                data = one.recv(1 << 16)
                if not data:
                    return
                if one is client:
                    committing = self.cut.is_set() and b"COMMIT" in data
                    server.sendall(data)
                elif committing:
                    self.cut.clear()
                    return  # it is done, and nobody hears of it
                else:
                    client.sendall(data)


@contextmanager
def relay(server: Path, folder: Path) -> Iterator[Relay]:
    """Give a relay whose clients call in this folder."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / NAME))
        listener.listen()
        made = Relay(server, listener)
        thread = threading.Thread(target=made.serve)
        thread.start()
        try:
            yield made
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
