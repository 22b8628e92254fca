"""A store is opened; and when it cannot be, one clear sentence says why."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from makeway.errors import MakewayError, NotFound, Unavailable
from makeway.store.database import FILE, Database, Location
from tests.store.look import add, look, seqs

NOBODY = 65_534

# ── opening ───────────────────────────────────────────────────────────────────────────────────────


def test_opening_makes_the_folder_and_the_store(tmp_path: Path) -> None:
    folder = tmp_path / "project" / ".makeway"
    with Database.open(folder) as database:
        assert seqs(database) == []
    database.close()  # closing twice is no error
    assert sorted(path.name for path in folder.iterdir()) == [FILE]


def test_how_the_connection_is_set(folder: Path) -> None:
    def setting(name: str) -> object:
        return look(database, f"PRAGMA {name}")[0][0]

    with Database.open(folder) as database:
        assert setting("journal_mode") == "wal"
        assert setting("synchronous") == 2  # FULL
        assert setting("foreign_keys") == 1
        assert setting("busy_timeout") == 10_000


def test_samples_are_not_flushed_but_the_next_append_is(folder: Path) -> None:
    with Database.open(folder) as database:
        for durable, level in ((False, 1), (True, 2), (False, 1)):
            with database.transaction(durable=durable):
                assert look(database, "PRAGMA synchronous") == [(level,)]


def test_strange_folder_names_are_only_names(tmp_path: Path) -> None:
    for name in ("with space", "100%", "what?mode=ro", "a#b", "%20"):
        Database.open(tmp_path / name).close()
        assert (tmp_path / name / FILE).is_file()


# ── opening for reading ───────────────────────────────────────────────────────────────────────────


def test_reading_sees_what_is_there_and_changes_nothing(folder: Path) -> None:
    with Database.open(folder) as writer:
        with writer.transaction():
            add(writer, 1)
        with Database.open(folder, read_only=True) as reader:
            assert seqs(reader) == [1]
            with pytest.raises(Unavailable, match="cannot be written"), reader.transaction():
                add(reader, 2)
        assert seqs(writer) == [1]
    with Database.open(folder, read_only=True) as reader:
        assert seqs(reader) == [1]
    assert sorted(path.name for path in folder.iterdir()) == [FILE]


def test_reading_where_nothing_is_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no store here") as caught:
        Database.open(tmp_path / "none", read_only=True)
    assert "makeway run" in caught.value.hint
    assert not (tmp_path / "none").exists()


def test_reading_an_empty_file_is_no_store_either(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    with pytest.raises(NotFound, match="holds no store"):
        Database.open(tmp_path, read_only=True)


def test_reading_an_older_store_says_what_brings_it_up_to_date(folder: Path) -> None:
    rename_version(folder, "0000")
    with pytest.raises(Unavailable, match="older makeway") as caught:
        Database.open(folder, read_only=True)
    assert "makeway up" in caught.value.hint


# ── what the world can do to it ───────────────────────────────────────────────────────────────────


def rename_version(folder: Path, version: str) -> None:
    with sqlite3.connect(folder / FILE) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
    connection.close()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_store_of_a_newer_makeway(folder: Path, read_only: bool) -> None:
    rename_version(folder, "9999")
    with pytest.raises(Unavailable, match=r"a newer makeway made this store .*9999.*0002"):
        Database.open(folder, read_only=read_only)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_database(tmp_path: Path, read_only: bool) -> None:
    (tmp_path / FILE).write_bytes(b"not a database, for sure " * 100)
    with pytest.raises(Unavailable, match="no database") as caught:
        Database.open(tmp_path, read_only=read_only)
    assert caught.value.where.endswith(FILE)


def test_a_damaged_database(folder: Path) -> None:
    file = folder / FILE
    file.write_bytes(file.read_bytes()[:4096] + b"\xff" * 8192)
    with pytest.raises(Unavailable, match="damaged"):
        Database.open(folder)


def test_damage_that_shows_later(folder: Path) -> None:
    with Database.open(folder) as database, database.transaction():
        add(database, *range(1, 5_000))
    file = folder / FILE
    whole = file.read_bytes()
    file.write_bytes(whole[:-40_960] + b"\x55" * 40_960)
    with Database.open(folder) as database, pytest.raises(Unavailable, match="damaged"):
        look(database, "SELECT max(length(payload)), count(*), min(at_ms) FROM event NOT INDEXED")


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    place = tmp_path / "store"
    place.touch()
    with pytest.raises(Unavailable, match="this is a file, and the store is a folder"):
        Database.open(place)
    with pytest.raises(Unavailable, match="cannot be made"):
        Database.open(place / "below")


def test_a_database_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    for read_only in (False, True):
        with pytest.raises(Unavailable, match="cannot be opened"):
            Database.open(tmp_path, read_only=read_only)


OPEN_AS_NOBODY = """
import os, sys
from pathlib import Path
import makeway.store.log
from makeway.errors import MakewayError
from makeway.store.database import Database
import makeway.store.migrate
if os.getuid() == 0:
    os.setuid(int(sys.argv[2]))
try:
    with Database.open(Path(sys.argv[1]), read_only=sys.argv[3] == "read") as database:
        print(makeway.store.log.Log(database).last())
except MakewayError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """Give a folder that every user may enter; pytest's own are private."""
    with tempfile.TemporaryDirectory(prefix="makeway-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of Unix")
def test_a_folder_that_may_only_be_read(empty_store: Path, public_folder: Path) -> None:
    def open_as_nobody(how: str, place: Path) -> str:
        return subprocess.run(
            [sys.executable, "-c", OPEN_AS_NOBODY, str(place), str(NOBODY), how],
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    shutil.copy(empty_store / FILE, public_folder / FILE)
    (public_folder / FILE).chmod(0o444)
    public_folder.chmod(0o555)
    try:
        assert open_as_nobody("read", public_folder) == "0\n"
        assert re.match("Unavailable .*cannot be written", open_as_nobody("write", public_folder))
        below = open_as_nobody("write", public_folder / "below")
        assert re.match("Unavailable .*cannot be made: Permission denied", below)
    finally:
        public_folder.chmod(0o755)
    if os.getuid() == 0:  # now a writer of another user is at work
        with Database.open(public_folder):
            assert open_as_nobody("read", public_folder) == "0\n"
            wrote = open_as_nobody("write", public_folder)
            assert re.match("Unavailable .*cannot be written", wrote)


# ── transactions ──────────────────────────────────────────────────────────────────────────────────


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with database.transaction():
            add(database, 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.transaction():
        add(database, 2)
    assert seqs(database) == [2]


def test_transactions_do_not_nest_and_writing_needs_one(database: Database) -> None:
    with pytest.raises(AssertionError), database.transaction(), database.transaction():
        pass
    with pytest.raises(AssertionError):
        add(database, 1)
    with database.transaction(), database.reading():
        add(database, 1)
    assert seqs(database) == [1]


def test_our_own_mistakes_stay_what_they_are(database: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError, match=r"no such table|does not exist"):
        look(database, "SELECT 1 FROM nowhere")


def test_reading_sees_one_state(location: Location) -> None:
    with Database.open(location) as writer, Database.open(location, read_only=True) as reader:
        with reader.reading():
            assert seqs(reader) == []
            with writer.transaction():
                add(writer, 1)
            assert seqs(reader) == []
        assert seqs(reader) == [1]


def test_two_writers_take_turns(location: Location) -> None:
    with Database.open(location) as one, Database.open(location) as other:

        def slowly() -> None:
            with one.transaction():
                add(one, 1)
                inside.set()
                time.sleep(0.2)

        inside = threading.Event()
        thread = threading.Thread(target=slowly)
        thread.start()
        inside.wait()
        with other.transaction():
            assert seqs(other) == [1]
            add(other, 2)
        thread.join()
        assert seqs(one) == [1, 2]


def test_a_writer_that_never_ends(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("makeway.store.kind.BUSY_MS", 50)
    with (
        Database.open(location) as one,
        Database.open(location) as other,
        one.transaction(),
        pytest.raises(Unavailable, match="another process has been writing"),
        other.transaction(),
    ):
        pass


def test_threads_share_a_database(database: Database) -> None:
    failed: list[MakewayError] = []

    def write(first: int) -> None:
        try:
            for seq in range(first, first + 50):
                with database.transaction():
                    add(database, seq)
                with database.reading():
                    assert seq in seqs(database)
        except MakewayError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(seqs(database)) == 150
