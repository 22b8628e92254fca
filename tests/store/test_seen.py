"""What the store knows of an attempt that fails: bounded, and of the worker that failed."""

from __future__ import annotations

import math

import msgspec

from makeway.model.record import Sample
from makeway.store.database import Database
from makeway.store.seen import BYTES_MAX, POINTS_MAX, SERIES_MAX, Wanted, seen_of
from makeway.store.series import SeriesWriter

ATTEMPT = Wanted(job="j", number=1, begun_ms=1_000)


def keep(database: Database, rank: int, name: str, *values: float, every_ms: int = 1000) -> None:
    """Write a series of the attempt, one value a second."""
    writer = SeriesWriter(database)
    rows = [
        Sample(name=name, at_ms=1_000 + every_ms * at, value=value)
        for at, value in enumerate(values)
    ]
    writer.add("j", 1, rank, rows)
    writer.flush()


def test_series_bear_the_names_and_units_of_the_rules(database: Database) -> None:
    keep(database, 0, "system/memory_usage_bytes", 23e6, 200e6)
    keep(database, 0, "progress", 0.1, 0.2)
    keep(database, 0, "available/table", 1.0, 0.0)
    seen = seen_of(database, ATTEMPT)
    assert seen.samples == {
        "memory_mb": ((0.0, 23.0), (1.0, 200.0)), "progress": ((0.0, 0.1), (1.0, 0.2)),
    }  # fmt: skip
    assert seen.available == {"table": ((0.0, 1.0), (1.0, 0.0))}


def test_what_is_no_number_is_kept_as_such(database: Database) -> None:
    keep(database, 0, "loss", 1.0, math.nan)
    seen = seen_of(database, ATTEMPT)
    assert seen.samples["loss"] == ((0.0, 1.0), (1.0, None))
    assert msgspec.json.decode(msgspec.json.encode(seen), type=type(seen)) == seen


def test_the_memory_is_that_of_the_worker_that_failed_and_metrics_are_those_of_the_first(
    database: Database,
) -> None:
    for rank in (0, 1):
        keep(database, rank, "system/memory_usage_bytes", rank * 1e6)
        keep(database, rank, "loss", float(rank))
    seen = seen_of(database, msgspec.structs.replace(ATTEMPT, rank=1))
    assert seen.samples == {"memory_mb": ((0.0, 1.0),), "loss": ((0.0, 0.0),)}
    assert seen.worker_samples == {0: {"loss": ((0.0, 0.0),)}, 1: {"loss": ((0.0, 1.0),)}}


def test_other_attempts_are_not_looked_at(database: Database) -> None:
    keep(database, 0, "loss", 1.0)
    assert seen_of(database, msgspec.structs.replace(ATTEMPT, number=2)).samples == {}


def test_however_much_was_recorded_it_stays_small_and_keeps_what_matters(
    database: Database,
) -> None:
    many = [float(at % 97) for at in range(1_000)]
    many[500] = 1e6
    keep(database, 0, "system/memory_usage_bytes", *(1e6 * value for value in many))
    for number in range(SERIES_MAX + 10):
        keep(database, 0, f"metric-{number:03}", *many)
    seen = seen_of(database, ATTEMPT)
    assert len(seen.samples) <= SERIES_MAX
    assert len(msgspec.json.encode(seen)) <= BYTES_MAX
    memory = seen.samples["memory_mb"]
    assert len(memory) <= POINTS_MAX
    assert (memory[0], memory[-1]) == ((0.0, 0.0), (999.0, float(999 % 97)))
    assert max(value or 0 for _, value in memory) == 1e6
