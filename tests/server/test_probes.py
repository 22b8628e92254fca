"""Answer machines that watch."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

from makeway.model.wait import Reason
from tests.server.site import Site, Stream, assert_problem, site_in

SAMPLE = re.compile(r'^makeway_\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? -?[\d.]+(e[+-]\d+)?$')


def numbers(site: Site) -> dict[str, float]:
    """Read what /metrics shows; every line must be one of the format."""
    found = {}
    for line in site.ada.get("/metrics").body.decode().splitlines():
        if not line.startswith("# "):
            assert SAMPLE.match(line), line
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


def test_who_lives_and_can_work_says_so_without_a_token(site: Site) -> None:
    assert site.nobody.get("/healthz").status == 204
    assert site.nobody.get("/readyz").status == 204


def test_a_service_that_has_ended_lives_but_cannot_work(tmp_path: Path) -> None:
    with site_in(tmp_path / ".makeway") as site:
        site.service.stop()
        site.service.wait_for(10**9, 10.0)
        assert site.nobody.get("/healthz").status == 204
        answer = site.nobody.get("/readyz")
        assert_problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"]


def test_the_numbers_say_what_there_is(tmp_path: Path) -> None:
    with site_in(tmp_path / ".makeway") as site:
        for _ in range(3):
            site.ada.submit()
        shown = numbers(site)
        assert shown['makeway_jobs{phase="queued"}'] == 3
        assert shown['makeway_jobs_waiting{reason="Held"}'] == 3
        assert shown['makeway_nodes{state="ready"}'] == 2
        assert shown['makeway_capacity{kind="cpus"}'] == 8
        assert shown['makeway_capacity{kind="memory"}'] == 8 * 2**30
        assert shown["makeway_events_total"] == site.ada.get("/status").json["last_event"]


def test_jobs_that_have_ended_are_counted_by_how(site: Site) -> None:
    name = 'makeway_jobs_ended_total{phase="cancelled"}'
    before = numbers(site)[name]
    with closing(Stream(site.ada, "/events?topics=jobs")) as live:
        site.ada.post(f"/jobs/{site.ada.submit()['id']}:cancel")
        while live.event()["event"] != "JobFinished":
            pass
    assert numbers(site)[name] == before + 1


def test_every_reason_to_wait_is_a_label(site: Site) -> None:
    shown = numbers(site)
    assert {f'makeway_jobs_waiting{{reason="{reason}"}}' for reason in Reason} <= {*shown}


def test_requests_count_under_their_route_and_never_under_their_path(site: Site) -> None:
    site.ada.get("/jobs/some-name")
    shown = numbers(site)
    assert shown['makeway_http_requests_total{method="GET",route="/jobs/{ref}",status="404"}'] >= 1
    assert not [name for name in shown if "some-name" in name]
    buckets = [name for name in shown if name.startswith("makeway_http_request_seconds_bucket")]
    whole = 'makeway_http_request_seconds_bucket{route="/jobs/{ref}",le="+Inf"}'
    assert whole in buckets
    assert shown[whole] == shown['makeway_http_request_seconds_count{route="/jobs/{ref}"}']
