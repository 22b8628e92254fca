"""What the client does when all is well, when it is refused, and when connections break."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from makeway.client.address import address_of
from makeway.client.client import Client, connect
from makeway.codec import encode_entry
from makeway.errors import (
    Conflict,
    InvalidInput,
    MakewayError,
    NeverFits,
    NotAllowed,
    NotFound,
    Unavailable,
    Unreachable,
)
from makeway.model.event import Entry, JobCancelRequested
from makeway.wire.jobs import JobsWanted
from tests.client.played import Heard, Played, Reply, played

JOB = {
    "id": "j1",
    "name": "train",
    "user": "ada",
    "queue": "lab/ada",
    "class": "medium",
    "priority": 0,
    "phase": "queued",
    "submitted_s": 1.0,
}
STATUS = {
    "version": "0", "pid": 1, "url": "", "store": "", "database": "", "since_s": 0.0,
    "last_event": 3, "nodes": 0, "running": 0, "queued": 0, "capacity": {}, "usage": {},
    "user": "ada", "scopes": [],
}  # fmt: skip


@pytest.fixture
def server() -> Iterator[Played]:
    with played() as stage:
        yield stage


def wait_for(true: Callable[[], bool]) -> None:
    """Wait until something is so; what the kernel does in another thread nobody tells us."""
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def sse(*seqs: int) -> bytes:
    """Write events as the service does, with a heartbeat in front."""
    lines = [b": nothing new\n\n"]
    for seq in seqs:
        entry = Entry(seq=seq, at_ms=seq, cause=0, event=JobCancelRequested(job=f"j{seq}"))
        lines.append(f"id: {seq}\nevent: JobCancelRequested\n".encode())
        lines.append(b"data: " + encode_entry(entry) + b"\n\n")
    return b"".join(lines)


# ── asking ────────────────────────────────────────────────────────────────────────────────────────


def test_a_filter_goes_into_the_query_and_a_name_stays_within_its_place(server: Played) -> None:
    server.play = lambda heard, reply: reply.json(
        {"items": [JOB]} if heard.path.startswith("/api/v1/jobs?") else JOB
    )
    with Client(server.url, "secret") as client:
        page = client.jobs(JobsWanted(phases=("queued", "running"), queue="lab/ada", limit=7))
        assert [job.job_class for job in page.items] == ["medium"]
        client.job("../tokens?x=1")
    listed, one = server.heard
    assert listed.path == "/api/v1/jobs?queue=lab%2Fada&limit=7&state=queued%2Crunning"
    assert one.path == "/api/v1/jobs/..%2Ftokens%3Fx%3D1"
    assert listed.headers["Authorization"] == "Bearer secret"


def test_a_list_is_read_over_all_its_pages(server: Played) -> None:
    def play(heard: Heard, reply: Reply) -> None:
        second = "cursor=two" in heard.path
        node: dict[str, object] = {
            "name": "n2" if second else "n1",
            "state": "ready",
            "capacity": {},
            "free": {},
        }
        reply.json({"items": [node], "next_cursor": None if second else "two"})

    server.play = play
    with Client(server.url) as client:
        assert [node.name for node in client.nodes()] == ["n1", "n2"]


@pytest.mark.parametrize(
    "code, status, kind",
    [
        ("bad-input", 422, InvalidInput),
        ("not-found", 404, NotFound),
        ("not-signed-in", 401, NotAllowed),
        ("not-allowed", 403, NotAllowed),
        ("conflict", 409, Conflict),
        ("changed", 412, Conflict),
        ("never-fits", 422, NeverFits),
        ("unavailable", 503, Unavailable),
        ("of-a-later-version", 409, Conflict),
    ],
)
def test_a_problem_is_raised_as_what_it_was(
    server: Played, code: str, status: int, kind: type[MakewayError]
) -> None:
    problem = {"title": "t", "status": status, "detail": "so it is", "code": code}
    server.play = lambda _, reply: reply.json({**problem, "where": "name", "hint": "do"}, status)
    with Client(server.url) as client, pytest.raises(kind) as raised:
        client.status()
    error = raised.value
    assert (type(error), error.problem, error.where, error.hint) == (kind, "so it is", "name", "do")


@pytest.mark.parametrize("status", [200, 404, 502])
def test_what_is_no_makeway_service_is_told_as_that(server: Played, status: int) -> None:
    server.play = lambda _, reply: reply.text(b"<html>", status)
    with Client(server.url) as client, pytest.raises(MakewayError) as raised:
        client.status()
    assert server.url in str(raised.value)
    assert "is this the address of a makeway service" in raised.value.hint


# ── connections that break ────────────────────────────────────────────────────────────────────────


def test_a_connection_is_kept_and_one_that_was_ended_is_opened_anew(server: Played) -> None:
    def play(heard: Heard, reply: Reply) -> None:
        reply.json(JOB)
        reply.hangs_up()

    server.play = play
    with Client(server.url) as client:
        client.job("j1")
        for act in ("hold", "release"):
            wait_for(client._connection._stale)  # it was idle, and the service let go of it
            client.act("j1", act)
    assert [heard.method for heard in server.heard] == ["GET", "POST", "POST"]


class Dying:
    """Answers every request but one, under which the connection breaks."""

    def __init__(self, number: int) -> None:
        self._left = number

    def __call__(self, heard: Heard, reply: Reply) -> None:
        self._left -= 1
        if self._left == 0:
            reply.hangs_up()
        else:
            reply.json(JOB)


def test_a_question_is_asked_once_more_when_its_connection_breaks(server: Played) -> None:
    server.play = Dying(2)
    with Client(server.url) as client:
        client.job("j1")
        assert client.job("j1").id == "j1"
    assert len(server.heard) == 3


def test_an_order_is_never_given_twice(server: Played) -> None:
    server.play = Dying(2)
    with Client(server.url) as client:
        client.job("j1")
        with pytest.raises(Unreachable) as raised:
            client.act("j1", "cancel")
    assert [heard.method for heard in server.heard] == ["GET", "POST"]
    assert "it may have been done" in raised.value.hint


def test_a_submission_is_sent_again_under_the_same_key(server: Played) -> None:
    server.play = Dying(2)
    with Client(server.url) as client:
        client.job("j1")
        client.submit({"command": ["true"]})
    first, second = server.heard[1:]
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert json.loads(second.body) == {"command": ["true"]}


def test_who_is_not_there_is_named_with_what_to_do() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(Unreachable, match=url) as raised, Client(url) as client:
        client.status()
    assert raised.value.exit_code == 9
    assert "makeway up" in raised.value.hint


# ── what happens ──────────────────────────────────────────────────────────────────────────────────


def test_events_go_on_behind_the_last_one_after_a_break(server: Played) -> None:
    def play(heard: Heard, reply: Reply) -> None:
        after = int(heard.headers["Last-Event-ID"])
        cut = sse(after + 1)[:-9]  # the second one breaks in the middle of its data
        reply.begins(sse(after + 1) + cut, "text/event-stream")

    server.play = play
    with Client(server.url) as client:
        watched = client.watch(after=4, topics=("jobs", "nodes"))
        seqs = []
        for entry in watched:
            seqs.append(entry.seq)
            if len(seqs) == 3:
                watched.close()
    assert seqs == [5, 6, 7]
    assert [heard.headers["Last-Event-ID"] for heard in server.heard] == ["4", "5", "6"]
    assert server.heard[0].path == "/api/v1/events?topics=jobs%2Cnodes"


def test_events_up_to_now_end_there(server: Played) -> None:
    def play(heard: Heard, reply: Reply) -> None:
        if heard.path.endswith("/status"):
            reply.json(STATUS)
        else:
            reply.begins(sse(1, 2, 3), "text/event-stream")

    server.play = play
    with Client(server.url) as client:
        assert [entry.seq for entry in client.events(0, follow=False)] == [1, 2, 3]
        assert list(client.events(3, follow=False)) == []


def test_who_may_not_watch_is_told_at_once(server: Played) -> None:
    problem = {"title": "t", "status": 401, "detail": "no", "code": "not-signed-in"}
    server.play = lambda _, reply: reply.json(problem, 401)
    with Client(server.url) as client, pytest.raises(NotAllowed):
        next(iter(client.watch()))


def test_a_log_that_breaks_is_given_once(server: Played) -> None:
    whole = [{"rank": 0, "text": "a\n"}, {"rank": 1, "text": "é\n"}, {"rank": 0, "text": "b\nc"}]
    lines = [json.dumps(one).encode() + b"\n" for one in whole]
    breaks = iter([2, 2, 3])

    def play(heard: Heard, reply: Reply) -> None:
        if heard.path.endswith("/jobs/j1"):
            done = len([one for one in server.heard if "/logs" in one.path]) == 3
            reply.json({**JOB, "phase": "succeeded" if done else "running"})
        else:
            reply.begins(b"".join(lines[: next(breaks)]), "application/x-ndjson")

    server.play = play
    with Client(server.url) as client:
        log = client.log("j1")
        found = [*log.more()]
        assert found == [(0, b"a\n"), (1, "é\n".encode())]
        assert log.more() == [], "that was all so far"
        while not log.ended():
            found += log.more()
        found += log.more()
    assert found == [(0, b"a\n"), (1, "é\n".encode()), (0, b"b\nc")]


def test_a_log_that_breaks_while_somebody_looks_once_is_no_whole_log(server: Played) -> None:
    def play(heard: Heard, reply: Reply) -> None:
        if heard.path.endswith("/jobs/j1"):
            reply.json(JOB)
        else:
            reply.begins(b'{"rank": 0, "text": "a"}\n{"rank": 0, "te', "application/x-ndjson")

    server.play = play
    with Client(server.url) as client, pytest.raises(Unreachable, match="within the log"):
        client.log("j1").more()


# ── addresses ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text, host, port, path",
    [
        ("http://h:1", "h", 1, "/api/v1"),
        ("h", "h", 7070, "/api/v1"),
        ("h:8080/", "h", 8080, "/api/v1"),
        ("https://h/ml/", "h", 443, "/ml/api/v1"),
        ("http://[::1]:7", "::1", 7, "/api/v1"),
        ("http://h:1/api/v1", "h", 1, "/api/v1"),
    ],
)
def test_an_address_is_read_as_people_write_it(text: str, host: str, port: int, path: str) -> None:
    found = address_of(text)
    assert (found.host, found.port, found.path) == (host, port, path)


@pytest.mark.parametrize(
    "text", ["", "ftp://h", "http://", "http://h:x", "http://a:b@h", "h:99999"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="URL"):
        address_of(text)


def test_connect_takes_the_environments_service(
    server: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEWAY_URL", server.url)
    monkeypatch.setenv("MAKEWAY_TOKEN", "mine")
    server.play = lambda _, reply: reply.json(STATUS)
    with connect() as client:
        assert client.status().last_event == 3
    assert server.heard[0].headers["Authorization"] == "Bearer mine"
