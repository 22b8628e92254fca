"""Run a whole service with its server in this process, and talk to it over real sockets.

What is asked goes through `http.client`, so what is tested is what a client sees: status, headers,
bytes. Jobs that are submitted here are held, unless a test wants to see one run.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from makeway.live.assemble import embedded
from makeway.live.entrance import Office
from makeway.live.service import Service, owner_of
from makeway.live.service import Settings as ServiceSettings
from makeway.live.tracker import Tracker
from makeway.server.app import create_app
from makeway.server.front import Front
from makeway.server.listen import Running, serve
from makeway.server.office import Settings
from makeway.wire.tokens import Scope, TokenRequest
from tests.builders import node

API = "/api/v1"
PROBLEM = "application/problem+json"
OWNER = owner_of("root")
PATIENCE_S = 20.0

NODES = (node("n1", cpus=4, memory="4GiB"), node("n2", cpus=4, memory="4GiB"))
JOB = {"name": "train", "command": ["true"], "hold": True}


class Answer(msgspec.Struct, frozen=True):
    """What came back, header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Read the body."""
        return msgspec.json.decode(self.body)

    @property
    def items(self) -> list[Any]:
        """Give the items of a page."""
        items: list[Any] = self.json["items"]
        return items


class Person:
    """Somebody with a token (None: nobody) who asks, each time over a fresh connection."""

    def __init__(self, running: Running, token: str | None) -> None:
        self.running, self.token = running, token

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = self.connection()
        try:
            return said(connection, method, path, body, {**self.signed(), **(headers or {})})
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=_named(headers))

    def post(self, path: str, body: object = None, **headers: str) -> Answer:
        return self.ask("POST", path, body, headers=_named(headers))

    def submit(self, **keys: object) -> Any:
        """Submit a job, which is held, and give it."""
        answer = self.post("/jobs", {**JOB, **keys})
        assert answer.status == 201, answer.body
        return answer.json

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.running.port, timeout=PATIENCE_S)

    def signed(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}


class Site:
    """A service with its server, and who may come."""

    def __init__(self, service: Service, running: Running, front: Front) -> None:
        self.service, self.running, self.front = service, running, front
        self.root = self.person("root", *Scope)
        self.ada = self.person("ada")
        self.nobody = Person(running, None)

    def person(self, user: str, *scopes: Scope, lasts: str | None = None) -> Person:
        """Let somebody in, with a token of their own."""
        wanted = TokenRequest(user=user, scopes=scopes or (Scope.READ, Scope.SUBMIT), lasts=lasts)
        made = self.front.office.desk(OWNER).make_token(wanted)
        return Person(self.running, made.token)


@contextmanager
def site_in(store: Path, settings: Settings | None = None) -> Iterator[Site]:
    """Run a service in a store, as `makeway up` does, for as long as the block runs."""
    begun, ended = threading.Event(), threading.Event()
    services: list[Service] = []

    def work() -> None:
        with embedded(store) as house:
            service = Service(house, ServiceSettings(nodes=NODES), OWNER)
            services.append(service)
            service.begin()
            begun.set()
            service.run()
            ended.wait(PATIENCE_S)
            service.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert begun.wait(PATIENCE_S), "the service did not begin"
    office = Office(services[0])
    app = create_app(office, settings)
    running = serve(app, "127.0.0.1", 0)
    app.state.front.tracker = Tracker(services[0].ground(running.url))
    try:
        yield Site(services[0], running, app.state.front)
    finally:
        services[0].stop()
        running.stop()
        ended.set()
        thread.join(PATIENCE_S)


def said(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: object,
    headers: Mapping[str, str],
) -> Answer:
    """Send one request over a connection and read its answer; a body that is no bytes is JSON."""
    data = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
    typed = {"Content-Type": "application/json"} if data is not None else {}
    place = path if path.startswith(("/healthz", "/readyz", "/metrics")) else API + path
    connection.request(method, place, data, {**typed, **headers})
    response = connection.getresponse()
    return Answer(
        response.status,
        {name.lower(): value for name, value in response.getheaders()},
        response.read(),
    )


class Stream:
    """An answer that goes on, read line by line."""

    def __init__(self, person: Person, path: str, headers: Mapping[str, str] | None = None) -> None:
        self.connection = person.connection()
        self.connection.request("GET", API + path, headers={**person.signed(), **(headers or {})})
        self.response = self.connection.getresponse()

    def line(self) -> str:
        """Give the next line, without its end; "" at an empty one and when all is over."""
        return self.response.readline().decode().rstrip("\n")

    def event(self) -> dict[str, str]:
        """Give the fields of the next event; {} if the stream ends before one comes."""
        fields: dict[str, str] = {}
        while raw := self.response.readline():
            name, _, value = raw.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "id" in fields:
                return fields
            else:
                fields = {}  # it was a comment
        return {}

    def close(self) -> None:
        self.response.close()
        self.connection.close()


def assert_problem(answer: Answer, status: int, code: str, *words: str) -> None:
    """Check that an answer is a problem of this kind which says these words somewhere."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == PROBLEM
    problem = answer.json
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["title"]
    assert problem["detail"]
    told = " ".join(str(problem.get(key, "")) for key in ("detail", "where", "hint"))
    assert not [word for word in words if word not in told], told


def names(jobs: Sequence[Mapping[str, str]]) -> list[str]:
    """Give the names of jobs."""
    return [job["name"] for job in jobs]


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
