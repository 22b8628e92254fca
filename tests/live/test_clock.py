"""The clock of the log: whoever sets the machine's clock moves no timer by more than a little."""

from __future__ import annotations

import pytest

from makeway.live.clock import WallClock

START_MS, DAY_MS = 1_750_000_000_000, 86_400_000


class Times:
    """A machine's two clocks: one that is set by people, and one that only goes on."""

    def __init__(self) -> None:
        self.wall_ms, self.steady_ms = START_MS, 5_000

    def pass_ms(self, span_ms: int) -> None:
        self.wall_ms += span_ms
        self.steady_ms += span_ms

    def clock(self) -> WallClock:
        return WallClock(lambda: self.wall_ms, lambda: self.steady_ms)


def test_it_tells_the_time_of_the_machine() -> None:
    times = Times()
    clock = times.clock()
    for _ in range(10):
        assert clock.now_ms() == times.wall_ms
        times.pass_ms(977)


@pytest.mark.parametrize("jump_ms", [DAY_MS, -DAY_MS, 3_000, -3_000])
def test_a_clock_that_is_set_hastens_and_delays_timers_by_a_tenth_at_most(jump_ms: int) -> None:
    times = Times()
    clock = times.clock()
    before = clock.now_ms()
    times.wall_ms += jump_ms
    assert clock.now_ms() == before
    for _ in range(60):
        times.pass_ms(1_000)
        clock.now_ms()
    assert 54_000 <= clock.now_ms() - before <= 66_000


@pytest.mark.parametrize("jump_ms", [DAY_MS, -DAY_MS, 3_000, -3_000])
def test_in_the_end_it_tells_the_time_of_the_machine_again(jump_ms: int) -> None:
    times = Times()
    clock = times.clock()
    times.wall_ms += jump_ms
    last = clock.now_ms()
    for _ in range(11 * DAY_MS // 600_000):
        times.pass_ms(600_000)
        before, last = last, clock.now_ms()
        assert before < last
    assert last == times.wall_ms


def test_it_goes_on_where_the_log_ended_and_does_not_stand_still() -> None:
    times = Times()
    clock = times.clock()
    clock.not_before(START_MS + DAY_MS)
    assert clock.now_ms() == START_MS + DAY_MS
    times.pass_ms(10_000)
    assert START_MS + DAY_MS + 9_000 <= clock.now_ms() <= START_MS + DAY_MS + 10_000
