"""Read and write amounts as people do."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeway.model.units import (
    AMOUNT_MAX,
    SIZE_UNITS,
    BadAmount,
    bytes_of,
    milli_of,
    ms_of,
    request,
    size_text,
    time_text,
)


@pytest.mark.parametrize(
    "text, size",
    [
        ("0", 0), ("512", 512), (512, 512), (512.0, 512), (1e13, 10**13), ("1B", 1),
        ("200MB", 200 * 10**6), ("200mb", 200 * 10**6), (" 4 GB ", 4 * 10**9),
        ("512MiB", 512 * 2**20), ("1.5KiB", 1536), ("0.1GB", 10**8), ("64TiB", 2**46),
        ("70368744177663", 70368744177663),
    ],
)  # fmt: skip
def test_a_size_is_read(text: str | float, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize(
    "text, ms",
    [
        ("0", 0), (1.5, 1500), ("10", 10_000), ("10s", 10_000), ("250ms", 250), ("5m", 300_000),
        ("2h", 7_200_000), ("1.5 H", 5_400_000), ("7d", 604_800_000), ("0.0004s", 0),
    ],
)  # fmt: skip
def test_a_time_is_read(text: str | float, ms: int) -> None:
    assert ms_of(text) == ms


BAD: list[Any] = [
    "", " ", "MB", "-5", "-5MB", "+5MB", "1e9", "1,5GB", "1.GB", ".5GB", "5 G B", "5XB", "5M5", "٣MB",
    "nan", "inf", "0x10", "1_000", "5MB\x00", "9" * 31, None, True, [1], b"5MB", 1j,
    -1, -0.5, float("nan"), float("inf"), float("-inf"),
]  # fmt: skip


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_what_is_no_amount_is_refused_with_an_example(text: Any) -> None:
    with pytest.raises(BadAmount, match="is not a size such as 512MiB or 4GB") as caught:
        bytes_of(text, where="memory")
    assert caught.value.where == "memory"
    with pytest.raises(BadAmount, match="is not a time such as 10s, 5m or 2h"):
        ms_of(text)


@pytest.mark.parametrize(
    "text", ["65TiB", "9" * 30 + "TB", 2**46 + 1, 1e300, 10**5000], ids=range(5)
)
def test_an_amount_beyond_all_machines_is_refused(text: str | float) -> None:
    with pytest.raises(BadAmount, match="more than there can be"):
        bytes_of(text)
    with pytest.raises(BadAmount):
        milli_of(text, "cpus")  # type: ignore[arg-type]  # one of them is text


@pytest.mark.parametrize(
    "number, milli", [(0, 0), (0.0, 0), (-0.0, 0), (1, 1000), (0.5, 500), (0.001, 1), (1 / 3, 333)]
)
def test_processors_are_counted_in_thousandths(number: float, milli: int) -> None:
    assert milli_of(number, "cpus") == milli


@pytest.mark.parametrize(
    "number",
    [-1, -0.001, 0.0009, 1e-300, float("nan"), float("inf"), 1e300, 10**400, True, "1", None, [1], 1j],
)  # fmt: skip
def test_a_number_of_processors_that_cannot_be_is_refused(number: Any) -> None:
    with pytest.raises(BadAmount):
        milli_of(number, "cpus")


def test_a_request_names_what_is_wrong_with_it() -> None:
    assert request(0.5, "1GB", 0, "here").amounts == {"cpu_milli": 500, "memory_bytes": 10**9}
    with pytest.raises(BadAmount) as caught:
        request(1, "much", 0, "flow.py:3")
    assert caught.value.where.startswith("flow.py:3")
    assert "memory" in str(caught.value)


@given(st.integers(0, 10**9), st.sampled_from(sorted(SIZE_UNITS)))
def test_a_whole_number_of_units_is_exact(number: int, unit: str) -> None:
    wanted = number * SIZE_UNITS[unit]
    if wanted <= AMOUNT_MAX:
        assert bytes_of(f"{number}{unit}") == wanted


@given(st.integers(0, AMOUNT_MAX))
def test_what_is_written_can_be_read_and_is_nearly_the_same(size: int) -> None:
    assert abs(bytes_of(size_text(size)) - size) <= 0.05 * size


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadAmount):
        assert 0 <= ms_of(text) <= AMOUNT_MAX


@pytest.mark.parametrize(
    "size, text",
    [
        (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (2**20, "1 MiB"),
        (2**30 * 10, "10 GiB"), (2**40 * 3 // 2, "1.5 TiB"),
    ],
)  # fmt: skip
def test_sizes_are_written_in_the_unit_that_fits(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    "ms, text",
    [
        (0, "0.0 s"), (1_449, "1.4 s"), (59_949, "59.9 s"), (59_950, "1 min 00 s"), (60_000, "1 min 00 s"),
        (3_599_499, "59 min 59 s"), (3_599_600, "1 h 00 min"), (86_400_000, "24 h 00 min"),
    ],
)  # fmt: skip
def test_times_are_written_in_the_units_that_fit(ms: int, text: str) -> None:
    assert time_text(ms) == text
