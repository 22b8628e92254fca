"""Serving a tagger over HTTP on the loopback interface, and asking it.

POST /tag with {"name": "Ada Lovelace"} answers with the model's name and a probability for each
kind. The server is the standard library's: real enough to be asked by curl, small enough to read.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TypedDict

from torch import nn

from taggers import tag

LONGEST_REQUEST = 4096


class Answer(TypedDict):
    """What a served model says about one name."""

    model: str
    name: str
    probabilities: dict[str, float]


class TagServer(ThreadingHTTPServer):
    """One model behind a port that the system picks."""

    def __init__(self, model: str, tagger: nn.Module) -> None:
        """Bind the port; nobody is answered before serve_forever."""
        super().__init__(("127.0.0.1", 0), TagRequest)
        self.model = model
        self.tagger = tagger

    def answer(self, name: str) -> Answer:
        """Tag one name."""
        return {"model": self.model, "name": name, "probabilities": tag(self.tagger, [name])[0]}


class TagRequest(BaseHTTPRequestHandler):
    """One connection, over which any number of requests may come."""

    server: TagServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer's body waits for its head to be acknowledged

    def do_POST(self) -> None:
        """Answer POST /tag."""
        if self.path != "/tag":
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        name = self._requested_name()
        if name is None:
            self.send_error(HTTPStatus.BAD_REQUEST, 'Expected {"name": "..."} in JSON')
            return
        try:
            answer = self.server.answer(name)
        except Exception:
            # Without this the client would only see that the connection was lost.
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR)
            raise
        self._reply(answer)

    def _requested_name(self) -> str | None:
        """Read the request's body; give the name in it, or None if there is none to be found."""
        try:
            length = min(int(self.headers["Content-Length"]), LONGEST_REQUEST)
            return str(json.loads(self.rfile.read(length))["name"])
        except (ValueError, KeyError, TypeError):
            return None

    def _reply(self, answer: Answer) -> None:
        body = json.dumps(answer).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(model: str, tagger: nn.Module) -> Iterator[tuple[str, int]]:
    """Serve the model while the block runs; give the address."""
    with TagServer(model, tagger) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="server")
        thread.start()
        try:
            yield "127.0.0.1", server.server_port
        finally:
            server.shutdown()
            thread.join()


def ask(address: tuple[str, int], names: Sequence[str]) -> list[Answer]:
    """Post one request a name, all over one connection."""
    connection = HTTPConnection(*address, timeout=10)
    try:
        return [_post(connection, name) for name in names]
    finally:
        connection.close()


def _post(connection: HTTPConnection, name: str) -> Answer:
    body = json.dumps({"name": name})
    connection.request("POST", "/tag", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    text = response.read()
    if response.status != HTTPStatus.OK:
        problem = f"the server answered {response.status}: {text[:200]!r}"
        raise RuntimeError(problem)
    answer: Answer = json.loads(text)
    return answer
