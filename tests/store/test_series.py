"""Samples are kept, once each, with sums that are right; a long series is read short."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from makeway.errors import Unavailable
from makeway.model.record import Sample
from makeway.store import schema
from makeway.store.database import Database, Location
from makeway.store.series import Point, Series, SeriesKey, list_series, read_series
from makeway.store.series_writer import BATCH_ROWS, SeriesWriter
from tests.store.conftest import NewStore
from tests.store.look import look

LOSS = SeriesKey("r1.train", 1, 0, "loss")


def samples(*values: float, first_ms: int = 0, name: str = "loss") -> list[Sample]:
    """Make one sample a second, with steps from 0."""
    return [
        Sample(name=name, at_ms=first_ms + 1000 * step, value=value, step=step)
        for step, value in enumerate(values)
    ]


def keep(database: Database, given: list[Sample], *, key: SeriesKey = LOSS) -> None:
    """Write samples with a writer that knows nothing yet."""
    writer = SeriesWriter(database)
    writer.add(key.job, key.number, key.rank, given)
    writer.flush()


def stat(database: Database) -> Series:
    """Give the only series of the job."""
    [series] = list_series(database, LOSS.job)
    return series


# ── writing ───────────────────────────────────────────────────────────────────────────────────────


def test_what_was_added_is_read(database: Database) -> None:
    keep(database, samples(3.0, 1.0, 2.0))
    assert read_series(database, LOSS) == [
        Point(0, 0, 3.0),
        Point(1000, 1, 1.0),
        Point(2000, 2, 2.0),
    ]
    assert read_series(database, SeriesKey(*LOSS)) == read_series(database, stat(database).id)
    assert stat(database) == Series(
        id=1, job="r1.train", number=1, rank=0, name="loss", n=3, first=3.0, last=2.0,
        min=1.0, max=3.0, last_step=2, last_at_ms=2000, kind="user", unit=None, mean=2.0, trend=-0.5,
    )  # fmt: skip


def test_nothing_is_written_before_it_is_flushed(database: Database) -> None:
    writer = SeriesWriter(database)
    writer.flush()
    writer.add(*LOSS[:3], samples(1.0))
    assert list_series(database, LOSS.job) == []
    writer.flush()
    assert stat(database).n == 1
    writer.flush()
    assert stat(database).n == 1


def test_five_hundred_rows_are_written_at_once(database: Database) -> None:
    writer = SeriesWriter(database)
    writer.add(*LOSS[:3], samples(*[0.0] * (BATCH_ROWS - 1)))
    assert list_series(database, LOSS.job) == []
    writer.add(*LOSS[:3], samples(1.0, name="accuracy"))
    assert [series.n for series in list_series(database, LOSS.job)] == [1, BATCH_ROWS - 1]


def test_each_worker_and_each_attempt_has_its_own(database: Database) -> None:
    writer = SeriesWriter(database)
    for job, number, rank in [("a", 1, 0), ("a", 1, 1), ("a", 2, 0), ("b", 1, 0)]:
        writer.add(job, number, rank, samples(float(rank)))
    writer.flush()
    assert [(s.number, s.rank) for s in list_series(database, "a")] == [(1, 0), (1, 1), (2, 0)]
    assert len(list_series(database, "b")) == 1
    assert list_series(database, "c") == []


def test_a_sample_without_a_step(database: Database) -> None:
    keep(database, [Sample(name="loss", at_ms=5, value=1.0)])
    assert read_series(database, LOSS) == [Point(5, None, 1.0)]
    assert stat(database).last_step is None


@pytest.mark.parametrize("together", [True, False])
def test_the_same_sample_twice_is_one_with_the_later_value(
    database: Database, together: bool
) -> None:
    first, second = samples(1.0, 9.0, 5.0), samples(1.0, 4.0, 6.0)
    if together:
        keep(database, first + second)
    else:
        keep(database, first)
        keep(database, second)
    assert [point.value for point in read_series(database, LOSS)] == [1.0, 4.0, 6.0]
    series = stat(database)
    assert (series.n, series.min, series.max, series.last) == (3, 1.0, 6.0, 6.0)


def test_a_sample_that_comes_late(database: Database) -> None:
    writer = SeriesWriter(database)
    for at_ms, value in ((5, 5.0), (9, 9.0), (7, 70.0), (1, 1.0), (11, 11.0)):
        writer.add(*LOSS[:3], [Sample(name="loss", at_ms=at_ms, value=value)])
        writer.flush()
    series = stat(database)
    assert (series.n, series.first, series.last) == (5, 1.0, 11.0)
    assert (series.min, series.max, series.last_at_ms) == (1.0, 70.0, 11)


def test_values_that_are_no_numbers(database: Database) -> None:
    keep(database, samples(math.inf, 2.0, math.nan, -math.inf, 3.0, math.nan))
    values = [point.value for point in read_series(database, LOSS)]
    assert repr(values) == "[inf, 2.0, nan, -inf, 3.0, nan]"
    series = stat(database)
    assert (series.n, series.first, series.min, series.max) == (6, math.inf, 2.0, 3.0)
    assert math.isnan(series.last)


def test_a_series_of_nothing_but_nan(database: Database) -> None:
    keep(database, samples(math.nan, math.nan))
    series = stat(database)
    assert (series.n, series.min, series.max) == (2, None, None)
    assert math.isnan(series.first)


def test_whole_numbers_become_values(database: Database) -> None:
    keep(database, [Sample(name="loss", at_ms=1, value=10**30)])
    assert read_series(database, LOSS)[0].value == 1e30


def test_numbers_too_large_for_any_column_are_dropped_and_counted(database: Database) -> None:
    writer = SeriesWriter(database)
    for at_ms, step in ((2**63, 1), (1, 2**70), (-(2**63), None)):
        sample = Sample(name="loss", at_ms=at_ms, value=1.0, step=step)
        writer.add(*LOSS[:3], [sample, *samples(2.0)])
    writer.flush()
    assert writer.dropped == 3
    assert stat(database).n == 1


def test_a_worker_has_so_many_series_and_no_more(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("makeway.store.series_writer.SERIES_MAX", 4)
    for _ in range(2):  # a writer that knows nothing yet finds them in the store
        writer = SeriesWriter(database)
        for name in "abcdef":
            writer.add(*LOSS[:3], samples(1.0, 2.0, name=name))
        writer.add(LOSS.job, 1, 1, samples(1.0, name="of another worker"))
        writer.flush()
        assert writer.dropped == 4
    assert [one.name for one in list_series(database, LOSS.job) if one.rank == 0] == [*"abcd"]


def test_names_that_no_index_takes_are_dropped_and_counted(database: Database) -> None:
    writer = SeriesWriter(database)
    for name in ("x" * 10_000, "", "loss"):
        writer.add(*LOSS[:3], samples(1.0, name=name))
    writer.flush()
    assert (writer.dropped, stat(database).name) == (2, "loss")


def test_a_clock_that_jumps_costs_a_look_at_what_is_near(database: Database) -> None:
    writer = SeriesWriter(database)
    year_ms = 365 * 86_400_000
    expected = []
    for begin_ms in (10 * year_ms, year_ms, 20 * year_ms, 2 * year_ms):
        for n in range(30):
            writer.add(*LOSS[:3], [Sample(name="loss", at_ms=begin_ms + n, value=float(n), step=n)])
            writer.flush()
            expected.append((begin_ms + n, n))
    assert [(p.at_ms, p.step) for p in read_series(database, LOSS)] == sorted(expected)
    series = stat(database)
    assert (series.n, series.first, series.last_at_ms) == (120, 0.0, 20 * year_ms + 29)
    assert series.mean == pytest.approx(14.5)


def test_values_beyond_all_sums_have_no_mean_and_do_no_harm(database: Database) -> None:
    keep(database, samples(1.7e308, 1.7e308, 1.0))
    keep(database, samples(-1.7e308, -1.7e308, first_ms=9_000))
    assert (stat(database).mean, stat(database).n) == (None, 5)
    keep(database, samples(0.0, 0.0))  # they were a mistake: the same samples again
    assert (stat(database).max, stat(database).n) == (1.0, 5)


def test_the_trend_is_the_slope_of_the_last_samples(database: Database) -> None:
    keep(database, samples(*[5.0] * 100, *(2.0 * n for n in range(20))))
    assert stat(database).trend == pytest.approx(2.0)
    keep(database, samples(*(40.0 - n for n in range(20)), first_ms=10_000_000))
    assert stat(database).trend == pytest.approx(-1.0)


@pytest.mark.parametrize("values", [(1.0,), (1.0, 2.0), (math.nan,) * 9, (1e308, -1e308) * 9])
def test_where_there_is_no_trend_none_is_told(
    database: Database, values: tuple[float, ...]
) -> None:
    keep(database, samples(*values))
    assert stat(database).trend is None


@pytest.mark.parametrize(
    "name, kind, unit",
    [
        ("system/memory_usage_bytes", "system", "bytes"),
        ("system/cpu_percent", "system", "percent"),
        ("loss", "user", None),
        ("epoch_seconds", "user", "seconds"),
    ],
)
def test_a_name_tells_kind_and_unit(
    database: Database, name: str, kind: str, unit: str | None
) -> None:
    keep(database, samples(1.0, name=name))
    assert (stat(database).kind, stat(database).unit) == (kind, unit)


moments = st.integers(0, 12)
readings = st.sampled_from([math.nan, math.inf, -math.inf, -2.5, 0.0, 0.1, 1.0, 1e300])
batches = st.lists(
    st.lists(st.tuples(moments, st.none() | st.integers(0, 2), readings)), max_size=6
)


@given(given=batches, forget=st.booleans())
def test_the_sums_are_those_of_the_rows(
    given: list[list[tuple[int, int | None, float]]], forget: bool, memory: Database
) -> None:
    with memory.transaction():
        for table in (schema.sample, schema.sample_chunk, schema.series_stat, schema.series):
            memory.write(sa.delete(table), [()])
    writer = SeriesWriter(memory)
    expected: dict[tuple[int, int], float] = {}
    for batch in given:
        if forget:
            writer = SeriesWriter(memory)
        for at_ms, step, value in batch:
            writer.add(*LOSS[:3], [Sample(name="loss", at_ms=at_ms, value=value, step=step)])
            expected[at_ms, -1 if step is None else step] = value + 0.0  # SQLite knows no -0.0
        writer.flush()
    if not expected:
        assert list_series(memory, LOSS.job) == []
        return
    series = stat(memory)
    order = sorted(expected)
    finite = [value for value in expected.values() if math.isfinite(value)]
    assert series.n == len(expected)
    assert repr((series.first, series.last)) == repr((expected[order[0]], expected[order[-1]]))
    assert (series.min, series.max) == (min(finite, default=None), max(finite, default=None))
    assert (series.last_at_ms, series.last_step) == (
        order[-1][0],
        None if order[-1][1] == -1 else order[-1][1],
    )
    assert repr([p.value for p in read_series(memory, LOSS)]) == repr([expected[i] for i in order])


@pytest.fixture(scope="module")
def memory(new_store: NewStore) -> Iterator[Database]:
    """Give a store for many examples; each empties it first."""
    with new_store() as location, Database.open(location) as database:
        yield database


# ── when the store fails ──────────────────────────────────────────────────────────────────────────


def test_what_could_not_be_written_waits(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("makeway.store.kind.BUSY_MS", 20)
    with Database.open(location) as database, Database.open(location) as other:
        writer = SeriesWriter(database)
        writer.add(*LOSS[:3], samples(1.0))
        writer.flush()
        with other.transaction():
            writer.add(*LOSS[:3], samples(2.0, first_ms=1_000_000))
            for _ in range(2):
                with pytest.raises(Unavailable):
                    writer.flush()
        writer.flush()
        series = stat(database)
        assert (series.n, series.last, writer.dropped) == (2, 2.0, 0)


def test_a_batch_that_cannot_be_written_does_not_stop_whoever_adds(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("makeway.store.kind.BUSY_MS", 20)
    with Database.open(location) as database, Database.open(location) as other:
        writer = SeriesWriter(database)
        with other.transaction():
            for part in range(3):
                given = samples(*[1.0] * BATCH_ROWS, first_ms=part * 1_000_000)
                writer.add(*LOSS[:3], given)
        assert list_series(database, LOSS.job) == []
        writer.flush()
        assert (stat(database).n, writer.dropped) == (3 * BATCH_ROWS, 0)


def test_what_waits_too_long_is_dropped_and_counted(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("makeway.store.kind.BUSY_MS", 1)
    monkeypatch.setattr("makeway.store.series_writer.WAITING_ROWS_MAX", 3)
    with Database.open(location) as database, Database.open(location) as other:
        writer = SeriesWriter(database)
        with other.transaction():
            writer.add(*LOSS[:3], samples(1.0, 2.0, 3.0))
            with pytest.raises(Unavailable):
                writer.flush()
        writer.add(*LOSS[:3], samples(4.0, first_ms=9_000))
        writer.flush()
        assert (writer.dropped, stat(database).n) == (3, 1)


def test_series_that_were_forgotten_are_looked_up_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("makeway.store.series_writer.KNOWN_MAX", 2)
    writer = SeriesWriter(database)
    for round_ in range(4):
        for name in "abcd":
            writer.add(*LOSS[:3], samples(1.0, first_ms=round_ * 1000, name=name))
        writer.flush()
    assert [series.n for series in list_series(database, LOSS.job)] == [4] * 4


# ── cost ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_sample_takes_few_bytes(folder: Path) -> None:
    with Database.open(folder) as database:
        fill(database)
        [(pages,)] = look(database, "PRAGMA page_count")
    assert pages * 4096 / 120_000 < 50


def fill(database: Database) -> None:
    wide = [samples(*[0.5], first_ms=10_000, name=f"metric/{n}")[0] for n in range(25)]
    writer = SeriesWriter(database)
    for round_ in range(8):
        later = [msgspec.structs.replace(s, at_ms=s.at_ms + 10_000 * round_) for s in wide]
        for rank in range(100):
            writer.add("r1.wide", 1, rank, later)
    writer.flush()
    deep = [samples(*map(float, range(100)), first_ms=100_000 * n) for n in range(1_000)]
    for one in deep:
        writer.add(*LOSS[:3], one)
    writer.flush()
