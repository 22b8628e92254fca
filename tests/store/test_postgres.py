"""What only a PostgreSQL can do to a store, and what its URL may be."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from makeway.errors import InvalidInput, NotFound, Unavailable
from makeway.model import event as ev
from makeway.model.record import Sample
from makeway.store.database import FILE, Database
from makeway.store.log import Log
from makeway.store.postgres import COPY_ROWS_MIN, name_of
from makeway.store.read import list_jobs
from makeway.store.series import SeriesKey, read_series
from makeway.store.series_writer import SeriesWriter
from tests.store.conftest import NewStore
from tests.store.look import add, look, seqs
from tests.store.postgres import Server
from tests.store.test_log import jobs_submitted
from tests.store.test_views import check_beliefs, dump, opened
from tests.store.world import World, spec

# ── where a store is ──────────────────────────────────────────────────────────────────────────────


def test_a_location_without_a_scheme_is_a_folder(tmp_path: Path) -> None:
    Database.open(str(tmp_path / "new")).close()
    assert (tmp_path / "new" / FILE).is_file()


@pytest.mark.parametrize("url", ["mysql://host/db", "http://x", "sqlite:///x", "://"])
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="begins with postgresql://"):
        Database.open(url)


@pytest.mark.parametrize(
    "url, name",
    [
        ("postgresql://ada:pw@db.lab:5433/makeway?sslmode=require", "postgresql://db.lab:5433/makeway"),
        ("postgres://db/makeway?password=pw", "postgresql://db/makeway"),
        ("postgresql:///makeway?host=/run/pg&user=pw", "postgresql:///makeway"),
    ],
)  # fmt: skip
def test_the_name_of_a_store_tells_no_secret(url: str, name: str) -> None:
    assert name_of(url) == name


def test_a_url_that_is_none() -> None:
    with pytest.raises(InvalidInput, match="this is no URL"):
        Database.open("postgresql://[half/db")


WITHOUT = """
import sys
sys.modules["psycopg"] = None
from makeway.errors import Unavailable
from makeway.store.database import Database
try:
    Database.open("postgresql://ada:pw@localhost/makeway")
except Unavailable as error:
    print(error, "|", error.hint)
"""


def test_without_the_extra_it_says_what_to_install() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True
    )
    assert "needs psycopg, which is not installed | pip install 'makeway[postgres]'" in ran.stdout
    assert "pw" not in ran.stdout


# ── what the server says ──────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize(
    "change, said",
    [
        (("/postgres?", "/nowhere?"), 'database "nowhere" does not exist'),
        (("postgres:@", "nobody:secret@"), 'role "nobody" does not exist'),
        (("host=/", "host=/nowhere/"), "cannot be reached"),
    ],
)
def test_a_server_that_refuses(server: Server, change: tuple[str, str], said: str) -> None:
    with pytest.raises(Unavailable, match=said) as caught:
        Database.open(server.url("postgres").replace(*change))
    assert caught.value.hint
    assert "secret" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.slow
def test_a_user_who_may_not_write(server: Server) -> None:
    with server.database() as url:
        server.say("DROP ROLE IF EXISTS guest")
        server.say("CREATE ROLE guest LOGIN")
        with Database.open(url) as database, database.transaction():
            database._connection.exec_driver_sql(
                "GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest"
            )
        with Database.open(url.replace("postgres:@", "guest@")) as database:
            assert Log(database).last() == 0
            with pytest.raises(Unavailable, match="may not do that"):
                Log(database).append(jobs_submitted(1))
            assert Log(database).last() == 0


@pytest.mark.slow
def test_reading_changes_nothing_and_makes_nothing(server: Server) -> None:
    with server.database() as url:
        with Database.open(url) as writer, writer.transaction():
            add(writer, 1)
        with Database.open(url, read_only=True) as reader:
            with pytest.raises(Unavailable, match="cannot be written"), reader.transaction():
                add(reader, 2)
            assert seqs(reader) == [1]
    with server.database("template1") as url:
        with pytest.raises(NotFound, match="holds no store"):
            Database.open(url, read_only=True)
        Database.open(url).close()
        Database.open(url, read_only=True).close()


@pytest.mark.slow
def test_a_store_of_a_newer_makeway(server: Server) -> None:
    with server.database() as url:
        with Database.open(url) as database, database.transaction():
            database._connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(Unavailable, match=r"a newer makeway made this store .*9999"):
            Database.open(url)


@pytest.mark.slow
def test_tables_of_somebody_else_are_left_alone(server: Server) -> None:
    with server.database("template1") as url:
        with Database.open(url):
            pass
        engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        with engine.begin() as connection:
            for table in ("alembic_version", "decision"):
                connection.exec_driver_sql(f"DROP TABLE {table}")
        with pytest.raises(Unavailable, match="already exists"):
            Database.open(url)
        with engine.connect() as connection:
            assert "decision" not in sa.inspect(connection).get_table_names()
        engine.dispose()


# ── what it stores ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_text_that_postgresql_cannot_hold_is_held_all_the_same(server: Server) -> None:
    strange = "a\0b \\ 'quoted' 100% é \U0001f680"
    asked = msgspec.structs.replace(spec(), name=strange)
    entry = ev.Entry(seq=1, at_ms=1, cause=0, event=ev.JobSubmitted(job="j1", spec=asked))
    with server.database() as url, Database.open(url) as database:
        log = Log(database)
        log.append([entry])
        assert list(log.read()) == [entry]
        assert log.damaged == {}
        assert list_jobs(database)[0].spec.name == strange
        [(shown,)] = look(database, "SELECT name FROM job")
        assert shown == strange.replace("\0", "\N{REPLACEMENT CHARACTER}")


@pytest.mark.slow
@pytest.mark.parametrize("count", [COPY_ROWS_MIN - 1, COPY_ROWS_MIN, 5_000])
def test_many_samples_are_written_as_few_are(server: Server, count: int) -> None:
    strange = [math.inf, -math.inf, math.nan, 1e308, 5e-324, 0.1]
    values = [strange[n % len(strange)] for n in range(count)]
    given = [Sample(name="loss", at_ms=n, value=v, step=n) for n, v in enumerate(values)]
    with server.database() as url, Database.open(url) as database:
        for _ in range(2):  # the second time each sample is there already
            writer = SeriesWriter(database)
            writer.add("j", 1, 0, given)
            writer.flush()
        points = read_series(database, SeriesKey("j", 1, 0, "loss"), max_points=count + 4)
    assert repr([point.value for point in points]) == repr(values)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_both_databases_fold_a_log_into_the_same_views(
    new_folder: NewStore, server: Server, seed: int
) -> None:
    world, numbers = World(), random.Random(seed)
    for _ in range(100):
        world.happen(numbers.randrange(10**9))
    with ExitStack() as stack:
        for database in (
            lived := opened(stack, new_folder),
            other := opened(stack, server.database),
        ):
            for batch in world.batches:
                Log(database).append(batch)
        # By their texts: a NaN is not equal to itself.
        assert repr(list(Log(other).read())) == repr(world.entries)
        assert repr(Log(other).read_unfinished()) == repr(Log(lived).read_unfinished())
        assert dump(other) == dump(lived)
        check_beliefs(other, world.state)
