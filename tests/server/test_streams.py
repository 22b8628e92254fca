"""Follow what happens as it happens, and go on after a break where it was."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from makeway.codec import decode_entry
from makeway.model.event import JobSubmitted
from makeway.server import feed
from makeway.server.office import Settings
from tests.server.site import PATIENCE_S, Person, Site, Stream, assert_problem, site_in


def stream(person: Person, path: str, **headers: str) -> closing[Stream]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return closing(Stream(person, path, named))


def all_events(site: Site, query: str = "") -> list[dict[str, str]]:
    """Give every event until now, for which the stream ends by itself."""
    with stream(site.ada, f"/events?after=0&follow=false{query}") as whole:
        return list(iter(whole.event, {}))


def last_seq(site: Site) -> int:
    seq: int = site.ada.get("/status").json["last_event"]
    return seq


def test_what_happens_is_told_as_it_happens(site: Site) -> None:
    with stream(site.ada, "/events") as live:
        job = site.ada.submit()["id"]
        event = live.event()
        assert event["event"] == "JobSubmitted"
        entry = decode_entry(event["data"])
        assert str(entry.seq) == event["id"]
        assert isinstance(entry.event, JobSubmitted)
        assert entry.event.job == job


def test_a_stream_that_broke_off_goes_on_behind_the_last_event(site: Site) -> None:
    before = last_seq(site)
    for _ in range(3):
        site.ada.submit()
    seqs = [int(event["id"]) for event in all_events(site)]
    middle = seqs[len(seqs) - 2]
    with stream(site.ada, "/events?after=0", Last_Event_ID=str(middle)) as resumed:
        assert [int(resumed.event()["id"]) for _ in seqs if _ > middle] == seqs[-1:]
        site.ada.submit()
        assert int(resumed.event()["id"]) == seqs[-1] + 1
    assert seqs == sorted(set(seqs))
    assert seqs[-1] > before


def test_one_topic_leaves_the_others_out(site: Site) -> None:
    site.ada.submit()
    topics = ("jobs", "nodes", "queues", "runs")
    by_topic = {topic: all_events(site, f"&topics={topic}") for topic in topics}
    assert {event["event"] for event in by_topic["nodes"]} == {"NodeJoined"}
    assert "JobSubmitted" in {event["event"] for event in by_topic["jobs"]}
    every = sorted(int(event["id"]) for events in by_topic.values() for event in events)
    assert every[: last_seq(site)] == [int(event["id"]) for event in all_events(site)]


@pytest.mark.parametrize(
    "query, word",
    [("topics=jobs,pods", "pods"), ("after=-1", "after"), ("after=10000000", "yet")],
)
def test_a_place_or_topic_that_is_none_is_refused(site: Site, query: str, word: str) -> None:
    assert_problem(site.ada.get(f"/events?{query}"), 422, "bad-input", word)


def test_while_it_is_quiet_the_stream_says_so(site: Site) -> None:
    with stream(site.ada, "/events") as quiet:
        assert quiet.line().startswith(":")


def test_a_stream_ends_when_its_token_is_revoked(site: Site) -> None:
    made = site.root.post("/tokens", {"user": "eve"}).json
    with stream(Person(site.running, made["token"]), "/events") as live:
        assert live.line().startswith(":")
        site.root.ask("DELETE", f"/tokens/{made['view']['id']}")
        assert live.event() == {}


def test_a_stream_that_is_never_quiet_ends_with_its_token_too(site: Site) -> None:
    made = site.root.post("/tokens", {"user": "iris"}).json
    over = threading.Event()

    def keep_busy() -> None:
        while not over.wait(0.02):
            site.ada.submit()

    busy = threading.Thread(target=keep_busy)
    busy.start()
    try:
        with stream(Person(site.running, made["token"]), "/events") as live:
            assert live.event()
            site.root.ask("DELETE", f"/tokens/{made['view']['id']}")
            until_s = time.monotonic() + PATIENCE_S
            while live.event():
                assert time.monotonic() < until_s
    finally:
        over.set()
        busy.join()


def test_who_falls_behind_what_is_kept_reads_it_from_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "KEPT", 3)
    monkeypatch.setattr(feed, "CHUNK", 2)
    with site_in(tmp_path / ".makeway") as site, stream(site.ada, "/events?after=0") as slow:
        first = int(slow.event()["id"])
        for _ in range(10):
            site.ada.submit()
        last = last_seq(site)
        seen = [first, *(int(slow.event()["id"]) for _ in range(first, last))]
        assert seen == list(range(1, last + 1))


def test_many_streams_take_no_thread_from_other_requests(tmp_path: Path) -> None:
    with site_in(tmp_path / ".makeway", Settings(threads=2)) as site:
        streams = [Stream(site.ada, "/events") for _ in range(30)]
        job = site.ada.submit()["id"]
        for one in streams:
            assert job in one.event()["data"]
        assert "makeway_http_streams 30" in site.ada.get("/metrics").body.decode()
        for one in streams:
            one.close()


def test_more_streams_than_are_allowed_are_refused(tmp_path: Path) -> None:
    with (
        site_in(tmp_path / ".makeway", Settings(followers_max=1)) as site,
        stream(site.ada, "/events?after=0") as first,
    ):
        assert first.event()
        refused = site.ada.get("/events")
        assert_problem(refused, 429, "rate-limited")
        assert refused.headers["retry-after"]


def test_streams_end_when_the_service_does(tmp_path: Path) -> None:
    with site_in(tmp_path / ".makeway") as site:
        live = Stream(site.ada, "/events")
        assert site.root.post("/service:stop").status == 202
        assert live.event() == {}
        live.close()


def test_an_administrator_alone_stops_the_service(site: Site) -> None:
    assert_problem(site.ada.post("/service:stop"), 403, "not-allowed")


# ── logs ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def printed(site: Site) -> str:
    """Run a job of two workers that print, and give its id when it has ended."""
    command = ["sh", "-c", "echo é$RANK; printf rest"]
    job = str(site.ada.submit(command=command, workers=2, hold=False)["id"])
    with stream(site.ada, "/events?after=0&topics=jobs") as live:
        event = live.event()
        while job not in event["data"] or event["event"] != "JobFinished":
            event = live.event()
    return job


@pytest.mark.slow
def test_a_log_is_whole_lines_with_the_rank_in_front(site: Site, printed: str) -> None:
    whole = site.ada.get(f"/jobs/{printed}/logs")
    assert whole.headers["content-type"].startswith("text/plain")
    assert sorted(whole.body.decode().splitlines()) == ["[0] rest", "[0] é0", "[1] rest", "[1] é1"]
    one = site.ada.get(f"/jobs/{printed}/logs?rank=1&attempt=1")
    assert one.body.decode() == "é1\nrest\n"


@pytest.mark.slow
def test_programs_read_a_log_as_json_lines(site: Site, printed: str) -> None:
    answer = site.ada.get(f"/jobs/{printed}/logs", Accept="application/x-ndjson")
    text = {0: "", 1: ""}
    for line in answer.body.splitlines():
        part = msgspec.json.decode(line)
        text[part["rank"]] += part["text"]
    assert text == {0: "é0\nrest", 1: "é1\nrest"}


@pytest.mark.slow
def test_a_log_is_followed_until_the_job_has_ended(site: Site) -> None:
    command = ["sh", "-c", "echo one; while [ ! -e go ]; do sleep 0.05; done; echo two"]
    job = site.ada.submit(command=command, hold=False)["id"]
    with stream(site.ada, f"/jobs/{job}/logs?follow=true&rank=0") as live:
        assert live.line() == "one"
        began = time.monotonic()
        folder = Path(site.ada.get(f"/jobs/{job}").json["directory"])
        (folder / "go").touch()
        assert live.line() == "two"
        assert live.line() == ""
        assert time.monotonic() - began < 10
