"""A second service is refused or stands by; a database on a server goes and comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from makeway.errors import MakewayError, Unavailable
from tests.faults.figures import say
from tests.faults.site import FAULTS, site_in, wait_until
from tests.faults.test_crash_points import undisturbed
from tests.store import postgres

AWAY_S = 3.0 if FAULTS == 1 else 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    """Give a PostgreSQL of our own: others want theirs to stay up."""
    with postgres.running() as running:
        yield running


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_who_stands_by_takes_over_from_one_that_was_killed(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    with ExitStack() as stack:
        url = ""
        if kind == "postgresql":
            url = stack.enter_context(request.getfixturevalue("server").database())
        site = stack.enter_context(site_in(tmp_path, url))
        first = site.opens()
        long = site.submits("long", "long", workers=2)
        site.beats_on(long, ranks=2)
        second = site.up()
        assert second.process.wait(60) == 7
        assert f"pid {first.process.pid}" in second.said()
        standby = site.up("--standby")
        site.beats_on(long, ranks=2)
        assert standby.alive
        assert first.alive
        first.kill()
        began = time.monotonic()
        assert standby.ready(), standby.said()
        took_s = time.monotonic() - began
        assert took_s < 20
        site.recovered_s.append(took_s)
        site.waits(site.submits("quick", "after"))
        site.beats_on(long, ranks=2)
        assert site.settles() == []
        undisturbed(site, long, ranks=2)
        say(f"standby on {kind}", took_over_s=took_s)


def test_a_server_that_is_away_for_a_while_disturbs_no_worker(
    tmp_path: Path, server: postgres.Server
) -> None:
    with server.database() as url, site_in(tmp_path, url) as site:
        site.opens()
        long = site.submits("long", "long", workers=2)
        short = site.submits("1", "ends-meanwhile")
        site.beats_on(long, ranks=2)
        server.stop()
        try:
            away_until = time.monotonic() + AWAY_S
            with pytest.raises(MakewayError) as refused:
                site.submits("quick", "while-away")
            assert isinstance(refused.value, Unavailable)
            wait_until(lambda: time.monotonic() > away_until, "the outage to last")
            site.beats_on(long, ranks=2)
            wait_until(lambda: bool(site.marks(short, "end")), "an end that nobody can store")
        finally:
            server.start()
        wait_until(lambda: site.asks(lambda client: client.status()).storing, "the server")
        site.waits(site.submits("quick", "while-away"), short)
        assert site.job(short).phase == "succeeded"
        site.beats_on(long, ranks=2)
        assert site.settles() == []
        undisturbed(site, long, ranks=2)
