"""One controller a store: the others are told who it is, wait, and take over when it is gone."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from makeway.errors import Conflict, Unavailable
from makeway.store.database import Database, Location
from makeway.store.lease import LeaseLost, alone
from makeway.store.log import Log
from tests.store.look import look
from tests.store.postgres import Server
from tests.store.test_log import jobs_submitted, nodes_lost

HOLD = """
import sys, time
from makeway.store.database import Database
from makeway.store.lease import alone
from makeway.store.log import Log
from tests.store.test_log import nodes_lost

with alone(sys.argv[1]) as lease, Database.open(sys.argv[1]) as database:
    log = Log(database, lease)
    log.append(nodes_lost(log.last() + 1, 1))
    print("held", flush=True)
    time.sleep(600)
"""


def holding(location: Location) -> subprocess.Popen[str]:
    """Start another controller, and wait until it has written."""
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(location)], stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    return other


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_a_second_controller_is_told_who_is_at_work(location: Location) -> None:
    other = holding(location)
    try:
        with pytest.raises(Conflict, match="is at work in this store") as caught, alone(location):
            pytest.fail("two of them")
        said = str(caught.value)
        assert f"pid {other.pid} on {socket.gethostname()[:20]}" in said
        assert re.search(r"since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", said)
        assert "wait until it has ended" in caught.value.hint
    finally:
        end(other)
    with alone(location, patience_s=5):  # the server hears of the death a moment later
        pass


def test_who_stands_by_takes_over_when_the_other_one_is_killed(location: Location) -> None:
    other = holding(location)
    waiting = threading.Timer(0.5, lambda: end(other))
    waiting.start()
    with alone(location, patience_s=20) as lease, Database.open(location) as database:
        waiting.join()
        assert other.returncode is not None, "it was not over yet"
        log = Log(database, lease)
        assert (lease.term, log.last()) == (2, 1)
        log.append(nodes_lost(2, 1))


def test_patience_ends(location: Location) -> None:
    with alone(location):
        began = time.monotonic()
        with pytest.raises(Conflict), alone(location, patience_s=0.6):
            pass
        assert 0.6 <= time.monotonic() - began < 5


def test_each_controller_has_a_term_of_its_own(location: Location) -> None:
    for term in (1, 2, 3):
        with alone(location) as lease, Database.open(location) as database:
            Log(database, lease)
            Log(database, lease)
            assert lease.term == term
            assert look(database, "SELECT term, pid FROM lease") == [(term, os.getpid())]


def test_who_lost_the_lease_writes_nothing_more(location: Location) -> None:
    with alone(location) as lease, Database.open(location) as database:
        log = Log(database, lease)
        log.append(jobs_submitted(1))
        with Database.open(location) as elsewhere, elsewhere.transaction():
            # As another one does that took the lock when the connection of this one had gone.
            look_away = "UPDATE lease SET term = 2, host = 'elsewhere', pid = 7, since_ms = 0"
            elsewhere._connection.exec_driver_sql(look_away)
        for _ in range(2):
            with pytest.raises(LeaseLost, match="pid 7 on elsewhere, since 1970-01-01") as caught:
                log.append(jobs_submitted(11))
        assert "goes on under the other" in caught.value.hint
        assert log.last() == 10
        assert look(database, "SELECT count(*) FROM job") == [(10,)]


def test_a_lease_that_is_kept_is_kept(location: Location) -> None:
    with alone(location) as lease, Database.open(location) as database:
        log = Log(database, lease)
        for first in (1, 11):
            lease.refresh()
            log.append(jobs_submitted(first))
        assert log.last() == 20


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in ("file", "file/below"):
        with pytest.raises(Unavailable), alone(tmp_path / place):
            pass


# ── a server that goes ────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_lock_that_ended_with_its_connection_is_taken_again(server: Server) -> None:
    with (
        server.database() as url,
        alone(url) as lease,
        Database.open(url) as database,
    ):
        log = Log(database, lease)
        server.say(END_ALL)
        lease.refresh()
        with pytest.raises(Conflict), alone(url):
            pass
        with pytest.raises(Unavailable):
            log.last()
        log.append(jobs_submitted(1))
        assert log.last() == 10


@pytest.mark.slow
def test_a_lock_that_another_one_took_meanwhile_is_lost(server: Server) -> None:
    with server.database() as url, alone(url) as lease:
        with Database.open(url) as database:
            Log(database, lease)
        server.say(END_ALL)
        other = holding(url)
        try:
            with pytest.raises(LeaseLost, match=f"pid {other.pid}"):
                lease.refresh()
            with Database.open(url) as database:
                log = Log(database, lease)
                with pytest.raises(LeaseLost, match=f"pid {other.pid}"):
                    log.append(nodes_lost(2, 1))
        finally:
            end(other)


@pytest.mark.slow
def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    url = f"postgresql://ada:secret@/makeway?host={tmp_path}"
    with pytest.raises(Unavailable, match="cannot be reached") as caught, alone(url):
        pass
    assert "secret" not in str(caught.value)
    assert caught.value.where == "postgresql:///makeway"


@pytest.mark.slow
def test_stores_in_schemas_of_one_database_are_stores_of_their_own(server: Server) -> None:
    with server.database("template1") as url:
        places = []
        for name in ("vision", "speech"):
            places.append(f"{url}&options=-csearch_path%3D{name}")
            with Database.open(url) as database:
                database._connection.exec_driver_sql(f"CREATE SCHEMA {name}")
        with alone(places[0]) as one, alone(places[1]) as other:
            for place, lease, count in ((places[0], one, 1), (places[1], other, 3)):
                with Database.open(place) as database:
                    Log(database, lease).append(nodes_lost(1, count))
        for place, count in zip(places, (1, 3), strict=True):
            with Database.open(place, read_only=True) as database:
                assert Log(database).last() == count


END_ALL = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid != pg_backend_pid() AND application_name LIKE 'makeway%'
"""
