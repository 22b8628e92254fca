"""Show what workers have measured: which series there are, and their points, as many as are wanted.

With each series stands what lists ask for all the time: how many, first, last, least, largest,
mean, trend. The `trend` is the slope of the line through the last 20 samples, a second. Its points
lie in two tables, as rows and in chunks; whoever reads a series sees no difference.

Of a long series only so many points are given as are asked for. Where chunks say where their least
and largest values are, they are not even opened.

Raises:  NotFound: no such series · InvalidInput: too few points to show anything
Cost:    100 000 samples read short in 15 ms out of chunks, in 125 ms out of rows; two million out
         of chunks in 10 ms
Source:  the shape that an eye sees is kept by min and max of each stretch: `thin`
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from makeway.errors import InvalidInput, NotFound
from makeway.store import schema
from makeway.store.chunks import CHUNK_ROWS, Chunk, find_chunks, open_chunk, open_chunks
from makeway.store.columns import NO_SAMPLES, Columns, joined
from makeway.store.database import Database, Row
from makeway.store.statement import same
from makeway.store.thin import POINTS_MIN, peaks, picked, thin_out

NO_STEP = -1
WHOLE_MAX = 2**63  # what fits into a column of whole numbers
FINER = 2  # so many times finer than the answer is each part thinned out before it


class SeriesKey(NamedTuple):
    """Say whose series it is: the attempt `number` of a job, a rank in it, a name."""

    job: str
    number: int
    rank: int
    name: str


class Point(msgspec.Struct, frozen=True):
    """One sample as it is read."""

    at_ms: int
    step: int | None
    value: float


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """A series and what is known of it without reading it.

    kind   `system` for what is measured from outside, `user` for what the program records
    unit   where the name says it: bytes, percent, seconds …
    min, max, mean   of finite values
    trend  the slope of the last 20 samples, a second; None: too few to tell
    """

    id: int
    job: str
    number: int
    rank: int
    name: str
    n: int
    first: float
    last: float
    min: float | None
    max: float | None
    last_step: int | None
    last_at_ms: int
    kind: str = "user"
    unit: str | None = None
    mean: float | None = None
    trend: float | None = None


SERIES, ROWS, STATS = schema.series.c, schema.sample.c, schema.series_stat.c
SUMS = (
    *("n", "first", "last", "min", "max", "last_step", "last_at_ms"),
    *("finite", "sum", "trend"),
)
LIST = (
    sa.select(
        SERIES.id, SERIES.job, SERIES.number, SERIES.rank, SERIES.name, SERIES.kind, SERIES.unit,
        *(STATS[name] for name in SUMS),
    )
    .join_from(schema.series, schema.series_stat)
    .where(same(SERIES.job))
    .order_by(SERIES.number, SERIES.rank, SERIES.name)
)  # fmt: skip
FIND = sa.select(SERIES.id).where(same(SERIES.job, SERIES.number, SERIES.rank, SERIES.name))
KNOWN = sa.select(SERIES.id).where(same(SERIES.id))
SAMPLES = sa.select(ROWS.at_ms, ROWS.step, ROWS.value).where(same(ROWS.series))
IN_RANGE = ROWS.at_ms.between(sa.bindparam("from_ms"), sa.bindparam("to_ms"))
COUNT_RANGE = (
    sa.select(sa.func.count()).select_from(schema.sample).where(same(ROWS.series), IN_RANGE)
)
READ = SAMPLES.where(IN_RANGE).order_by(ROWS.at_ms, ROWS.step)


def list_series(database: Database, job: str) -> list[Series]:
    """Give every series of every attempt of a job, with its sums and latest value."""
    return [_series(row) for row in database.rows(LIST, {"job": job})]


def read_series(
    database: Database,
    series: int | SeriesKey,
    from_ms: int = 0,
    to_ms: int = WHOLE_MAX - 1,
    max_points: int = 1_000,
) -> list[Point]:
    """Give the samples of a series between two instants, both included, in order of time.

    Of more than `max_points`, stretches of equal length give their least and their largest value
    each; the first and the last sample stay.
    """
    if max_points < POINTS_MIN:
        raise InvalidInput(
            f"{max_points} is too few, take {POINTS_MIN} or more", where="max_points"
        )
    with database.reading():
        found = read_columns(database, _id(database, series), from_ms, to_ms, max_points)
    rows = zip(found.at_ms, found.step, found.value, strict=True)
    return [Point(at_ms, None if step == NO_STEP else step, value) for at_ms, step, value in rows]


def read_columns(database: Database, series: int, from_ms: int, to_ms: int, most: int) -> Columns:
    """Give the same as columns, of a series that there is; within `reading` or a transaction."""
    return _Reader(database, series, from_ms, to_ms).read(most)


def columns_of(rows: Iterable[Row]) -> Columns:
    """Turn rows of instant, step and value into columns; there is one at least."""
    at_ms, step, value = zip(*rows, strict=True)
    return Columns(at_ms, step, [math.nan if one is None else one for one in value])


class _Reader:
    """What lies between two instants, out of both tables; within one `reading`."""

    def __init__(self, database: Database, series: int, from_ms: int, to_ms: int) -> None:
        self._database, self._series = database, series
        self._from_ms, self._to_ms = from_ms, to_ms

    def read(self, most: int) -> Columns:
        chunks = find_chunks(self._database, self._series, self._from_ms, self._to_ms)
        # Of those at the ends only a part may be wanted; the others are wanted whole.
        ends = {place: self._open(chunks[place]) for place in {0, len(chunks) - 1} if chunks}
        wanted = (self._series, self._from_ms, self._to_ms)
        [(loose,)] = self._database.find(COUNT_RANGE, wanted)
        count = loose + sum(chunk.n for chunk in chunks[1:-1])
        count += sum(len(part.at_ms) for part in ends.values())
        stretch = 1 if count <= most else -(-count // ((most - 2) // 2))
        parts = [_finer(part, stretch, ends=True) for part in ends.values()]
        if stretch >= 2 * CHUNK_ROWS:
            parts += self._summed_up(chunks[1:-1], stretch)
        elif len(chunks) > len(ends):
            parts += self._opened(ends, stretch)
        if loose:
            parts += self._loose(loose, stretch)
        return thin_out(joined(parts), most)

    def _opened(self, ends: Container[int], stretch: int) -> Iterator[Columns]:
        """Open all chunks but those that are open already."""
        opened = open_chunks(self._database, self._series, self._from_ms, self._to_ms)
        for place, columns in enumerate(opened):
            if place not in ends:
                yield _finer(self._cut(columns), stretch, ends=False)

    def _summed_up(self, chunks: Sequence[Chunk], stretch: int) -> Iterator[Columns]:
        """Open only those that do not say where their extremes are."""
        for chunk in chunks:
            if chunk.low_ms is not None and chunk.to_ms <= self._to_ms:
                yield _extremes(chunk)
            else:
                yield _finer(self._open(chunk), stretch, ends=False)

    def _open(self, chunk: Chunk) -> Columns:
        return self._cut(open_chunk(self._database, self._series, chunk))

    def _loose(self, count: int, stretch: int) -> Iterator[Columns]:
        wanted = {"series": self._series, "from_ms": self._from_ms, "to_ms": self._to_ms}
        rows = self._database.each(READ, wanted)
        place = 0
        while part := list(islice(rows, CHUNK_ROWS)):
            place += len(part)
            ends = place in (len(part), count)
            yield _finer(columns_of(part), stretch, ends=ends)

    def _cut(self, columns: Columns) -> Columns:
        at_ms = columns.at_ms
        if self._from_ms <= at_ms[0] and at_ms[-1] <= self._to_ms:
            return columns
        within = [row for row, at in enumerate(at_ms) if self._from_ms <= at <= self._to_ms]
        return picked(columns, within) if within else NO_SAMPLES


def _finer(columns: Columns, stretch: int, *, ends: bool) -> Columns:
    """Thin out one part, less than all of it will be: so the whole never is in memory."""
    if stretch < 2 * FINER or not columns.at_ms:
        return columns
    return peaks(columns, min(stretch, CHUNK_ROWS) // FINER, ends=ends)


def _extremes(chunk: Chunk) -> Columns:
    """Give the least and the largest sample of a chunk that was not opened."""
    assert chunk.low_ms is not None, "asked only where the places are known"
    low = (chunk.low_ms, chunk.low_step, chunk.min)
    high = (chunk.high_ms, chunk.high_step, chunk.max)
    return columns_of([low] if low == high else sorted([low, high]))


def _id(database: Database, series: int | SeriesKey) -> int:
    if isinstance(series, int):
        found = database.rows(KNOWN, {"id": series})
        name = f"series {series}"
    else:
        found = database.rows(FIND, series._asdict())
        job, number, rank, name = series
        name = f"{name} of {job}/{number}, rank {rank}"
    if not found:
        raise NotFound("no such series", where=name)
    number_of_it: int = found[0][0]
    return number_of_it


def _series(row: Row) -> Series:
    finite, total = row[14], row[15]
    return Series(
        id=row[0], job=row[1], number=row[2], rank=row[3], name=row[4], kind=row[5], unit=row[6],
        n=row[7], first=_number(row[8]), last=_number(row[9]), min=row[10], max=row[11],
        last_step=row[12], last_at_ms=row[13], mean=total / finite if finite and math.isfinite(total) else None,
        trend=row[16],
    )  # fmt: skip


def _number(value: float | None) -> float:
    return math.nan if value is None else value
