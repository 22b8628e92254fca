"""What is written as JSON is read back, under every version; what cannot be read has a place."""

from __future__ import annotations

import math
import zlib

import pytest

from makeway import codec
from makeway.errors import InvalidInput
from makeway.model import event as ev
from makeway.model.phase import ExecutionPhase
from makeway.model.record import Exit, Report
from makeway.model.workflow import Constant, Step, Workflow
from makeway.store import schema
from makeway.store.database import Database
from makeway.store.log import Log
from makeway.store.statement import same, update
from tests.store.test_log import nodes_lost, told

# ── values that JSON has no word for, and old ones ────────────────────────────────────────────────


def test_numbers_that_are_not_finite_come_back(database: Database) -> None:
    metrics = {"loss": math.inf, "gain": -math.inf, "accuracy": math.nan, "rate": 0.5}
    end = Exit(at_ms=3, code=0, report=Report(metrics=metrics, params={"note": "nan"}))
    events: list[ev.Event] = [
        ev.WorkerExited(job="j1", fence=1, rank=0, exit=end),
        ev.ExecutionEnded(execution="r1.a", phase=ExecutionPhase.SUCCEEDED, metrics=metrics),
    ]
    entries = [
        ev.Entry(seq=seq, at_ms=0, cause=0, event=event) for seq, event in enumerate(events, 1)
    ]
    Log(database).append(entries)
    exited, ended = (entry.event for entry in Log(database).read())
    assert isinstance(exited, ev.WorkerExited)
    assert isinstance(ended, ev.ExecutionEnded)
    assert exited.exit.report is not None
    assert exited.exit.report.params == {"note": "nan"}
    for found in (exited.exit.report.metrics, ended.metrics):
        assert math.isnan(found.pop("accuracy"))
        assert found == {"loss": math.inf, "gain": -math.inf, "rate": 0.5}


def test_large_values(database: Database) -> None:
    step = Step(key="a", arguments={"text": Constant("ä" * 3_000_000), "deep": Constant([[[]]])})
    run = ev.RunSubmitted(
        run="r1", workflow=Workflow(name="w", file="f.py", steps=(step,)), user="u", queue="q"
    )
    entry = ev.Entry(seq=1, at_ms=2**62, cause=0, event=run)
    Log(database).append([entry])
    assert list(Log(database).read()) == [entry]


def test_a_payload_that_cannot_be_read_is_named(database: Database) -> None:
    Log(database).append(nodes_lost(1, 2))
    payload = '{"type":"NodeLost"}'
    checksum = zlib.crc32(b"2\n2\n0\nNodeLost\n1\n\n\n" + payload.encode())
    with database.transaction():
        change = update(schema.event, same(schema.event.c.seq), "payload", "checksum")
        database.write(change, [(payload, checksum, 2)])
    with pytest.raises(InvalidInput, match=r"^event 2: .*missing required field `name`"):
        list(Log(database).read())


@pytest.mark.parametrize(
    "text, where, problem",
    [
        ('{"type":"NodeLost","name":5}', "event.name", "Expected `str`, got `int`"),
        ('{"type":"NodeFound"}', "event.type", "Invalid value 'NodeFound'"),
        ('{"name":"n1"}', "event", "missing required field `type`"),
        ("{", "event", "truncated"),
        ("", "event", "truncated"),
        (b'{"type":"NodeLost","name":"\xff"}', "event", "utf-8"),
        ("[]", "event", "Expected `object`"),
        ('{"type":"NodeLost","name":"nan","text":[]}', "event.text", "Expected `str`"),
    ],
    ids=str,
)
def test_what_cannot_be_read_says_where_and_why(
    text: str | bytes, where: str, problem: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        codec.decode_event(text)
    assert caught.value.where == where
    assert problem in caught.value.problem


def test_what_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^params: it is nested too deeply"):
        codec.decode("[" * 100_000, list[object], "params")


def test_an_entry_is_one_line() -> None:
    for entry in told().entries:
        line = codec.encode_entry(entry)
        assert b"\n" not in line
        assert codec.decode_entry(line) == entry
    line = codec.encode_entry(nodes_lost(7, 1)[0])
    assert line == (
        b'{"seq":7,"at_ms":7,"cause":0,"event":{"type":"NodeLost","name":"n7","text":""}}'
    )
    with pytest.raises(InvalidInput, match=r"^entry 7\.name: Expected `str`"):
        codec.decode_entry(line.replace(b'"n7"', b"7"))


def test_an_old_event_is_upgraded(monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
    log = Log(database)
    log.append(nodes_lost(1, 1))  # written with version 1

    def shout(fields: dict[str, object]) -> dict[str, object]:
        return fields | {"name": str(fields["name"]).upper()}

    def greet(fields: dict[str, object]) -> dict[str, object]:
        return fields | {"text": f"hello {fields['name']}"}

    monkeypatch.setattr(codec, "UPGRADES", {"NodeLost": (shout, greet)})
    log.append(nodes_lost(2, 1))  # written with version 3: nothing is left to upgrade
    assert [entry.event for entry in log.read()] == [
        ev.NodeLost(name="N1", text="hello N1"),
        ev.NodeLost(name="n2"),
    ]
    assert codec.decode_event(b'{"type":"NodeLost","name":"a"}', 2) == ev.NodeLost(
        name="a", text="hello a"
    )
    entry = nodes_lost(1, 1)[0]
    assert codec.decode_entry(codec.encode_entry(entry)) == entry
    monkeypatch.undo()
    with pytest.raises(InvalidInput, match="version 3 of NodeLost is newer"):
        list(log.read())
