"""Keep a thousand samples of one series in one row, and open that row again.

Where a row of `sample_chunk` reaches from its first to its last sample there is no row of `sample`:
what comes late for such a stretch opens it first. So a sample stands in one place, and whoever
reads takes both tables and has all of them once.

A chunk knows its own sums. Where all its values are finite it also knows at which samples the least
and the largest are: whoever draws millions of samples need not open it at all.

Cost:    a chunk of a thousand samples is made in 0.3 ms and opened in 0.1 ms
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from makeway.store import schema
from makeway.store.columns import Columns, pack, unpack
from makeway.store.database import Database
from makeway.store.statement import Upsert, insert, same
from makeway.store.thin import extremes

CHUNK_ROWS = 1_000

Instant = tuple[int, int]  # at_ms, step
Values = tuple[object, ...]

CHUNKS, ROWS = schema.sample_chunk.c, schema.sample.c
SAMPLE_KEY = ("series", "at_ms", "step")
WRITE = insert(schema.sample_chunk, *(column.name for column in schema.sample_chunk.c))
# What is there already came later than the chunk: it stays.
BACK = Upsert(schema.sample, (*SAMPLE_KEY, "value"), SAMPLE_KEY)
TAKE_OUT = sa.delete(schema.sample_chunk).where(
    same(CHUNKS.series, CHUNKS.from_ms, CHUNKS.from_step)
)
DATA = sa.select(CHUNKS.data).where(same(CHUNKS.series, CHUNKS.from_ms, CHUNKS.from_step))
ALL_DATA = (
    sa.select(CHUNKS.data)
    .where(same(CHUNKS.series), CHUNKS.from_ms <= sa.bindparam("until"))
    .where(CHUNKS.to_ms >= sa.bindparam("since"))
    .order_by(CHUNKS.from_ms, CHUNKS.from_step)
)
SUMMARY = sa.select(
    CHUNKS.from_ms, CHUNKS.from_step, CHUNKS.to_ms, CHUNKS.to_step, CHUNKS.n,
    CHUNKS.min, CHUNKS.max, CHUNKS.low_ms, CHUNKS.low_step, CHUNKS.high_ms, CHUNKS.high_step,
).where(same(CHUNKS.series))  # fmt: skip
TOUCHING = (
    SUMMARY.where(CHUNKS.from_ms <= sa.bindparam("until"), CHUNKS.to_ms >= sa.bindparam("since"))
    .order_by(CHUNKS.from_ms, CHUNKS.from_step)
)  # fmt: skip


class Chunk(NamedTuple):
    """A row without what is in it; `low` and `high` only where all its values are finite."""

    from_ms: int
    from_step: int
    to_ms: int
    to_step: int
    n: int
    min: float | None
    max: float | None
    low_ms: int | None
    low_step: int | None
    high_ms: int | None
    high_step: int | None


def find_chunks(database: Database, series: int, from_ms: int, to_ms: int) -> list[Chunk]:
    """Give the chunks of a series that have anything between two instants, in order."""
    return [Chunk(*row) for row in database.find(TOUCHING, (series, to_ms, from_ms))]


def open_chunk(database: Database, series: int, chunk: Chunk) -> Columns:
    """Read what is in a chunk."""
    [(data,)] = database.find(DATA, (series, chunk.from_ms, chunk.from_step))
    return unpack(data)


def open_chunks(database: Database, series: int, from_ms: int, to_ms: int) -> Iterator[Columns]:
    """Read what is in all chunks of a series that have anything between two instants, in order."""
    for (data,) in database.find(ALL_DATA, (series, to_ms, from_ms)):
        yield unpack(data)


def chunk_row(series: int, columns: Columns) -> Values:
    """Make the row of a chunk out of samples in order."""
    finite = [value for value in columns.value if math.isfinite(value)]
    least, most = min(finite, default=None), max(finite, default=None)
    places: Sequence[int | None] = (None, None, None, None)
    if len(finite) == len(columns.value):
        low, high = extremes(columns.value, 0, len(finite))
        places = (columns.at_ms[low], columns.step[low], columns.at_ms[high], columns.step[high])
    ends = (columns.at_ms[0], columns.step[0], columns.at_ms[-1], columns.step[-1])
    sums = (len(columns.value), least, most, sum(finite))
    return (series, *ends, *sums, *places, pack(columns))


def loosen(database: Database, series: int, instants: Sequence[Instant]) -> None:
    """Make rows again of every chunk into which one of these instants falls; they are in order."""
    at_ms = [at for at, _ in instants]
    for chunk in find_chunks(database, series, at_ms[0], at_ms[-1]):
        place = bisect_left(at_ms, chunk.from_ms)
        if place < len(at_ms) and at_ms[place] <= chunk.to_ms:
            columns = open_chunk(database, series, chunk)
            values = (None if value != value else value for value in columns.value)  # noqa: PLR0124 - NaN is not itself
            rows = zip(columns.at_ms, columns.step, values, strict=True)
            database.load(BACK, [(series, *row) for row in rows])
            database.write(TAKE_OUT, [(series, chunk.from_ms, chunk.from_step)])
