"""Work goes at the pace of its workers, and an end that comes early leaves the last checkpoint."""

from __future__ import annotations

import pytest

from makeway.sim.course import Course


def test_fewer_workers_take_longer() -> None:
    course = Course(60_000, 4)
    assert course.launched(0, 4) == 60_000
    assert Course(60_000, 4).launched(0, 1) == 240_000
    assert Course(None, 4).launched(0, 4) is None


def test_what_is_left_goes_on_at_the_new_pace() -> None:
    course = Course(60_000, 4)
    course.launched(0, 4)
    assert course.resized(30_000, 1) == 120_000
    assert course.resized(90_000, 3) == 20_000
    assert course.resized(110_000, 4) == 0


def test_no_work_is_lost_or_made_up_however_often_it_changes() -> None:
    course = Course(700_000, 7)
    course.launched(0, 7)
    left, now_ms = 0, 0
    for place in range(1, 301):
        now_ms = place * 1_000
        left = course.resized(now_ms, 1 + place % 7) or 0
    done = 1_000 * 7 + 1_000 * sum(1 + place % 7 for place in range(1, 300))  # in worker-ms
    assert left == pytest.approx((700_000 * 7 - done) / (1 + 300 % 7), abs=1)


def test_an_end_that_comes_early_leaves_the_last_checkpoint_or_nothing() -> None:
    course = Course(60_000, 1, checkpoint_every_ms=10_000)
    course.launched(0, 1)
    course.stopped(25_000)
    assert course.saved_ms == 20_000
    assert course.launched(100_000, 1) == 40_000
    course.stopped(109_999)
    assert course.launched(200_000, 1) == 40_000
    course.stopped(210_000)  # a checkpoint of that very instant counts
    assert course.launched(300_000, 1) == 30_000
    without = Course(60_000, 1)
    without.launched(0, 1)
    without.stopped(59_999)
    assert without.launched(60_000, 1) == 60_000


def test_checkpoints_count_from_the_release_and_hold_the_work_at_its_pace() -> None:
    course = Course(60_000, 2, checkpoint_every_ms=10_000)
    course.launched(5_000, 2)
    course.resized(12_000, 1)
    course.stopped(24_999)
    assert course.saved_ms == 7_000 + 3_000 / 2


def test_work_begins_when_the_start_is_over_and_each_attempt_starts_anew() -> None:
    course = Course(60_000, 1, startup_ms=5_000, checkpoint_every_ms=10_000)
    assert course.launched(0, 1) == 65_000
    course.stopped(10_000)
    assert course.saved_ms == 5_000
    assert course.launched(10_000, 1) == 60_000


def test_twice_as_many_need_not_do_twice_as_much() -> None:
    course = Course(60_000, 4, scaling=lambda workers: workers**0.5)
    assert course.launched(0, 1) == 120_000


def test_who_does_not_run_cannot_be_stopped() -> None:
    course = Course(60_000, 1)
    course.stopped(5_000)
    assert not course.running
    assert course.launched(10_000, 1) == 60_000
