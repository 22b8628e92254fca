"""What programs tell of themselves is found at once, under the job that told it."""

from __future__ import annotations

import sqlalchemy as sa

from makeway.model.record import Note
from makeway.store import schema
from makeway.store.database import Database
from makeway.store.notes import NoteWriter


def note(kind: str, key: str, value: object, at_ms: int = 1) -> Note:
    return Note(kind=kind, key=key, value=value, at_ms=at_ms)


def written(database: Database, *notes: Note) -> None:
    writer = NoteWriter(database)
    writer.take("j1", notes)
    writer.flush()


def test_a_number_is_kept_as_a_number_and_a_tag_as_its_text(database: Database) -> None:
    written(database, note("param", "lr", 0.1), note("tag", "team", "nlp"))
    param = database.rows(sa.select(schema.param))[0]
    assert tuple(param) == ("j1", "lr", "float", "0.1", 0.1)
    assert [tuple(row) for row in database.rows(sa.select(schema.tag))] == [("j1", "team", "nlp")]


def test_what_is_said_twice_is_what_was_said_last(database: Database) -> None:
    written(database, note("tag", "state", "draft"), note("tag", "state", "good"))
    assert [row[2] for row in database.rows(sa.select(schema.tag))] == ["good"]


def test_a_data_set_is_an_input_and_a_report_an_output(database: Database) -> None:
    data = note("input", "towns", {"digest": "d1", "size_bytes": 10})
    text = note("artifact", "report.html", {"digest": "d2", "size_bytes": 20})
    written(database, data, text)
    uses = database.rows(sa.select(schema.artifact_use).order_by(schema.artifact_use.c.digest))
    assert [tuple(row)[:4] for row in uses] == [
        ("j1", "input", "towns", "d1"),
        ("j1", "output", "report.html", "d2"),
    ]
    kinds = database.rows(sa.select(schema.artifact.c.kind, schema.artifact.c.producer))
    assert {tuple(row) for row in kinds} == {("dataset", None), ("artifact", "j1")}


def test_what_nobody_knows_is_left_out(database: Database) -> None:
    written(database, note("phase", "eval", None), note("input", "odd", "no digest"))
    assert database.rows(sa.select(schema.artifact_use)) == []


def test_nothing_noted_writes_nothing(database: Database) -> None:
    written(database)
    assert database.rows(sa.select(schema.param)) == []
