"""Whatever the number of workers, each sample is taken once and counts the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeway.errors import InvalidInput
from makeway.training.batch import Part, Split

splits = st.builds(
    lambda workers, more, part: Split(batch=workers + more, workers=workers, part_max=part),
    st.integers(1, 9), st.integers(0, 40), st.integers(1, 16),
)  # fmt: skip


def step(split: Split, cursor: int, samples: int) -> list[list[Part]]:
    return [list(split.parts(rank, cursor, samples)) for rank in range(split.workers)]


def test_ten_samples_among_four_workers_are_three_three_two_two() -> None:
    split = Split(batch=10, workers=4, part_max=100)
    assert [(one.begin, one.end) for [one] in step(split, 0, 100)] == [
        (0, 3), (3, 6), (6, 8), (8, 10),
    ]  # fmt: skip


def test_what_is_too_much_at_once_is_done_in_parts_and_averaged_after_the_last() -> None:
    parts = list(Split(batch=10, workers=1, part_max=4).parts(0, 20, 100))
    assert [(one.begin, one.end, one.last) for one in parts] == [
        (20, 24, False), (24, 27, False), (27, 30, True),
    ]  # fmt: skip


def test_who_has_no_sample_left_computes_one_that_weighs_nothing() -> None:
    ranks = step(Split(batch=8, workers=4, part_max=8), 96, 98)
    assert [[one.weight for one in parts] for parts in ranks] == [[2.0], [2.0], [0.0], [0.0]]
    assert ranks[3] == [Part(96, 97, 0.0, last=True)]
    assert ranks[3][0].counted == 0


def test_fewer_samples_than_workers_are_refused() -> None:
    with pytest.raises(InvalidInput, match="batch of 3 cannot be divided among 4") as caught:
        Split(batch=3, workers=4, part_max=1)
    assert "at most 3 workers" in caught.value.hint


@given(splits, st.integers(1, 200), st.lists(st.integers(1, 9), max_size=5))
def test_each_sample_of_an_epoch_is_taken_once_however_the_workers_change(
    split: Split, samples: int, changes: list[int]
) -> None:
    taken: list[int] = []
    cursor = 0
    while cursor < samples:
        for parts in step(split, cursor, samples):
            taken += [at for one in parts if one.weight for at in range(one.begin, one.end)]
            assert [one.last for one in parts] == [False] * (len(parts) - 1) + [True]
            assert all(one.end - one.begin <= split.part_max for one in parts)
        cursor += min(split.batch, samples - cursor)
        if changes:
            workers = min(changes.pop(), split.batch)
            split = Split(batch=split.batch, workers=workers, part_max=split.part_max)
    assert sorted(taken) == list(range(samples))


@given(splits, st.integers(1, 200))
def test_the_mean_over_the_workers_is_the_mean_over_the_samples(split: Split, samples: int) -> None:
    loss = [float(at * at % 7) for at in range(samples)]
    sums = [
        sum(one.weight * sum(loss[one.begin : one.end]) for one in parts)
        for parts in step(split, 0, samples)
    ]
    count = min(split.batch, samples)
    assert sum(sums) / split.workers == pytest.approx(sum(loss[:count]) / count)
