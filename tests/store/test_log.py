"""The log keeps what was appended, all of it or nothing, in order and without a gap."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from makeway import codec
from makeway.engine.engine import Engine
from makeway.errors import Conflict, InvalidInput
from makeway.model import event as ev
from makeway.model.cluster import Allocation, Placement
from makeway.store.database import Database, Location
from makeway.store.log import PAGE, Log
from tests.store.look import look
from tests.store.world import World, spec, start_everything


def told() -> World:
    """Tell the story of one run that ends well and of one job beside it."""
    world = World()
    world.submit_run()
    world.submit_job(workers=2)
    world.finish()
    return world


def nodes_lost(first: int, count: int) -> list[ev.Entry]:
    """Make entries that mean nothing, from a seq on."""
    return [
        ev.Entry(seq=seq, at_ms=seq, cause=0, event=ev.NodeLost(name=f"n{seq}"))
        for seq in range(first, first + count)
    ]


# ── what was appended is read ─────────────────────────────────────────────────────────────────────


def test_an_empty_log(database: Database) -> None:
    log = Log(database)
    assert log.last() == 0
    assert list(log.read()) == []
    log.append([])
    assert log.last() == 0


def test_what_was_appended_is_read(location: Location) -> None:
    world = told()
    with Database.open(location) as database:
        for batch in world.batches:
            Log(database).append(batch)
    with Database.open(location) as database:
        assert list(Log(database).read()) == world.entries
        assert Log(database).last() == world.state.seq


def test_reading_goes_on_after_any_entry(database: Database) -> None:
    world, log = told(), Log(database)
    log.append(world.entries)
    for after in (0, 1, 17, world.state.seq - 1, world.state.seq, world.state.seq + 5):
        assert list(log.read(after)) == world.entries[after:]


def test_a_long_log_is_read_in_pages(database: Database) -> None:
    log = Log(database)
    log.append(nodes_lost(1, 2 * PAGE + 1))
    assert [entry.seq for entry in log.read()] == list(range(1, 2 * PAGE + 2))


def test_what_is_appended_while_it_is_read_is_read_too(database: Database) -> None:
    log = Log(database)
    log.append(nodes_lost(1, PAGE))
    read = log.read()
    assert next(read).seq == 1
    log.append(nodes_lost(PAGE + 1, 3))
    assert [entry.seq for entry in read] == list(range(2, PAGE + 4))


def test_replaying_the_log_gives_the_state_again(database: Database) -> None:
    world, log = told(), Log(database)
    world.submit_run()
    log.append(world.entries)
    again = Engine(start_everything)
    again.replay(log.read())
    assert again.state.seq == world.state.seq
    assert again.state.jobs == world.state.jobs
    assert again.state.executions == world.state.executions


def test_an_event_is_found_by_its_job_and_its_run(database: Database) -> None:
    world = told()
    Log(database).append(world.entries)

    def count(column: str, value: str) -> int:
        query = f"SELECT count(*) FROM event WHERE {column} = ?"
        found: int = look(database, query, (value,))[0][0]
        return found

    assert count("job", "r0001.fetch") == 10
    assert count("job", "j0002") == 11
    assert count("run", "j0002") == 0
    about_run = [entry for entry in world.entries if b"r0001" in codec.encode(entry.event)]
    assert count("run", "r0001") == len(about_run)


# ── order ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "seqs", [[3], [1], [2, 4], [2, 2], [3, 2], [2, 3, 5]], ids=lambda seqs: "-".join(map(str, seqs))
)
def test_a_gap_or_a_repetition_is_refused(database: Database, seqs: list[int]) -> None:
    log = Log(database)
    log.append(nodes_lost(1, 1))
    with pytest.raises(Conflict, match="the log goes on at"):
        log.append([msgspec.structs.replace(nodes_lost(1, 1)[0], seq=seq) for seq in seqs])
    assert log.last() == 1
    log.append(nodes_lost(2, 1))


def test_a_second_controller_is_noticed(location: Location) -> None:
    with Database.open(location) as one, Database.open(location) as other:
        Log(one).append(nodes_lost(1, 5))
        with pytest.raises(Conflict, match="the log goes on at 6, and this entry is 1") as caught:
            Log(other).append(nodes_lost(1, 1))
        assert "two controllers" in caught.value.hint
        Log(other).append(nodes_lost(6, 1))
        assert Log(one).last() == 6


# ── all or nothing ────────────────────────────────────────────────────────────────────────────────


def test_a_view_that_fails_takes_the_events_with_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, log = told(), Log(database)
    log.append(world.batches[0])

    def fail(*_: object) -> None:
        raise RuntimeError("a bug in a view")

    monkeypatch.setattr("makeway.store.log.fold", fail)
    with pytest.raises(RuntimeError):
        log.append(world.batches[1])
    monkeypatch.undo()
    assert log.last() == world.batches[0][-1].seq
    for batch in world.batches[1:]:
        log.append(batch)
    assert list(log.read()) == world.entries


def test_an_event_about_nothing_is_refused(database: Database) -> None:
    started = ev.AttemptStarted(
        job="ghost",
        number=1,
        fence=1,
        barrier_at_ms=0,
        allocation=Allocation((Placement("n1", "worker", 1),)),
    )
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        Log(database).append([ev.Entry(seq=1, at_ms=0, cause=0, event=started)])
    assert Log(database).last() == 0


def test_text_that_is_not_unicode_is_refused(database: Database) -> None:
    lost = ev.NodeLost(name="n1", text="\ud800")
    with pytest.raises(InvalidInput, match="not Unicode"):
        Log(database).append([ev.Entry(seq=1, at_ms=0, cause=0, event=lost)])
    assert Log(database).last() == 0


# Ends itself at the named point of the third append, as a power cut would: nothing is cleaned up.
KILLED = """
import os, signal, sys
from makeway.store import log as module
from makeway.store.database import Database
from tests.store.test_log import told

location, point = sys.argv[1], sys.argv[2]
database = Database.open(location)
log, batches = module.Log(database), told().batches
log.append(batches[0])
log.append(batches[1])
fold = module.fold

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def fold_and_die(*given):
    fold(*given)
    die()

module.fold = {"before views": die, "before commit": fold_and_die}.get(point, fold)
log.append(batches[2])
die()
"""


@pytest.mark.parametrize(
    "point, kept", [("before views", 2), ("before commit", 2), ("after commit", 3)]
)
def test_kill_9_leaves_all_of_a_batch_or_nothing(location: Location, point: str, kept: int) -> None:
    ran = subprocess.run([sys.executable, "-c", KILLED, str(location), point], check=False)
    assert ran.returncode == -signal.SIGKILL
    batches = told().batches
    with Database.open(location, read_only=True) as database:
        assert Log(database).last() == batches[kept - 1][-1].seq
    with Database.open(location) as database:
        log = Log(database)
        assert list(log.read()) == [entry for batch in batches[:kept] for entry in batch]
        [(pending,)] = look(database, "SELECT count(*) FROM execution")
        assert (pending > 0) == (batches[1][0].seq <= log.last())
        for batch in batches[kept:]:
            log.append(batch)
        assert list(log.read()) == told().entries


ENDLESS = """
import sys
from makeway.store.database import Database
from makeway.store.log import Log
from tests.store.test_log import jobs_submitted

log = Log(Database.open(sys.argv[1]))
print("go", flush=True)
while True:
    log.append(jobs_submitted(log.last() + 1))
"""


def jobs_submitted(first: int) -> list[ev.Entry]:
    """Make a batch of ten jobs."""
    return [
        ev.Entry(seq=seq, at_ms=seq, cause=0, event=ev.JobSubmitted(job=f"j{seq:09d}", spec=spec()))
        for seq in range(first, first + 10)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("after_ms", [1, 5, 20, 50, 100])
def test_kill_9_at_any_moment(location: Location, after_ms: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(location)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "go\n"
        time.sleep(after_ms / 1000)
        writer.kill()
    with Database.open(location) as database:
        last = Log(database).last()
        assert last % 10 == 0
        assert look(database, "SELECT count(*), count(DISTINCT id) FROM job") == [(last, last)]
        if isinstance(location, Path):
            assert look(database, "PRAGMA integrity_check") == [("ok",)]


def test_readers_see_whole_batches_while_others_are_written(location: Location) -> None:
    stop = threading.Event()
    seen: list[int] = []
    wrong: list[object] = []

    def watch() -> None:
        with Database.open(location, read_only=True) as reader:
            while not stop.is_set():
                with reader.reading():
                    last = Log(reader).last()
                    [(jobs,)] = look(reader, "SELECT count(*) FROM job")
                if jobs != last or last % 10 or len(list(Log(reader).read())) < last:
                    wrong.append((jobs, last))
                seen.append(last)

    readers = [threading.Thread(target=watch) for _ in range(2)]
    with Database.open(location) as database:
        for reader in readers:
            reader.start()
        for first in range(1, 600, 10):
            Log(database).append(jobs_submitted(first))
        stop.set()
        for reader in readers:
            reader.join()
    assert not wrong
    assert len(set(seen)) > 1


# ── cost ──────────────────────────────────────────────────────────────────────────────────────────
