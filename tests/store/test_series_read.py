"""A series is read from one instant to another, and a long one short, with its peaks."""

from __future__ import annotations

import math

import msgspec
import pytest

from makeway.errors import InvalidInput, NotFound
from makeway.model.record import Sample
from makeway.store.database import Database
from makeway.store.series import Point, read_series
from tests.store.test_series import LOSS, keep, samples


def test_a_range_includes_both_its_ends(database: Database) -> None:
    keep(database, samples(*map(float, range(10))))
    assert [p.step for p in read_series(database, LOSS, 3000, 5000)] == [3, 4, 5]
    assert read_series(database, LOSS, 3001, 3999) == []
    assert read_series(database, LOSS, 5000, 3000) == []


def test_a_series_that_is_not_there(database: Database) -> None:
    for series in (LOSS, 7):
        with pytest.raises(NotFound, match="no such series"):
            read_series(database, series)
    with pytest.raises(InvalidInput, match="4 or more"):
        read_series(database, LOSS, max_points=3)


@pytest.mark.parametrize("most", [4, 5, 10, 99, 100, 999, 1000, 1001])
def test_a_long_series_is_read_short_and_keeps_its_peaks(database: Database, most: int) -> None:
    values = [math.sin(n / 50) for n in range(1000)]
    values[617], values[333] = 40.0, -40.0
    keep(database, samples(*values))
    points = read_series(database, LOSS, max_points=most)
    assert len(points) <= most
    if most >= 1000:
        assert [point.value for point in points] == values
    assert (points[0].step, points[-1].step) == (0, 999)
    assert {point.step for point in points} >= {333, 617}
    assert points == sorted(points, key=lambda point: point.at_ms)
    assert len({point.at_ms for point in points}) == len(points)


def test_samples_of_one_instant_are_thinned_out_too(database: Database) -> None:
    given = [Sample(name="loss", at_ms=7, value=float(n), step=n) for n in range(100)]
    keep(database, given)
    points = read_series(database, LOSS, max_points=10)
    assert 4 <= len(points) <= 10
    assert (points[0].step, points[-1].step) == (0, 99)


def test_a_stretch_of_nan_stays_a_gap(database: Database) -> None:
    keep(database, samples(*[1.0] * 100, *[math.nan] * 100, math.inf, *[2.0] * 99))
    points = read_series(database, LOSS, max_points=22)
    values = [point.value for point in points]
    assert any(math.isnan(value) for value in values)
    assert math.inf in values
    assert len(points) <= 22


def test_points_and_series_go_over_the_wire() -> None:
    assert msgspec.json.encode(Point(1, None, 2.0)) == b'{"at_ms":1,"step":null,"value":2.0}'
