"""Columns are packed into few bytes and come out bit by bit as they were; thinned out, they keep their shape."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeway.store.columns import NO_SAMPLES, Columns, joined, pack, unpack
from makeway.store.thin import thin_out

whole = st.integers(-(2**63) + 1, 2**63 - 1)
samples = st.lists(st.tuples(whole, whole, st.floats(width=64)), max_size=50)


def columns(rows: list[tuple[int, int, float]]) -> Columns:
    return Columns(*map(list, zip(*rows, strict=True))) if rows else NO_SAMPLES


def bits(values: Iterable[float]) -> list[bytes]:
    return [struct.pack("<d", value) for value in values]


@given(samples)
def test_what_was_packed_comes_out_bit_by_bit(rows: list[tuple[int, int, float]]) -> None:
    given_columns = columns(rows)
    found = unpack(pack(given_columns))
    assert [*found.at_ms] == [*given_columns.at_ms]
    assert [*found.step] == [*given_columns.step]
    assert bits(found.value) == bits(given_columns.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7e308])
def test_values_at_the_edge_of_all_numbers_survive(value: float) -> None:
    assert bits(unpack(pack(columns([(1, -1, value)]))).value) == bits([value])


def test_a_thousand_samples_of_a_curve_take_less_than_ten_bytes_each() -> None:
    noise = random.Random(1)
    rows = [(1000 * n + noise.randint(-2, 2), n, noise.gauss(1, 0.1)) for n in range(1000)]
    assert len(pack(columns(rows))) < 10_000
    even = [(1000 * n, -1, 36_216_832.0) for n in range(1000)]
    assert len(pack(columns(even))) < 500


@pytest.mark.parametrize("data", [b"", b"\x02abc", b"\x01abc", pack(NO_SAMPLES)[:-3]])
def test_what_is_no_chunk_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="a chunk"):
        unpack(data)


def test_stretches_are_joined_in_order_of_time_and_step() -> None:
    parts = [columns([(5, 1, 5.1), (9, 0, 9.0)]), NO_SAMPLES, columns([(1, 0, 1.0), (5, 0, 5.0)])]
    found = joined(parts)
    assert [*zip(found.at_ms, found.step, strict=True)] == [(1, 0), (5, 0), (5, 1), (9, 0)]
    assert [*found.value] == [1.0, 5.0, 5.1, 9.0]
    mixed = joined([columns([(1, 0, 1.0), (7, 0, 7.0)]), columns([(3, 0, 3.0)])])
    assert [*mixed.value] == [1.0, 3.0, 7.0]
    assert joined([]) == NO_SAMPLES


@given(
    st.lists(st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0, 2.0]), min_size=1),
    st.integers(4, 40),
)
def test_few_points_keep_the_ends_and_the_extremes(values: list[float], most: int) -> None:
    given_columns = Columns(list(range(len(values))), [-1] * len(values), values)
    found = thin_out(given_columns, most)
    assert len(found.at_ms) <= most
    assert [*found.at_ms] == sorted(set(found.at_ms))
    assert (found.at_ms[0], found.at_ms[-1]) == (0, len(values) - 1)
    known = [value for value in values if not math.isnan(value)]
    if known:
        assert {min(known), max(known)} <= set(found.value)
