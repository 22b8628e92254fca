"""The store is away, full or busy: what is not stored is refused, and later it works by itself."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from makeway.errors import Conflict, Unavailable
from makeway.model.record import Sample
from makeway.store.database import Database, Location
from makeway.store.idempotency import look_up, remember
from makeway.store.lease import alone
from makeway.store.log import Log
from makeway.store.read import list_jobs
from makeway.store.series import list_series
from makeway.store.series_writer import SeriesWriter
from tests.store.look import look
from tests.store.postgres import Server
from tests.store.relay import relay
from tests.store.test_log import jobs_submitted, nodes_lost

REQUEST = ("ada", "k", "h")

# ── somebody else writes ──────────────────────────────────────────────────────────────────────────


def test_a_busy_store_is_waited_for_and_then_refused_and_nothing_is_lost(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("makeway.store.kind.BUSY_MS", 300)
    with Database.open(location) as database, Database.open(location) as other:
        log = Log(database)
        with other.transaction():
            began = time.monotonic()
            with pytest.raises(Unavailable, match="another process has been writing") as caught:
                log.append(jobs_submitted(1))
            assert 0.2 < time.monotonic() - began < 5
            assert caught.value.where
            assert list_jobs(database) == []  # reading goes on
        log.append(jobs_submitted(1))
        assert log.last() == 10


def test_a_busy_store_is_written_to_as_soon_as_it_is_free(location: Location) -> None:
    with Database.open(location) as database, Database.open(location) as other:
        busy, free = threading.Event(), threading.Event()

        def write_for_long() -> None:
            with other.transaction():
                busy.set()
                free.wait(5)

        thread = threading.Thread(target=write_for_long)
        thread.start()
        busy.wait()
        threading.Timer(0.3, free.set).start()
        Log(database).append(jobs_submitted(1))
        assert free.is_set()
        thread.join()


# ── the disk is full ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """Give a folder on a disk of its own, of one megabyte."""
    if os.getuid() != 0:
        pytest.skip("only root may mount a disk")
    with tempfile.TemporaryDirectory() as place:
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "makeway-test", place]
        if subprocess.run(mount, check=False, capture_output=True).returncode:
            pytest.skip("this machine lets nobody mount a disk")
        try:
            yield Path(place)
        finally:
            subprocess.run(["umount", place], check=True)


def fill(disk: Path) -> Path:
    """Leave no room."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


@pytest.mark.slow
def test_a_full_disk_refuses_before_it_acknowledges_and_heals_by_itself(small_disk: Path) -> None:
    with Database.open(small_disk / "store") as database:
        log = Log(database)
        log.append(jobs_submitted(1))
        filler = fill(small_disk)
        refused = None
        for _ in range(30):  # a little room is left in files that are there
            last = log.last()
            try:
                log.append(jobs_submitted(last + 1), also=[remember(REQUEST, "j", last)])
            except Unavailable as error:
                refused = error
                break
        assert refused is not None
        assert "disk is full" in str(refused)
        assert "nothing that was stored is lost" in refused.hint
        assert log.last() == last
        assert look(database, "SELECT count(*) FROM job") == [(last,)]
        assert len(list(log.read())) == last
        with pytest.raises(Unavailable):
            log.append(jobs_submitted(last + 1), also=[remember(REQUEST, "j", last)])
        filler.unlink()
        log.append(jobs_submitted(last + 1), also=[remember(REQUEST, "j", last)])
        assert log.last() == last + 10
        assert look_up(database, *REQUEST) == "j"
        assert look(database, "PRAGMA integrity_check") == [("ok",)]
    with Database.open(small_disk / "store") as database:
        assert len(list(Log(database).read())) == last + 10


# ── the server is gone ────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_what_a_server_that_is_away_could_not_take_is_taken_when_it_is_back(
    server: Server,
) -> None:
    with (
        server.database() as url,
        alone(url) as lease,
        Database.open(url) as database,
        Database.open(url, read_only=True) as reader,
    ):
        log, writer = Log(database, lease), SeriesWriter(database)
        log.append(jobs_submitted(1))
        writer.add("j", 1, 0, [Sample(name="loss", at_ms=1, value=0.5)])
        server.stop()
        try:
            for _ in range(3):
                began = time.monotonic()
                with pytest.raises(Unavailable):
                    log.append(jobs_submitted(11), also=[remember(REQUEST, "j11", 1)])
                with pytest.raises(Unavailable):
                    writer.flush()
                with pytest.raises(Unavailable):
                    list_jobs(reader)
                with pytest.raises(Unavailable):
                    database.reconnect()
                assert time.monotonic() - began < 5
            with pytest.raises(Unavailable, match="cannot be reached"):
                Database.open(url)
        finally:
            server.start()
        log.append(jobs_submitted(11), also=[remember(REQUEST, "j11", 1)])
        log.append(jobs_submitted(21))
        writer.flush()
        assert [entry.seq for entry in log.read()] == list(range(1, 31))
        assert len(list_jobs(reader)) == 30
        assert look_up(reader, *REQUEST) == "j11"
        assert [one.n for one in list_series(reader, "j")] == [1]
        assert writer.dropped == 0
        with pytest.raises(Conflict, match="is at work"), alone(url):
            pass


@pytest.mark.slow
def test_a_server_that_goes_within_a_transaction_leaves_nothing_of_it(server: Server) -> None:
    with server.database() as url, Database.open(url) as database:

        def write() -> None:
            with database.transaction():
                Log(database)._write(jobs_submitted(1), [], [])
                server.stop()

        try:
            with pytest.raises(Unavailable):
                write()
        finally:
            server.start()
        assert Log(database).last() == 0
        assert list_jobs(database) == []
        Log(database).append(nodes_lost(1, 1))


@pytest.mark.slow
def test_a_commit_whose_answer_is_lost_is_not_done_twice(server: Server) -> None:
    with (
        server.database() as url,
        tempfile.TemporaryDirectory() as folder,
        relay(server.folder, Path(folder)) as line,
    ):
        through = url.replace(str(server.folder), folder)
        with Database.open(through) as database:
            log = Log(database)
            log.append(jobs_submitted(1))
            batch, also = jobs_submitted(11), [remember(REQUEST, "j11", 1)]
            line.cut.set()
            with pytest.raises(Unavailable):
                log.append(batch, also)
            assert not line.cut.is_set()
            log.append(batch, also)  # it was there already
            assert [entry.seq for entry in log.read()] == list(range(1, 21))
            with pytest.raises(Conflict, match="the log goes on at 21"):
                log.append(batch, also)
            log.append(jobs_submitted(21))
            assert len(list_jobs(database)) == 30
