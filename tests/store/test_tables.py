"""The tables are the same, whether they are made at once or migration by migration."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from msgspec.structs import replace
from sqlalchemy.dialects import postgresql, sqlite

from makeway.errors import Unavailable
from makeway.model import event as ev
from makeway.model.phase import JobPhase
from makeway.model.record import Sample
from makeway.store import read
from makeway.store.database import FILE, HEAD, Database, Location
from makeway.store.decisions import list_decisions
from makeway.store.log import Log
from makeway.store.migrate import configuration
from makeway.store.rows import JobFilter
from makeway.store.schema import alembic_version, metadata
from makeway.store.series import Series, list_series
from makeway.store.series_writer import SeriesWriter
from tests.store.conftest import NewStore
from tests.store.look import look, seqs
from tests.store.world import World, bad_exit

NOTE = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,"
    " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """Give a store from before the first migration: all that it has is Alembic's note, empty."""
    folder = tmp_path / "older"
    folder.mkdir()
    with sqlite3.connect(folder / FILE) as connection:
        connection.execute(NOTE)
    connection.close()
    return folder


@pytest.fixture
def earlier(new_store: NewStore) -> Iterator[Location]:
    """Give such a store of either kind."""
    with new_store() as location:
        with Database.open(location) as database, database.transaction():
            metadata.drop_all(database._connection)
            database.write(sa.delete(alembic_version), [()])
        yield location


def plain(sql: str) -> str:
    """Leave no spaces that mean nothing."""
    return re.sub(r"\s+", " ", sql).replace("( ", "(").replace(" )", ")")


def parts(sql: str) -> list[str]:
    """Give what a table or an index is made of: a column that came later stands behind the keys."""
    head, _, body = plain(sql).partition("(")
    return [head, *sorted(re.split(r", (?![^(]*\))", body.removesuffix(")")))]


POSTGRES: Any = postgresql.dialect  # untyped where it is called
OF_POSTGRES = (
    (
        "SELECT table_name, ordinal_position, column_name, data_type, is_nullable, column_default,"
        " collation_name FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
    ),
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    (
        "SELECT conname, conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
    ),
)


def definitions(location: Location) -> list[object]:
    """Give how each table and index was made, to the word: comparing models forgets some of it."""
    with Database.open(location) as database:
        found: list[object] = [look(database, "SELECT version_num FROM alembic_version")]
        if isinstance(location, str):
            return found + [look(database, query) for query in OF_POSTGRES]
        made = look(
            database, "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY 1"
        )
        columns = [look(database, f'PRAGMA table_info("{name}")') for name, _ in made]
        return [*found, *columns, *((name, parts(sql)) for name, sql in made)]


def test_the_known_head_is_the_newest_script() -> None:
    assert ScriptDirectory.from_config(configuration()).get_current_head() == HEAD


def test_the_store_has_what_the_schema_says(location: Location, earlier: Location) -> None:
    for made in (location, earlier):
        with Database.open(made) as database:
            context = MigrationContext.configure(database._connection)
            assert compare_metadata(context, metadata) == []


def test_both_ways_build_the_same_to_the_word(location: Location, earlier: Location) -> None:
    made = definitions(location)
    assert definitions(earlier) == made
    assert made[0] == [(HEAD,)]


def test_no_text_of_postgresql_sorts_by_a_language() -> None:
    for table in metadata.tables.values():
        for column in table.c:
            if isinstance(column.type, sa.Text):
                kind: Any = column.type.dialect_impl(POSTGRES())
                assert kind.collation == "C", column


def test_what_older_tables_hold_is_in_the_new_ones_as_if_it_had_always_been(
    earlier: Location,
) -> None:
    world = World()
    world.submit_run()
    world.submit_job(workers=3)
    world.submit_job(workers=9)  # too large
    world.end("r0001.fetch", bad_exit(0))
    world.end("j0002", bad_exit(0, "ValueError"))
    world.submit_job(workers=3)
    world.say(ev.JobCancelRequested(job="j0004"))
    with Database.open(earlier) as database:
        Log(database).append(world.entries)
        decisions = list_decisions(database)
        recorded = record_something(database)
        assert {one.kind for one in decisions} == {"start", "reject", "retry", "stop"}
        with database.transaction():
            for statement in UNDO_0002:
                database._connection.exec_driver_sql(statement)
    with Database.open(earlier) as database:
        assert list_decisions(database) == decisions
        assert list_series(database, "j0002") == recorded
        assert list(Log(database).read()) == world.entries
        assert Log(database).damaged == {}
        jobs = look(database, "SELECT id, held, workers FROM job ORDER BY id")
        assert jobs == [
            *(("j0002", 0, None), ("j0003", 0, None), ("j0004", 0, 3)),
            ("r0001.fetch", 0, None),
        ]


def record_something(database: Database) -> list[Series]:
    """Record two series that are too short for a trend, which older tables do not know."""
    writer = SeriesWriter(database)
    for name, values in (("loss", (1.0, float("inf"))), ("system/cpu_percent", (3.0, 4.0))):
        given = [Sample(name=name, at_ms=at, value=value) for at, value in enumerate(values)]
        writer.add("j0002", 1, 0, given)
    writer.flush()
    series = list_series(database, "j0002")
    assert [one.mean for one in series] == [1.0, 3.5]
    return [replace(one, unit=None) for one in series]  # nor do they know units


def test_what_older_runs_measured_is_found_as_if_it_had_always_been(earlier: Location) -> None:
    world = World()
    world.submit_run()
    world.finish()
    finite = "SELECT * FROM metric WHERE min IS NOT NULL ORDER BY subject, name"
    params = "SELECT * FROM param ORDER BY execution, key"
    with Database.open(earlier) as database:
        Log(database).append(world.entries)
        writer = SeriesWriter(database)
        values = [Sample(name="gain", at_ms=at, value=at / 4) for at in range(3)]
        writer.add("r0001.fetch", 1, 0, values)
        writer.flush()
        known = (look(database, finite), look(database, params))
        assert ("r0001.fetch", "gain") in {row[:2] for row in known[0]}
        with database.transaction():
            for statement in UNDO_0002:
                database._connection.exec_driver_sql(statement)
    with Database.open(earlier) as database:
        assert (look(database, finite), look(database, params)) == known


UNDO_0002 = (
    *(
        f"DROP TABLE {table}"
        for table in ("token", "idempotency", "decision", "lease", "tag", "outbox", "saved_search")
    ),
    *(f"DROP TABLE tracked_{table}" for table in ("experiment", "run", "model", "file")),
    "DROP TABLE sample_chunk",
    "DROP TABLE metric",
    "DELETE FROM param WHERE execution IN (SELECT id FROM run)",
    *(f"DROP INDEX {index}" for index in ("job_by_user", "job_by_name", "series_loose")),
    *(f"ALTER TABLE series DROP COLUMN {column}" for column in ("kind", "unit", "stage")),
    *(f"ALTER TABLE series_stat DROP COLUMN {column}" for column in ("finite", "sum", "trend")),
    "ALTER TABLE event DROP COLUMN checksum",
    *(f"ALTER TABLE artifact DROP COLUMN {name}" for name in ("uri", "durability", "state")),
    "ALTER TABLE artifact_use DROP COLUMN context",
    "ALTER TABLE job DROP COLUMN held",
    "ALTER TABLE job DROP COLUMN workers",
    "ALTER TABLE execution DROP COLUMN key_parts",
    "UPDATE alembic_version SET version_num = '0001'",
)


def test_alembic_makes_its_own_table_as_we_do(folder: Path) -> None:
    with Database.open(folder) as database:
        query = "SELECT sql FROM sqlite_master WHERE name = 'alembic_version'"
        [(ours,)] = look(database, query)
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        MigrationContext.configure(connection)._ensure_version_table()
        theirs = connection.exec_driver_sql(query).scalar_one()
    engine.dispose()
    assert plain(theirs) == plain(ours)


def test_the_open_jobs_are_found_by_their_own_index(folder: Path) -> None:
    query = read._wanted(JobFilter(phases=(JobPhase.QUEUED,)))
    text = query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    with Database.open(folder) as database:
        plan = look(database, f"EXPLAIN QUERY PLAN {text}")
    assert "job_open" in plan[0][3]


# ── making them ───────────────────────────────────────────────────────────────────────────────────

CHEAP = """
import sys
from pathlib import Path
import makeway.store.log, makeway.store.series, makeway.store.read, makeway.store.resolve
import makeway.store.blobs
from makeway.store.database import Database
with Database.open(Path(sys.argv[1])) as database:
    makeway.store.read.list_jobs(database)
print("alembic" in sys.modules)
"""


@pytest.mark.parametrize("new", [False, True])
def test_alembic_is_only_there_for_older_stores(folder: Path, new: bool) -> None:
    place = folder / "new" if new else folder
    ran = subprocess.run(
        [sys.executable, "-c", CHEAP, str(place)], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "False\n"


OPEN_TOGETHER = """
import sys, time
from makeway.store.database import Database
time.sleep(max(0, float(sys.argv[2]) - time.time()))
Database.open(sys.argv[1]).close()
"""


@pytest.mark.parametrize("new", [True, False])
def test_several_open_it_at_once(tmp_path: Path, earlier: Location, new: bool) -> None:
    if new and isinstance(earlier, str):
        with Database.open(earlier) as database, database.transaction():
            metadata.drop_all(database._connection)
            alembic_version.drop(database._connection)
    location = tmp_path / "new" if new and isinstance(earlier, Path) else earlier
    command = [sys.executable, "-c", OPEN_TOGETHER, str(location), str(time.time() + 1)]
    several = [subprocess.Popen(command) for _ in range(4)]
    assert [one.wait(60) for one in several] == [0] * 4
    with Database.open(location) as database:
        assert seqs(database) == []


# Ends itself when the table of jobs, or the note that all is made, has just been made.
KILLED = """
import os, signal, sys
from pathlib import Path
import sqlalchemy as sa
from makeway.store import schema
from makeway.store.database import Database

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

table = {"job": schema.job, "note": schema.alembic_version}[sys.argv[2]]
sa.event.listen(table, "after_create", die)
Database.open(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("point", ["job", "note"])
def test_kill_9_while_it_is_made_leaves_nothing(tmp_path: Path, point: str) -> None:
    ran = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), point], check=False)
    assert ran.returncode == -signal.SIGKILL
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()
    with Database.open(tmp_path) as database:
        assert seqs(database) == []


def test_making_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such luck")

    monkeypatch.setattr("makeway.store.schema.alembic_version.create", fail)
    with pytest.raises(Unavailable, match="from nothing to 0002: no such luck"):
        Database.open(tmp_path)
    monkeypatch.undo()
    with Database.open(tmp_path) as database:
        assert seqs(database) == []


def test_a_migration_that_fails_leaves_what_was_there(
    older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such luck")

    monkeypatch.setattr("alembic.operations.Operations.create_index", fail)
    monkeypatch.setattr("alembic.op.create_index", fail)
    with pytest.raises(Unavailable, match="from nothing to 0002: no such luck"):
        Database.open(older)
    monkeypatch.undo()
    with Database.open(older) as database:
        assert seqs(database) == []


def test_tables_of_somebody_else_are_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("CREATE TABLE event (name TEXT)")
    connection.close()
    with pytest.raises(Unavailable, match=r"from nothing to 0002: .*already exists"):
        Database.open(tmp_path)
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("event",)]
    connection.close()
