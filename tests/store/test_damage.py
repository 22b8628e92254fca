"""What does not read as it was written is found, named and left out; everything else goes on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from makeway.engine.engine import Engine
from makeway.errors import Unavailable
from makeway.model import event as ev
from makeway.model.workflow import run_of
from makeway.store.database import FILE, Database
from makeway.store.lease import alone
from makeway.store.log import Log
from tests.store.look import look
from tests.store.test_log import jobs_submitted
from tests.store.world import World, start_everything


def told() -> World:
    """Tell of a run and of two jobs, none of which has ended."""
    world = World()
    world.submit_run()
    world.submit_job()
    world.submit_job()
    world.ready("j0002")
    return world


def seq_of(entries: Iterable[ev.Entry], kind: type[ev.Event], job: str) -> int:
    return next(
        entry.seq
        for entry in entries
        if isinstance(entry.event, kind) and getattr(entry.event, "job", None) == job
    )


def spoil(database: Database, seq: int, change: str) -> None:
    """Change one row behind everybody's back."""
    with database.transaction():
        database._connection.exec_driver_sql(f"UPDATE event SET {change} WHERE seq = {seq}")


def about(entry: ev.Entry) -> str | None:
    """Say which run or job an entry is about."""
    run: str | None = getattr(entry.event, "run", None)
    job: str | None = getattr(entry.event, "job", None) or getattr(entry.event, "execution", None)
    return run or (run_of(job) if job and "." in job else job)


@pytest.mark.parametrize(
    "change",
    [
        "payload = replace(payload, '100', '900')",
        "payload = '{}'",
        "payload = ''",
        "payload = substr(payload, 1, length(payload) - 3)",
        "at_ms = at_ms + 1",
        "cause = cause + 1",
        "type = 'WorkerStarted'",
        "version = 2",
        "checksum = checksum + 1",
    ],
)
def test_a_damaged_entry_takes_its_job_out_and_nothing_else(
    database: Database, change: str
) -> None:
    world, log = told(), Log(database)
    log.append(world.entries)
    seq = seq_of(world.entries, ev.WorkerReady, "j0002")
    spoil(database, seq, change)
    read = log.read_unfinished()
    assert read == [entry for entry in world.entries if about(entry) != "j0002"]
    [damage] = log.damaged.values()
    assert (damage.seq, damage.job, damage.run) == (seq, "j0002", None)
    assert damage.problem == "its checksum is not that of what stands there"
    assert [entry.seq for entry in log.read()] == [
        entry.seq for entry in world.entries if entry.seq != seq
    ]


def test_a_run_goes_out_as_a_whole(database: Database) -> None:
    world, log = told(), Log(database)
    log.append(world.entries)
    seq = seq_of(world.entries, ev.AttemptStarted, "r0001.fetch")
    spoil(database, seq, "payload = 'x'")
    assert {about(entry) for entry in log.read_unfinished()} == {None, "j0002", "j0003"}
    assert (log.damaged[seq].job, log.damaged[seq].run) == ("r0001.fetch", "r0001")


def test_an_entry_about_nothing_in_particular_takes_nothing_with_it(database: Database) -> None:
    world, log = told(), Log(database)
    log.append(world.entries)
    seq = next(e.seq for e in world.entries if isinstance(e.event, ev.QueuesConfigured))
    spoil(database, seq, "payload = 'x'")
    assert log.read_unfinished() == [entry for entry in world.entries if entry.seq != seq]
    assert (log.damaged[seq].job, log.damaged[seq].run) == (None, None)


def test_the_engine_goes_on_with_the_others(database: Database) -> None:
    world, log = told(), Log(database)
    log.append(world.entries)
    spoil(database, seq_of(world.entries, ev.WorkerStarted, "j0002"), "payload = 'x'")
    engine = Engine(start_everything)
    engine.replay(log.read_unfinished(), log.last())
    assert sorted(engine.state.jobs) == ["j0003", "r0001.fetch"]
    more = engine.step([ev.JobCancelRequested(job="j0003")], world.now_ms).entries
    log.append(more)
    assert log.last() == more[-1].seq


def test_damage_of_what_is_over_stops_nobody(database: Database) -> None:
    world, log = told(), Log(database)
    world.finish()
    log.append(world.entries)
    spoil(database, seq_of(world.entries, ev.WorkerReady, "j0002"), "payload = 'x'")
    assert {about(entry) for entry in log.read_unfinished()} == {None}
    assert log.damaged == {}
    assert len(list(log.read())) == len(world.entries) - 1
    assert [one.job for one in log.damaged.values()] == ["j0002"]


def test_entries_that_are_missing_are_named(database: Database) -> None:
    world, log = told(), Log(database)
    log.append(world.entries)
    last = log.last()
    with database.transaction():
        for which in ("= 1", "BETWEEN 3 AND 4"):
            database._connection.exec_driver_sql(f"DELETE FROM event WHERE seq {which}")
    gaps = ["the entries 1 to 1 are missing", "the entries 3 to 4 are missing"]
    assert [entry.seq for entry in log.read()] == [2, *range(5, last + 1)]
    assert [one.problem for one in log.damaged.values()] == gaps
    again = Log(database)
    again.read_unfinished()
    assert [one.problem for one in again.damaged.values()] == gaps


def test_a_log_without_its_end_is_not_taken_for_a_whole_one(folder: Path) -> None:
    def append(first: int) -> None:
        with alone(folder) as lease, Database.open(folder) as database:
            Log(database, lease).append(jobs_submitted(first))

    append(1)
    earlier = (folder / FILE).read_bytes()
    append(11)
    (folder / FILE).write_bytes(earlier)  # as if put back from a copy
    for _ in range(2):
        with pytest.raises(Unavailable, match="ends at entry 10, and went on to 20") as caught:
            append(11)
    assert "remove log.end" in caught.value.hint
    (folder / "log.end").unlink()
    append(11)
    append(21)


@pytest.mark.parametrize("text", ["", "x", "\0" * 9, "-1"])
def test_an_end_that_cannot_be_read_is_none(folder: Path, text: str) -> None:
    (folder / "log.end").write_text(text)
    with alone(folder) as lease, Database.open(folder) as database:
        Log(database, lease).append(jobs_submitted(1))
    assert (folder / "log.end").read_text().startswith("10\n")


def test_a_number_that_is_none_any_more(folder: Path) -> None:
    with Database.open(folder) as database:
        log = Log(database)
        log.append(jobs_submitted(1))
        spoil(database, 5, "at_ms = 'x'")
        assert len(list(log.read())) == 9
        assert list(log.damaged) == [5]


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_bytes_that_turn_over_on_the_disk(folder: Path, flip: int) -> None:
    world = told()
    with Database.open(folder) as database:
        Log(database).append(world.entries)
        seq = seq_of(world.entries, ev.WorkerStarted, "j0002")
        [(payload,)] = look(database, "SELECT payload FROM event WHERE seq = ?", (seq,))
    whole = bytearray((folder / FILE).read_bytes())
    at = whole.find(payload.encode()) + 20
    assert at > 20
    whole[at] ^= flip  # what it becomes need not be text
    (folder / FILE).write_bytes(whole)
    with Database.open(folder) as database:
        log = Log(database)
        assert "j0003" in {about(entry) for entry in log.read_unfinished()}
        assert list(log.damaged) == [seq]


def test_every_entry_has_a_checksum_that_the_next_makeway_can_read(database: Database) -> None:
    entry = ev.Entry(seq=1, at_ms=2, cause=0, event=ev.NodeLost(name="n1", text="é"))
    Log(database).append([entry])
    # What is written must not change with the code that writes it.
    assert look(database, "SELECT checksum FROM event") == [(CHECKSUM,)]


CHECKSUM = 4069236442
