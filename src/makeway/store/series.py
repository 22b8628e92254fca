"""Keep what workers measure: each series under a short number, each sample in one narrow row.

A `SeriesWriter` gathers samples and writes them in one transaction for each 500 rows, or when its
caller says so (every 100 ms). With each series stands what lists ask for all the time: how many,
first, last, least, largest. These sums are carried forward in memory; only when samples come late
or twice are they counted again from the rows. One process writes series, as with the log.

A sample is known by its series, instant and step. The same sample twice is one row, the later value
stays. Infinite values are kept as they are; a NaN is stored as NULL, since SQLite has no other way,
and read back as NaN. Neither counts as least or largest. A sample without a step has step -1.

Cost:    155 000 rows/s when each row is of another series, 460 000 rows/s in long runs of one,
         70 000 rows/s where each series is new; 26 bytes a sample; a million samples read short
         in 1 s
Source:  min and max of each stretch keep the shape that an eye sees: Jugel et al., M4, VLDB 2014
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from makeway.errors import InvalidInput, NotFound, Unavailable
from makeway.model.record import Sample
from makeway.store import schema
from makeway.store.database import Database, Row
from makeway.store.finals import CARRIED, carried
from makeway.store.statement import Upsert, same

BATCH_ROWS = 500
WAITING_ROWS_MAX = 100_000  # so many are kept for the next try while the disk is full
KNOWN_MAX = 50_000
NO_STEP = -1
WHOLE_MAX = 2**63  # what fits into a column of whole numbers

Instant = tuple[int, int]  # at_ms, step


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
    """A series and what is known of it without reading it; `min` and `max` of finite values."""

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


class _Known(msgspec.Struct):
    """A series that was written to, with its sums so far."""

    id: int
    n: int = 0
    first: float | None = None
    last: float | None = None
    min: float | None = None
    max: float | None = None
    newest: Instant = (-WHOLE_MAX, -WHOLE_MAX)


# ── writing ───────────────────────────────────────────────────────────────────────────────────────

KEY = ("job", "number", "rank", "name")
SUMS = ("n", "first", "last", "min", "max", "last_step", "last_at_ms")
SERIES, ROWS, STATS = schema.series.c, schema.sample.c, schema.series_stat.c
OF_KEY = same(*(SERIES[name] for name in KEY))
OF_SERIES = same(ROWS.series)

MAKE = Upsert(schema.series, KEY, KEY)
LOOK_UP = (
    sa.select(SERIES.name, SERIES.id, *(STATS[name] for name in SUMS))
    .outerjoin_from(schema.series, schema.series_stat)
    .where(same(SERIES.job, SERIES.number, SERIES.rank))
    .where(SERIES.name.in_(sa.bindparam("names", expanding=True)))
)
SAMPLE_KEY = ("series", "at_ms", "step")
WRITE = Upsert(schema.sample, (*SAMPLE_KEY, "value"), SAMPLE_KEY, replace=("value",))
FINITE = sa.case((sa.func.abs(ROWS.value) <= sys.float_info.max, ROWS.value))
COUNT = sa.select(sa.func.count(), sa.func.min(FINITE), sa.func.max(FINITE)).where(OF_SERIES)
SAMPLES = sa.select(ROWS.at_ms, ROWS.step, ROWS.value).where(OF_SERIES)
EARLIEST = SAMPLES.order_by(ROWS.at_ms, ROWS.step).limit(1)
LATEST = SAMPLES.order_by(ROWS.at_ms.desc(), ROWS.step.desc()).limit(1)
SUM_UP = Upsert(schema.series_stat, ("series", *SUMS), ("series",), replace=SUMS)


class SeriesWriter:
    """Gathers samples and writes them; for one thread. `dropped` counts what could not be kept."""

    def __init__(self, database: Database) -> None:
        """Take the store."""
        self.dropped = 0
        self.database = database
        self._waiting: dict[SeriesKey, dict[Instant, float]] = {}
        self._rows = 0
        self._known: dict[SeriesKey, _Known] = {}

    def add(self, job: str, number: int, rank: int, samples: Sequence[Sample]) -> None:
        """Take samples of one worker; written by and by, at the latest by the next `flush`."""
        for sample in samples:
            at_ms, step = sample.at_ms, NO_STEP if sample.step is None else sample.step
            if not (-WHOLE_MAX < at_ms < WHOLE_MAX and -WHOLE_MAX < step < WHOLE_MAX):
                self.dropped += 1  # one such number would keep all others from being written
                continue
            points = self._waiting.setdefault(SeriesKey(job, number, rank, sample.name), {})
            self._rows += (at_ms, step) not in points
            points[at_ms, step] = float(sample.value)
        if self._rows >= BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write all that waits. If the store is not available, it goes on waiting."""
        if not self._rows:
            return
        if len(self._known) > KNOWN_MAX:  # jobs come and go: what is needed is looked up again
            self._known.clear()
        waiting, rows = self._waiting, self._rows
        self._waiting, self._rows = {}, 0
        try:
            with self.database.transaction(durable=False):
                self._write(waiting)
        except BaseException as error:
            self._known.clear()  # their sums are ahead of what is stored
            if isinstance(error, Unavailable) and rows < WAITING_ROWS_MAX:
                self._waiting, self._rows = waiting, rows
            else:
                self.dropped += rows
            raise

    def _write(self, waiting: Mapping[SeriesKey, Mapping[Instant, float]]) -> None:
        self._learn([key for key in waiting if key not in self._known])
        rows: list[tuple[int, int, int, float | None]] = []
        late = []
        for key, points in waiting.items():
            known = self._known[key]
            instants = sorted(points)
            # NaN is what differs from itself; it is stored as NULL.
            values = [None if (v := points[instant]) != v else v for instant in instants]
            rows += [(known.id, *at, value) for at, value in zip(instants, values, strict=True)]
            if instants[0] > known.newest:
                _carry_forward(known, instants[-1], values)
            else:
                late.append(known)
        self.database.load(WRITE, rows)
        for known in late:
            self._count_again(known)
        self.database.load(SUM_UP, [_sums(self._known[key]) for key in waiting])
        mains = (key for key in waiting if key.rank == 0)
        self.database.load(CARRIED, [_final(key, self._known[key]) for key in mains])

    def _learn(self, keys: Sequence[SeriesKey]) -> None:
        """Find the numbers and the sums of series that are not in memory; make what is new."""
        if not keys:
            return
        self.database.write(MAKE, keys)
        for (job, number, rank), group in groupby(sorted(keys), itemgetter(0, 1, 2)):
            worker = {"job": job, "number": number, "rank": rank}
            names = (key.name for key in group)
            while part := list(islice(names, BATCH_ROWS)):
                for row in self.database.rows(LOOK_UP, {**worker, "names": part}):
                    self._known[SeriesKey(job, number, rank, row[0])] = _known(*row[1:])

    def _count_again(self, known: _Known) -> None:
        wanted = {"series": known.id}
        [(known.n, known.min, known.max)] = self.database.rows(COUNT, wanted)
        [(_, _, known.first)] = self.database.rows(EARLIEST, wanted)
        [(at_ms, step, known.last)] = self.database.rows(LATEST, wanted)
        known.newest = (at_ms, step)


def _known(number: int, n: int | None, *sums: Any) -> _Known:  # noqa: ANN401 - a row
    known = _Known(number)
    if n is not None:
        known.n = n
        known.first, known.last, known.min, known.max, step, at_ms = sums
        known.newest = (at_ms, NO_STEP if step is None else step)
    return known


def _carry_forward(known: _Known, newest: Instant, values: Sequence[float | None]) -> None:
    """Add values to the sums that all come after those that are in them."""
    if known.n == 0:
        known.first = values[0]
    known.n += len(values)
    known.last, known.newest = values[-1], newest
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if finite:
        least, most = min(finite), max(finite)
        known.min = least if known.min is None else min(known.min, least)
        known.max = most if known.max is None else max(known.max, most)


def _final(key: SeriesKey, known: _Known) -> tuple[object, ...]:
    sums = (known.n, known.first, known.last, known.min, known.max, None)
    return carried(key.job, key.name, key.number, *sums)


def _sums(known: _Known) -> tuple[object, ...]:
    at_ms, step = known.newest
    return (
        known.id, known.n, known.first, known.last, known.min, known.max,
        None if step == NO_STEP else step, at_ms,
    )  # fmt: skip


# ── reading ───────────────────────────────────────────────────────────────────────────────────────

LIST = (
    sa.select(*SERIES, *(STATS[name] for name in SUMS))
    .join_from(schema.series, schema.series_stat)
    .where(same(SERIES.job))
    .order_by(SERIES.number, SERIES.rank, SERIES.name)
)
FIND = sa.select(SERIES.id).where(OF_KEY)
KNOWN = sa.select(SERIES.id).where(same(SERIES.id))
IN_RANGE = ROWS.at_ms.between(sa.bindparam("from_ms"), sa.bindparam("to_ms"))
COUNT_RANGE = sa.select(sa.func.count(ROWS.at_ms)).where(OF_SERIES, IN_RANGE)
READ = SAMPLES.where(IN_RANGE).order_by(ROWS.at_ms, ROWS.step)


def list_series(database: Database, job: str) -> list[Series]:
    """Give every series of every attempt of a job, with its sums and latest value."""
    return [
        Series(
            id=row[0], job=row[1], number=row[2], rank=row[3], name=row[4], n=row[5],
            first=_number(row[6]), last=_number(row[7]), min=row[8], max=row[9],
            last_step=row[10], last_at_ms=row[11],
        )
        for row in database.rows(LIST, {"job": job})
    ]  # fmt: skip


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
    if max_points < 4:
        raise InvalidInput(f"{max_points} is too few, take 4 or more", where="max_points")
    with database.reading():
        wanted = {"series": _id(database, series), "from_ms": from_ms, "to_ms": to_ms}
        [(count,)] = database.rows(COUNT_RANGE, wanted)
        rows = database.each(READ, wanted)
        kept = list(rows) if count <= max_points else list(_thin_out(rows, count, max_points))
    return [Point(at, None if step == NO_STEP else step, _number(v)) for at, step, v in kept]


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


def _thin_out(rows: Iterator[Row], count: int, most: int) -> Iterator[Row]:
    stretch = -(-count // ((most - 2) // 2))
    newest: Row | None = None
    first = True
    while part := list(islice(rows, stretch)):
        finite = [row for row in part if row[2] is not None]
        # A stretch of nothing but NaN stays a gap, of one point.
        low = min(finite, key=_value, default=part[0])
        high = max(finite, key=_value, default=part[0])
        ends = [part[0]] if first else []
        for row in sorted(
            {_instant(row): row for row in (*ends, low, high)}.values(), key=_instant
        ):
            yield row
            newest = row
        last, first = part[-1], False
    if newest is not None and _instant(newest) != _instant(last):
        yield last


def _instant(row: Row) -> Instant:
    return row[0], row[1]


def _value(row: Row) -> float:
    value: float = row[2]
    return value


def _number(value: float | None) -> float:
    return math.nan if value is None else value
