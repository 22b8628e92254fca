"""Keep what workers measure: each series under a short number, each sample in one narrow row.

A `SeriesWriter` gathers samples and writes them in one transaction for each 500 rows, or when its
caller says so (every 100 ms). The sums of a series are carried forward in memory and written with
its samples. What comes late or twice costs a look at the rows around it, not at all of them, so a
clock that jumps back does no harm. A flood of one series, 500 samples at once and more, goes into
chunks without having been rows. One process writes series, as with the log.

A sample is known by its series, instant and step. The same sample twice is one row, the later value
stays. Infinite values are kept as they are; a NaN is stored as NULL, since SQLite has no other way,
and read back as NaN. Neither counts as least or largest. A sample without a step has step -1.

A worker has at most `SERIES_MAX` series. What it records beyond that is dropped and counted, as are
numbers and names that no table takes.

Cost:    60 000 rows/s when each row is of another series, 430 000 rows/s in long runs of one; 26
         bytes a sample. Measured in bench/series.py
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, islice
from math import inf, isfinite
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from makeway.errors import Unavailable
from makeway.model.record import Sample
from makeway.store import schema
from makeway.store.chunks import CHUNK_ROWS, SAMPLE_KEY, Instant, chunk_row, loosen
from makeway.store.chunks import WRITE as CHUNK
from makeway.store.database import Database
from makeway.store.ends import count_again, oldest_of, recent_of
from makeway.store.finals import CARRIED, carried
from makeway.store.series import (
    NO_STEP,
    ROWS,
    SERIES,
    STATS,
    SUMS,
    WHOLE_MAX,
    SeriesKey,
    columns_of,
)
from makeway.store.statement import Upsert, same, update
from makeway.store.sums import Sums

BATCH_ROWS = 500
WAITING_ROWS_MAX = 100_000  # so many are kept for the next try while the disk is full
KNOWN_MAX = 50_000
SERIES_MAX = 10_000
NAME_MAX = 500
LOOSE_MAX = 5_000  # with more rows than this a series is put into chunks while it grows
SYSTEM = "system/"
UNITS = ("bytes", "percent", "seconds", "ratio", "celsius", "watts")

KEY = ("job", "number", "rank", "name")
MAKE = Upsert(schema.series, (*KEY, "kind", "unit"), KEY)
REOPEN = update(schema.series, same(SERIES.id), "stage")
NAMES = sa.select(SERIES.name).where(same(SERIES.job, SERIES.number, SERIES.rank))
LOOK_UP = (
    sa.select(SERIES.name, SERIES.id, SERIES.stage, *(STATS[name] for name in SUMS))
    .outerjoin_from(schema.series, schema.series_stat)
    .where(same(SERIES.job, SERIES.number, SERIES.rank))
    .where(SERIES.name.in_(sa.bindparam("names", expanding=True)))
)
WRITE = Upsert(schema.sample, (*SAMPLE_KEY, "value"), SAMPLE_KEY, replace=("value",))
AROUND = sa.select(ROWS.at_ms, ROWS.step, ROWS.value).where(
    same(ROWS.series), ROWS.at_ms.between(sa.bindparam("since"), sa.bindparam("until"))
)
SUM_UP = Upsert(schema.series_stat, ("series", *SUMS), ("series",), replace=SUMS)

Worker = tuple[str, int, int]


class _Known(Sums):
    """A series that was written to; `loose` counts its rows since it was last put into chunks."""

    id: int = 0
    loose: int = 0


class SeriesWriter:
    """Gathers samples and writes them; for one thread. `dropped` counts what could not be kept."""

    def __init__(self, database: Database) -> None:
        """Take the store."""
        self.dropped = 0
        self.grown: dict[SeriesKey, int] = {}  # series that have many rows, with their numbers
        self.database = database
        self._waiting: dict[SeriesKey, dict[Instant, float]] = {}
        self._rows = 0
        self._stuck = False
        self._known: dict[SeriesKey, _Known] = {}
        self._names: dict[Worker, set[str]] = {}

    def add(self, job: str, number: int, rank: int, samples: Sequence[Sample]) -> None:
        """Take samples of one worker; written by and by, at the latest by the next `flush`."""
        if self._stuck and self._rows >= WAITING_ROWS_MAX:
            self.dropped += len(samples)
            return
        found: dict[str, dict[Instant, float]] = {}  # by name alone, which is quicker
        before = 0
        for sample in samples:
            at_ms, step = sample.at_ms, NO_STEP if sample.step is None else sample.step
            if not (-WHOLE_MAX < at_ms < WHOLE_MAX and -WHOLE_MAX < step < WHOLE_MAX):
                self.dropped += 1  # one such number would keep all others from being written
                continue
            points = found.get(sample.name)
            if points is None:
                points = self._points_of(SeriesKey(job, number, rank, sample.name))
                if points is None:
                    self.dropped += 1
                    continue
                found[sample.name] = points
                before += len(points)
            points[at_ms, step] = float(sample.value)
        self._rows += sum(map(len, found.values())) - before
        if self._rows >= BATCH_ROWS and not self._stuck:
            with contextlib.suppress(Unavailable):  # they wait for a `flush` that succeeds
                self.flush()

    def flush(self) -> None:
        """Write all that waits. If the store is not available, it goes on waiting."""
        if not self._rows:
            return
        if len(self._known) > KNOWN_MAX:  # jobs come and go: what is needed is looked up again
            self._known.clear()
            self._names.clear()
        waiting, rows = self._waiting, self._rows
        self._waiting, self._rows = {}, 0
        try:
            with self.database.transaction(durable=False):
                self._write(waiting)
        except BaseException as error:
            self._known.clear()  # their sums are ahead of what is stored
            self._stuck = isinstance(error, Unavailable)
            if self._stuck and rows < WAITING_ROWS_MAX:
                self._waiting, self._rows = waiting, rows
            else:
                self.dropped += rows
            raise
        self._stuck = False

    def forget(self, key: SeriesKey) -> None:
        """Look a series up again before the next sample of it: somebody else has changed it."""
        self._known.pop(key, None)
        self.grown.pop(key, None)

    def shrank(self, key: SeriesKey) -> None:
        """Count the rows of a series anew: those that were there are in chunks now."""
        self.grown.pop(key, None)
        if key in self._known:
            self._known[key].loose = 0

    def _points_of(self, key: SeriesKey) -> dict[Instant, float] | None:
        """Give what waits of a series; None: it is not to be had."""
        points = self._waiting.get(key)
        if points is None and self._takes(key):
            points = self._waiting[key] = {}
        return points

    def _takes(self, key: SeriesKey) -> bool:
        """Say whether a series is known, or may still be made."""
        if key in self._known:
            return True
        worker, name = key[:3], key.name
        names = self._names.get(worker)
        if names is None:
            try:
                names = {row[0] for row in self.database.find(NAMES, worker)}
            except Unavailable:
                return len(name) <= NAME_MAX  # how many it has is seen when there is a store again
            self._names[worker] = names
        if name not in names:
            if len(names) >= SERIES_MAX or not 0 < len(name) <= NAME_MAX:
                return False
            names.add(name)
        return True

    def _write(self, waiting: Mapping[SeriesKey, Mapping[Instant, float]]) -> None:
        self._learn([key for key in waiting if key not in self._known])
        rows: list[tuple[int, int, int, float | None]] = []
        chunks: list[tuple[object, ...]] = []
        recount: list[_Known] = []
        for key, points in waiting.items():
            known = self._known[key]
            instants = sorted(points)
            # NaN is what differs from itself; it is stored as NULL.
            values = [None if (v := points[instant]) != v else v for instant in instants]
            late = 0
            if instants[0] <= known.newest:
                late = sum(at <= known.newest for at in instants)
                if self._take_late(known, instants[:late], values):
                    recount.append(known)
            if late < len(instants):
                known.carry_forward(instants[late:], values[late:])
            if len(instants) >= BATCH_ROWS and not late:
                chunks += _at_once(known.id, instants, values)
                continue
            rows += [(known.id, *at, value) for at, value in zip(instants, values, strict=True)]
            known.loose += len(instants)
            if known.loose >= LOOSE_MAX:
                self.grown[key] = known.id
        self.database.load(WRITE, rows)
        self.database.write(CHUNK, chunks)
        for known in recount:
            count_again(self.database, known.id, known)
        for key in waiting:
            if self._known[key].recent is None:
                self._known[key].recent = recent_of(self.database, self._known[key].id)
        self.database.load(SUM_UP, [_sums(self._known[key]) for key in waiting])
        mains = (key for key in waiting if key.rank == 0)
        self.database.load(CARRIED, [_final(key, self._known[key]) for key in mains])

    def _take_late(
        self, known: _Known, late: Sequence[Instant], values: Sequence[float | None]
    ) -> bool:
        """Add what is late to the sums; True: the least and the largest must be found again."""
        loosen(self.database, known.id, late)
        if known.oldest is None:
            known.oldest = oldest_of(self.database, known.id)
        found = self.database.find(AROUND, (known.id, late[0][0], late[-1][0]))
        there: dict[Instant, float | None] = {(at, step): value for at, step, value in found}
        recount = False
        for at, value in zip(late, values, strict=False):
            if at in there:
                recount |= known.replace(at, there[at], value)
            else:
                known.add_late(at, value)
        return recount

    def _learn(self, keys: Sequence[SeriesKey]) -> None:
        """Find the numbers and the sums of series that are not in memory; make what is new."""
        if not keys:
            return
        self.database.write(MAKE, [(*key, *_said_by(key.name)) for key in keys])
        again: list[tuple[int, int]] = []
        for worker, group in groupby(sorted(keys), itemgetter(0, 1, 2)):
            wanted = dict(zip(("job", "number", "rank"), worker, strict=True))
            names = (key.name for key in group)
            while part := list(islice(names, BATCH_ROWS)):
                for name, number, stage, *sums in self.database.rows(
                    LOOK_UP, {**wanted, "names": part}
                ):
                    self._known[SeriesKey(worker[0], worker[1], worker[2], name)] = _known(
                        number, *sums
                    )
                    if stage:
                        again.append((0, number))
        self.database.write(REOPEN, again)


def _at_once(
    series: int, instants: Sequence[Instant], values: Sequence[float | None]
) -> Iterator[tuple[object, ...]]:
    """Put a flood of samples of one series into chunks of much the same size."""
    size = -(-len(instants) // -(-len(instants) // CHUNK_ROWS))
    for place in range(0, len(instants), size):
        part = zip(instants[place : place + size], values[place : place + size], strict=True)
        yield chunk_row(series, columns_of((*at, value) for at, value in part))


def _said_by(name: str) -> tuple[str, str | None]:
    """Tell kind and unit of a series by its name."""
    last = name.rpartition("_")[2]
    return "system" if name.startswith(SYSTEM) else "user", last if last in UNITS else None


def _known(number: int, n: int | None, *sums: Any) -> _Known:  # noqa: ANN401 - a row
    if n is None:
        return _Known(id=number)
    first, last, least, most, step, at_ms, finite, total, _trend = sums
    newest = (at_ms, NO_STEP if step is None else step)
    return _Known(
        id=number, n=n, first=first, last=last, min=least, max=most, newest=newest,
        finite=finite, sum=total,
    )  # fmt: skip


def _final(key: SeriesKey, known: _Known) -> tuple[object, ...]:
    mean = known.sum / known.finite if known.finite and isfinite(known.sum) else None
    sums = (known.n, known.first, known.last, known.min, known.max, mean)
    return carried(key.job, key.name, key.number, *sums)


def _sums(known: _Known) -> tuple[object, ...]:
    at_ms, step = known.newest
    total = known.sum if known.sum == known.sum else inf
    return (
        known.id, known.n, known.first, known.last, known.min, known.max,
        None if step == NO_STEP else step, at_ms, known.finite, total, known.trend(),
    )  # fmt: skip
