"""A folder whose log is in a database elsewhere: whoever opens it is led there."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeway.errors import InvalidInput
from makeway.store.database import Database
from makeway.store.elsewhere import NOTE, note, noted
from makeway.store.log import Log
from tests.store import postgres
from tests.store.test_log import nodes_lost


def test_a_folder_without_a_note_holds_its_log_itself(tmp_path: Path) -> None:
    assert not noted(tmp_path)


def test_what_is_noted_is_its_owners_alone_and_the_last_counts(tmp_path: Path) -> None:
    note(tmp_path, "postgresql://ada:secret@here/one")
    note(tmp_path, "postgresql://ada:secret@here/two")
    assert noted(tmp_path) == "postgresql://ada:secret@here/two"
    assert (tmp_path / NOTE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [NOTE]


def test_a_note_that_is_no_address_is_an_error(tmp_path: Path) -> None:
    note(tmp_path, "mysql://here")
    with pytest.raises(InvalidInput, match="begins with postgresql"):
        Database.open(tmp_path, read_only=True)


@pytest.mark.slow
def test_who_opens_the_folder_reads_what_is_in_the_database(tmp_path: Path) -> None:
    with postgres.running() as server, server.database() as url:
        with Database.open(url) as database:
            Log(database).append(nodes_lost(1, 2))
        note(tmp_path, url)
        with Database.open(tmp_path, read_only=True) as database:
            assert Log(database).last() == 2
    assert [path.name for path in tmp_path.iterdir()] == [NOTE]
