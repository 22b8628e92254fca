"""The tables are the same, whether they are made at once or migration by migration."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import sqlite

from makeway.errors import Unavailable
from makeway.model.phase import JobPhase
from makeway.store import read
from makeway.store.database import FILE, HEAD, Database
from makeway.store.migrate import configuration
from makeway.store.rows import JobFilter
from makeway.store.schema import metadata
from tests.store.look import look, seqs


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """Give a store from before the first migration: all that it has is Alembic's note, empty."""
    folder = tmp_path / "older"
    folder.mkdir()
    with sqlite3.connect(folder / FILE) as connection:
        connection.execute(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,"
            " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    connection.close()
    return folder


def plain(sql: str) -> str:
    """Leave no spaces that mean nothing."""
    return re.sub(r"\s+", " ", sql).replace("( ", "(").replace(" )", ")")


def definitions(file: Path) -> dict[str, str]:
    """Give how each table and index was made, to the word: comparing models forgets some of it."""
    connection = sqlite3.connect(file)
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    found = {name: plain(sql) for name, sql in connection.execute(query)}
    [found["head"]] = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    connection.close()
    return found


def test_the_known_head_is_the_newest_script() -> None:
    assert ScriptDirectory.from_config(configuration()).get_current_head() == HEAD


@pytest.mark.parametrize("way", ["folder", "older"])
def test_the_store_has_what_the_schema_says(request: pytest.FixtureRequest, way: str) -> None:
    folder: Path = request.getfixturevalue(way)
    Database.open(folder).close()
    engine = sa.create_engine(f"sqlite:///{folder / FILE}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_both_ways_build_the_same_to_the_word(folder: Path, older: Path) -> None:
    Database.open(older).close()
    made = definitions(folder / FILE)
    assert definitions(older / FILE) == made
    assert made["head"] == HEAD


def test_alembic_makes_its_own_table_as_we_do(folder: Path) -> None:
    file = folder / FILE
    ours = definitions(file)["alembic_version"]
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        MigrationContext.configure(connection)._ensure_version_table()
        query = "SELECT sql FROM sqlite_master WHERE name = 'alembic_version'"
        theirs = connection.exec_driver_sql(query).scalar_one()
    engine.dispose()
    assert plain(theirs) == ours


def test_the_open_jobs_are_found_by_their_own_index(database: Database) -> None:
    query = read._wanted(JobFilter(phases=(JobPhase.QUEUED,)))
    text = query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
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
from pathlib import Path
from makeway.store.database import Database
time.sleep(max(0, float(sys.argv[2]) - time.time()))
Database.open(Path(sys.argv[1])).close()
"""


@pytest.mark.parametrize("new", [True, False])
def test_several_open_it_at_once(tmp_path: Path, older: Path, new: bool) -> None:
    folder = tmp_path / "new" if new else older
    command = [sys.executable, "-c", OPEN_TOGETHER, str(folder), str(time.time() + 1)]
    several = [subprocess.Popen(command) for _ in range(4)]
    assert [one.wait(60) for one in several] == [0] * 4
    with Database.open(folder) as database:
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
    with pytest.raises(Unavailable, match="from nothing to 0001: no such luck"):
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
    with pytest.raises(Unavailable, match="from nothing to 0001: no such luck"):
        Database.open(older)
    monkeypatch.undo()
    with Database.open(older) as database:
        assert seqs(database) == []


def test_tables_of_somebody_else_are_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("CREATE TABLE event (name TEXT)")
    connection.close()
    with pytest.raises(Unavailable, match=r"from nothing to 0001: .*already exists"):
        Database.open(tmp_path)
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("event",)]
    connection.close()
