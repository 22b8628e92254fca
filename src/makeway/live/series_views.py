"""Show what workers have measured, a page at a time, each series as short as is asked for."""

from __future__ import annotations

import math

from makeway.errors import InvalidInput
from makeway.store.database import Database
from makeway.store.resolve import resolve_job
from makeway.store.series import WHOLE_MAX, Series, list_series, read_series
from makeway.store.thin import POINTS_MIN
from makeway.wire.page import PAGE_MAX, Page
from makeway.wire.series import POINTS_MAX, PointView, SeriesView, SeriesWanted


def series_of(database: Database, wanted: SeriesWanted) -> Page[SeriesView]:
    """Give the series of a job, by attempt, rank and name."""
    _check(wanted)
    job = resolve_job(database, wanted.job)
    with database.reading():
        there = [one for one in list_series(database, job) if _is_wanted(one, wanted)]
        begin = _begin(there, wanted.cursor)
        page = there[begin : begin + wanted.limit]
        items = tuple(_view(database, one, wanted) for one in page)
    more = begin + wanted.limit < len(there)
    return Page(items=items, next_cursor=str(page[-1].id) if more else None)


def _check(wanted: SeriesWanted) -> None:
    if not 1 <= wanted.limit <= PAGE_MAX:
        raise InvalidInput(f"{wanted.limit} is not between 1 and {PAGE_MAX}", where="limit")
    if wanted.max_points and not POINTS_MIN <= wanted.max_points <= POINTS_MAX:
        problem = f"{wanted.max_points} is neither 0 nor between {POINTS_MIN} and {POINTS_MAX}"
        raise InvalidInput(problem, where="max_points", hint="0 gives the sums alone")
    for name, instant in (("from", wanted.from_s), ("to", wanted.to_s)):
        if instant is not None and not abs(instant) < WHOLE_MAX / 1000:
            raise InvalidInput(f"{instant} is no instant (s since 1970)", where=name)


def _is_wanted(series: Series, wanted: SeriesWanted) -> bool:
    return (
        wanted.name in (None, series.name)
        and wanted.attempt in (None, series.number)
        and wanted.rank in (None, series.rank)
    )


def _begin(there: list[Series], cursor: str | None) -> int:
    if cursor is None:
        return 0
    for place, series in enumerate(there, 1):
        if str(series.id) == cursor:
            return place
    problem = "it names no series that is in this list"
    raise InvalidInput(problem, where="cursor", hint="begin again without it")


def _view(database: Database, series: Series, wanted: SeriesWanted) -> SeriesView:
    return SeriesView(
        job=series.job, attempt=series.number, rank=series.rank, name=series.name,
        kind=series.kind, unit=series.unit, n=series.n, first=_plain(series.first),
        last=_plain(series.last), min=series.min, max=series.max, mean=_plain(series.mean),
        trend=series.trend, last_step=series.last_step, last_at_s=series.last_at_ms / 1000,
        points=_points(database, series, wanted) if wanted.max_points else (),
    )  # fmt: skip


def _points(database: Database, series: Series, wanted: SeriesWanted) -> tuple[PointView, ...]:
    from_ms = -WHOLE_MAX + 1 if wanted.from_s is None else math.ceil(1000 * wanted.from_s)
    to_ms = WHOLE_MAX - 1 if wanted.to_s is None else math.floor(1000 * wanted.to_s)
    points = read_series(database, series.id, from_ms, to_ms, wanted.max_points)
    return tuple((one.at_ms / 1000, one.step, _plain(one.value)) for one in points)


def _plain(value: float | None) -> float | None:
    """Give what JSON has a number for."""
    return value if value is not None and math.isfinite(value) else None
