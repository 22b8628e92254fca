"""The store is put in order in the pauses of the controller, and never for long at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeway.live.upkeep import IDLE_MS, PAUSES, Upkeep
from makeway.model.record import Sample
from makeway.store.database import Database
from makeway.store.keep import Keep
from makeway.store.packer import Packer
from makeway.store.series import SeriesKey, read_series
from makeway.store.series_writer import SeriesWriter

LOSS = SeriesKey("j", 1, 0, "loss")


def grown(writer: SeriesWriter, count: int) -> None:
    """Let a series grow so long that it is put into chunks."""
    for begin in range(0, count, 100):
        given = [Sample(name="loss", at_ms=n, value=float(n)) for n in range(begin, begin + 100)]
        writer.add(*LOSS[:3], given)
        writer.flush()


def test_it_pauses_nine_times_as_long_as_it_works_until_nothing_is_left(tmp_path: Path) -> None:
    with Database.open(tmp_path) as database:
        writer = SeriesWriter(database)
        grown(writer, 8_000)
        upkeep, now_ms, pauses = Upkeep(Packer(database, writer, Keep())), 1_000_000, []
        while writer.grown:
            upkeep.turn(now_ms)
            assert upkeep.due_ms > now_ms
            upkeep.turn(upkeep.due_ms - 1)  # it is not time yet
            pauses.append(upkeep.due_ms - now_ms)
            now_ms = upkeep.due_ms
        assert len(pauses) >= 7
        assert min(pauses) > PAUSES * 0.1
        for _ in range(10):
            upkeep.turn(now_ms)
            if upkeep.due_ms == now_ms + IDLE_MS:
                break
            now_ms = upkeep.due_ms
        assert upkeep.due_ms == now_ms + IDLE_MS
        points = read_series(database, LOSS, max_points=10_000)
        assert [point.value for point in points] == list(map(float, range(8_000)))


def test_a_store_that_cannot_be_written_is_left_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("makeway.store.kind.BUSY_MS", 20)
    with Database.open(tmp_path) as database, Database.open(tmp_path) as other:
        writer = SeriesWriter(database)
        grown(writer, 8_000)
        upkeep = Upkeep(Packer(database, writer, Keep()))
        with other.transaction():
            upkeep.turn(0)
        assert (upkeep.due_ms, len(writer.grown)) == (IDLE_MS, 1)
        upkeep.turn(IDLE_MS)
        assert len(read_series(database, LOSS, max_points=10_000)) == 8_000
