"""What has ended is put into chunks and reads as before; what is old is thinned out; late ones count."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from makeway.errors import Unavailable
from makeway.model.record import Sample
from makeway.store import schema
from makeway.store.chunks import CHUNK_ROWS
from makeway.store.database import Database, Location
from makeway.store.idempotency import look_up, remember
from makeway.store.keep import DAY_MS, Keep
from makeway.store.log import Log
from makeway.store.packer import LOOK_EVERY_MS, SETTLE_MS, Packer
from makeway.store.series import Point, Series, SeriesKey, list_series, read_series
from makeway.store.series_writer import LOOSE_MAX, SeriesWriter
from tests.store.conftest import NewStore
from tests.store.look import look
from tests.store.world import World, bad_exit

JOB = "j0001"
LOSS = SeriesKey(JOB, 1, 0, "loss")
ALL = 10**9
FEW = 400  # more of one series at once would go into chunks as they come
FOREVER = Keep(samples_ms=0, keys_ms=0)


class Stage:
    """A store with one job, a writer, and a packer whose clock the test turns."""

    def __init__(self, database: Database, keep: Keep = FOREVER) -> None:
        self.database = database
        self.writer = SeriesWriter(database)
        self.packer = Packer(database, self.writer, keep)
        self.world = World()
        self.world.submit_job()
        Log(database).append(self.world.entries)
        self.now_ms = self.world.entries[-1].at_ms

    def end(self) -> None:
        """Let the attempt end, long enough ago."""
        known = len(self.world.entries)
        self.world.end(JOB, bad_exit(0, "ValueError"))
        Log(self.database).append(self.world.entries[known:])
        self.now_ms = self.world.entries[-1].at_ms + SETTLE_MS

    def record(self, *values: float, first_ms: int = 0, name: str = "loss") -> None:
        given = [
            Sample(name=name, at_ms=first_ms + 1000 * n, value=value, step=n)
            for n, value in enumerate(values)
        ]
        for place in range(0, len(given), FEW):
            self.writer.add(*LOSS[:3], given[place : place + FEW])
            self.writer.flush()

    def work(self) -> int:
        """Work until nothing is left, and say how many calls that took."""
        calls = 0
        while self.packer.work(self.now_ms):
            calls += 1
            assert calls < 1000
        return calls

    def rows(self) -> int:
        [(count,)] = look(self.database, "SELECT count(*) FROM sample")
        return int(count)

    def chunks(self) -> int:
        [(count,)] = look(self.database, "SELECT count(*) FROM sample_chunk")
        return int(count)

    def all(self) -> list[Point]:
        return read_series(self.database, LOSS, max_points=ALL)

    def stat(self) -> Series:
        return next(one for one in list_series(self.database, JOB) if one.name == "loss")


@pytest.fixture
def stage(database: Database) -> Stage:
    return Stage(database)


def curve(count: int) -> list[float]:
    noise = random.Random(count)
    return [math.exp(-n / 500) + noise.gauss(0, 0.05) for n in range(count)]


def test_samples_of_an_ended_attempt_are_put_into_chunks_and_none_is_lost(stage: Stage) -> None:
    stage.record(*curve(2_500), math.nan, math.inf, -math.inf)
    stage.record(1.0, name="accuracy")
    before, stat = stage.all(), stage.stat()
    stage.end()
    stage.work()
    assert (stage.rows(), stage.chunks()) == (0, 4)
    assert repr(stage.all()) == repr(before)
    assert repr(stage.stat()) == repr(stat)


def test_what_still_runs_or_has_just_ended_is_left_alone(stage: Stage) -> None:
    stage.record(1.0, 2.0)
    stage.work()
    stage.end()
    stage.now_ms -= 1
    stage.work()
    assert (stage.rows(), stage.chunks()) == (2, 0)
    stage.now_ms += LOOK_EVERY_MS
    stage.work()
    assert (stage.rows(), stage.chunks()) == (0, 1)


def test_each_call_is_one_small_transaction(stage: Stage) -> None:
    stage.record(*[0.5] * 10_000)
    stage.end()
    assert stage.packer.work(stage.now_ms)
    before = stage.rows()
    while stage.packer.work(stage.now_ms):
        assert before - stage.rows() <= 2 * CHUNK_ROWS
        before = stage.rows()
    assert before == 0


def test_a_series_that_grows_long_is_put_into_chunks_while_it_grows(stage: Stage) -> None:
    values = curve(3 * LOOSE_MAX)
    for begin in range(0, len(values), 250):
        stage.record(*values[begin : begin + 250], first_ms=begin * 1000)
        stage.packer.work(stage.now_ms)
    assert CHUNK_ROWS <= stage.rows() < 2 * LOOSE_MAX
    assert stage.chunks() >= LOOSE_MAX // CHUNK_ROWS
    assert [point.value for point in stage.all()] == values
    assert (stage.stat().n, stage.stat().last) == (len(values), values[-1])


def test_a_flood_goes_into_chunks_without_having_been_rows(stage: Stage) -> None:
    values = curve(2_345)
    given = [Sample(name="loss", at_ms=n // 9, value=v, step=n) for n, v in enumerate(values)]
    stage.writer.add(*LOSS[:3], given)
    stage.writer.flush()
    assert (stage.rows(), stage.chunks()) == (0, 3)
    assert [point.value for point in stage.all()] == values
    stage.writer.add(*LOSS[:3], given)  # each of them again
    stage.writer.flush()
    assert [point.value for point in stage.all()] == values
    assert (stage.stat().n, stage.stat().last_step) == (2_345, 2_344)


@pytest.mark.parametrize("known", [True, False])
def test_a_late_sample_finds_its_place_in_what_was_packed(stage: Stage, known: bool) -> None:
    stage.record(*curve(2_200))
    stage.end()
    stage.work()
    if not known:
        stage.writer = SeriesWriter(stage.database)
        stage.packer = Packer(stage.database, stage.writer, FOREVER)
    late = [Sample(name="loss", at_ms=at, value=9.0, step=7) for at in (7_000, 7_001, 9_000_000)]
    stage.writer.add(*LOSS[:3], late)
    stage.writer.flush()
    assert CHUNK_ROWS < stage.rows() <= CHUNK_ROWS + 2  # only that one chunk was opened
    for _ in range(2):
        points = stage.all()
        assert [p.at_ms for p in points if p.value == 9.0] == [7_000, 7_001, 9_000_000]
        assert points == sorted(points, key=lambda point: point.at_ms)
        assert (len(points), stage.stat().n) == (2_202, 2_202)
        assert (stage.stat().max, stage.stat().last, stage.stat().last_at_ms) == (9, 9, 9_000_000)
        stage.now_ms += LOOK_EVERY_MS
        stage.work()
        assert stage.rows() == 0


def test_a_window_is_read_out_of_chunks_to_the_sample(stage: Stage) -> None:
    stage.record(*map(float, range(3_000)))
    stage.end()
    stage.work()
    read = read_series(stage.database, LOSS, 998_000, 1_002_000)
    assert [point.step for point in read] == [998, 999, 1000, 1001, 1002]
    assert read_series(stage.database, LOSS, 998_001, 998_999) == []
    for begin, end in ((500, 2_500), (10, 120), (950, 1_060), (2_900, 2_999)):
        read = read_series(stage.database, LOSS, begin * 1000, end * 1000, max_points=50)
        assert 33 <= len(read) <= 50
        assert (read[0].step, read[-1].step) == (begin, end)


@pytest.mark.parametrize("most", [4, 10, 50, 400])
def test_millions_are_read_short_without_opening_them(stage: Stage, most: int) -> None:
    values = curve(20_000)
    values[6_170], values[13_330] = 40.0, -40.0
    stage.record(*values)
    stage.end()
    stage.work()
    points = read_series(stage.database, LOSS, max_points=most)
    assert len(points) <= most
    assert (points[0].step, points[-1].step) == (0, 19_999)
    assert {40.0, -40.0} <= {point.value for point in points}
    assert {point.step: point.value for point in points}[6_170] == 40.0
    assert points == sorted(points, key=lambda point: point.at_ms)


def test_after_its_time_a_series_keeps_what_a_chart_shows(database: Database) -> None:
    stage = Stage(database, Keep(samples_ms=30 * DAY_MS, points=200, keys_ms=0))
    values = curve(5_000)
    values[1_234] = 40.0
    stage.record(*values)
    stage.record(1.0, 2.0, name="short")
    stage.end()
    stage.work()
    stat = stage.stat()
    assert len(stage.all()) == 5_000
    stage.now_ms += 30 * DAY_MS
    stage.work()
    points = stage.all()
    assert 150 < len(points) <= 200
    assert stage.chunks() == 2
    assert (points[0].step, points[-1].step) == (0, 4_999)
    assert 40.0 in {point.value for point in points}
    assert stage.stat() == stat
    stage.record(50.0, first_ms=1_500)  # even then one may come late
    stage.now_ms += DAY_MS
    stage.work()
    assert (stage.stat().n, stage.stat().max, stage.rows()) == (5_001, 50.0, 0)
    assert len(stage.all()) <= 201


def test_without_a_time_samples_stay_for_ever(stage: Stage) -> None:
    stage.record(*curve(3_000))
    stage.end()
    stage.work()
    stage.now_ms += 10_000 * DAY_MS
    stage.work()
    assert len(stage.all()) == 3_000


def test_old_keys_of_requests_are_forgotten(database: Database) -> None:
    stage = Stage(database, Keep(samples_ms=0, keys_ms=DAY_MS))
    known = len(stage.world.entries)
    stage.world.submit_job()
    request = ("ada", "k", "0" * 64)
    Log(database).append(
        stage.world.entries[known:], also=[remember(request, "j0002", stage.now_ms)]
    )
    stage.work()
    assert look_up(database, *request) == "j0002"
    stage.now_ms += 2 * DAY_MS
    stage.work()
    assert look_up(database, *request) is None


def test_a_call_that_fails_has_done_nothing_and_the_next_one_goes_on(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("makeway.store.kind.BUSY_MS", 20)
    with Database.open(location) as database, Database.open(location) as other:
        stage = Stage(database)
        stage.record(*curve(2_500))
        before = stage.all()
        stage.end()
        stage.packer.work(stage.now_ms)
        with other.transaction(), pytest.raises(Unavailable):
            stage.packer.work(stage.now_ms)
        assert stage.chunks() == 0
        stage.work()
        assert (stage.rows(), stage.all()) == (0, before)


# ── anything, in any order ────────────────────────────────────────────────────────────────────────

readings = st.sampled_from([math.nan, math.inf, -math.inf, -2.5, 0.0, 0.1, 1.0, 1e300])
acts = st.lists(
    st.lists(st.tuples(st.integers(0, 12), st.none() | st.integers(0, 2), readings), max_size=5)
    | st.just("pack"),
    max_size=8,
)


@pytest.fixture(scope="module")
def packing(new_store: NewStore) -> Iterator[Stage]:
    """Give a store whose only attempt has ended, for many examples."""
    with new_store() as location, Database.open(location) as database:
        stage = Stage(database)
        stage.end()
        yield stage


@given(given=acts, forget=st.booleans())
def test_packed_or_not_a_series_is_what_was_recorded(
    given: list[list[tuple[int, int | None, float]] | str], forget: bool, packing: Stage
) -> None:
    database = packing.database
    with database.transaction():
        for table in (schema.sample, schema.sample_chunk, schema.series_stat, schema.series):
            database.write(sa.delete(table), [()])
    packing.writer = SeriesWriter(database)
    expected: dict[tuple[int, int], float] = {}
    for act in given:
        if isinstance(act, str) or forget:
            packing.packer = Packer(database, packing.writer, FOREVER)
            packing.work()
        if isinstance(act, str):
            continue
        for at_ms, step, value in act:
            sample = Sample(name="loss", at_ms=at_ms, value=value, step=step)
            packing.writer.add(*LOSS[:3], [sample])
            expected[at_ms, -1 if step is None else step] = value
        packing.writer.flush()
    if not expected:
        assert list_series(database, JOB) == []
        return
    order = sorted(expected)
    assert repr([point.value for point in packing.all()]) == repr([expected[at] for at in order])
    stat = packing.stat()
    finite = [value for value in expected.values() if math.isfinite(value)]
    assert stat.n == len(expected)
    assert repr((stat.first, stat.last)) == repr((expected[order[0]], expected[order[-1]]))
    assert (stat.min, stat.max) == (min(finite, default=None), max(finite, default=None))
    if finite and max(map(abs, finite)) < 1e300:
        assert stat.mean == pytest.approx(sum(finite) / len(finite))
