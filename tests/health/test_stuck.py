"""Who is alive and comes no further: two clocks, their limits, and the error that is said again."""

from __future__ import annotations

import pytest

from makeway.health.repeated import Errors, likeness
from makeway.health.stuck import Watch
from makeway.model.record import Symptom

S = 1_000
MIN = 60_000


def stepping(*ranks: int, every_ms: int = S, steps: int = 20) -> tuple[Watch, int]:
    """Give a watch over workers that have made so many steps, and the instant of the last one."""
    watch = Watch(ranks or (0,), 0)
    for step in range(1, steps + 1):
        for rank in ranks or (0,):
            watch.stepped(rank, step * every_ms, step)
    return watch, steps * every_ms


def texts(symptom: Symptom | None) -> list[str]:
    assert symptom is not None
    return [one.text for one in symptom.evidence]


# ── steps ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "every_ms,limit_ms",
    [(10, 30 * S), (S, 30 * S), (3 * S, 30 * S), (4 * S, 40 * S), (60 * S, 600 * S)],
)
def test_the_limit_grows_with_the_steps_and_is_at_least_half_a_minute(
    every_ms: int, limit_ms: int
) -> None:
    watch, last_ms = stepping(every_ms=every_ms)
    assert watch.due_ms() == last_ms + limit_ms + 1
    assert watch.judge(last_ms + limit_ms) is None
    found = watch.judge(last_ms + limit_ms + 1)
    assert found is not None
    assert (found.name, found.since_ms, found.ranks) == ("stuck", last_ms, (0,))


def test_one_slow_step_allows_five_times_as_much() -> None:
    watch, last_ms = stepping()
    watch.stepped(0, last_ms + 20 * S, 21)
    assert watch.due_ms() == last_ms + 120 * S + 1
    found = watch.judge(last_ms + 121 * S)
    assert found is not None
    assert found.text == (
        "rank 0: no step after 21 for 101 s, more than 100 s (5 times the slowest step of 20 s)"
    )


def test_the_first_step_has_ten_minutes_once_it_is_known_that_there_will_be_one() -> None:
    silent = Watch((0, 1), 0)
    assert (silent.due_ms(), silent.judge(10**9)) == (None, None)
    watch = Watch((0, 1), 0)
    watch.expect_steps()
    assert watch.judge(10 * MIN) is None
    found = watch.judge(10 * MIN + 1)
    assert found is not None
    assert found.text.startswith("2 workers: no progress for 10 min, more than 10 min")


def test_after_one_step_alone_ten_times_as_long_is_allowed() -> None:
    watch = Watch((0,), 0)
    watch.stepped(0, 20 * S, 1)
    assert watch.due_ms() == 220 * S + 1


def test_whoever_is_furthest_behind_is_named() -> None:
    watch, last_ms = stepping(0, 1, 2)
    for rank in (0, 2):
        watch.stepped(rank, last_ms + S, 21)
    found = watch.judge(last_ms + 60 * S)
    assert found is not None
    assert found.ranks == (1,)
    assert found.text.startswith("rank 1: no step after 20 for 60 s")


def test_a_worker_that_reports_nothing_while_another_does_is_not_judged() -> None:
    watch = Watch((0, 1), 0)
    watch.expect_steps()
    for step in range(2_000):
        watch.stepped(0, step * S, step)
        assert watch.judge(step * S) is None


def test_a_step_that_is_said_again_is_no_progress() -> None:
    watch, last_ms = stepping()
    for second in range(1, 40):
        watch.stepped(0, last_ms + second * S, 20)
        watch.alive(0, last_ms + second * S)
    assert watch.judge(last_ms + 40 * S) is not None


def test_whoever_comes_further_is_well_again() -> None:
    watch, last_ms = stepping()
    assert watch.judge(last_ms + 40 * S) is not None
    watch.stepped(0, last_ms + 41 * S, 21)
    assert watch.judge(last_ms + 42 * S) is None


def test_being_alive_and_busy_is_no_progress_and_is_told_as_evidence() -> None:
    watch, last_ms = stepping()
    watch.used(0, last_ms, 5_000)
    watch.used(0, last_ms + 40 * S, 44_600)
    watch.alive(0, last_ms + 40 * S)
    assert texts(watch.judge(last_ms + 41 * S)) == [
        "rank 0 gave a sign of life 1 s ago",
        "its last progress was 41 s ago, at step 20",
        "it has used 99% of a processor since",
    ]


def test_time_that_nobody_could_use_does_not_count() -> None:
    watch, last_ms = stepping()
    watch.paused(last_ms + 100 * S)
    assert watch.judge(last_ms + 130 * S) is None
    assert watch.judge(last_ms + 131 * S) is not None


def test_a_section_has_its_own_limit_and_what_follows_begins_afresh() -> None:
    watch, last_ms = stepping()
    watch.entered(0, last_ms, "eval", 20 * MIN)
    assert watch.judge(last_ms + 20 * MIN) is None
    found = watch.judge(last_ms + 20 * MIN + 1)
    assert found is not None
    assert "the limit of its section 'eval'" in found.text
    watch.left(0, last_ms + 21 * MIN)
    assert watch.judge(last_ms + 21 * MIN + 30 * S) is None
    assert watch.judge(last_ms + 21 * MIN + 31 * S) is not None


def test_who_has_left_is_watched_no_longer_and_who_joins_begins_afresh() -> None:
    watch, last_ms = stepping(0, 1)
    watch.gone(1)
    watch.stepped(0, last_ms + 20 * S, 21)
    watch.joined(1, last_ms + 20 * S)
    watch.stepped(1, last_ms + 25 * S, 21)
    assert watch.judge(last_ms + 60 * S) is None
    for hear in (watch.alive, watch.reported, watch.left):
        hear(9, last_ms)  # of a rank that nobody knows
    assert watch.judge(last_ms + 60 * S) is None


# ── other progress ────────────────────────────────────────────────────────────────────────────────


def test_who_reports_no_steps_has_ten_minutes_or_three_times_its_median() -> None:
    quick, slow = Watch((0,), 0), Watch((0,), 0)
    for number in range(10):
        quick.reported(0, number * S)
        slow.reported(0, number * 5 * MIN)
    assert quick.due_ms() == 9 * S + 10 * MIN + 1
    assert slow.due_ms() == 45 * MIN + 15 * MIN + 1


def test_one_late_report_allows_half_as_much_again() -> None:
    watch = Watch((0,), 0)
    for at_ms in (0, MIN, 2 * MIN, 22 * MIN):
        watch.reported(0, at_ms)
    assert watch.due_ms() == 22 * MIN + 30 * MIN + 1


def test_after_the_first_report_alone_there_is_half_an_hour() -> None:
    watch = Watch((0,), 0)
    watch.reported(0, S)
    assert watch.due_ms() == S + 30 * MIN + 1


# ── the same error again ──────────────────────────────────────────────────────────────────────────

REFUSED = "ConnectionRefusedError: [Errno 111] 10.0.0.{}:5432 refused the connection"


def reconnecting(times: int = 13, every_ms: int = 15 * S) -> tuple[Watch, int]:
    """Give a watch over a job that reports nothing and cannot reach its database."""
    watch = Watch((0,), 0)
    for number in range(times):
        watch.said(0, number * every_ms, "Traceback (most recent call last):")
        watch.said(0, number * every_ms, '  File "load.py", line 3, in connect')
        watch.said(0, number * every_ms, REFUSED.format(number))
        watch.said(0, number * every_ms, f"retrying in {number} s")
    return watch, (times - 1) * every_ms


def test_a_job_that_tries_for_ever_to_reconnect_is_stuck() -> None:
    watch, last_ms = reconnecting()
    found = watch.judge(last_ms + S)
    assert found is not None
    assert found.text == (
        "rank 0 says the same error again and again: 13 times in 180 s: " + REFUSED.format(12)
    )
    assert texts(found) == ["the same error 13 times in 180 s: " + REFUSED.format(12)]


@pytest.mark.parametrize(
    "times,every_ms,why_not",
    [
        (4, 30 * S, "that is not often enough"),
        (13, S, "that is not long enough"),
        (13, 130 * S, "now and then is no loop"),
    ],
)
def test_a_few_errors_are_none_yet(times: int, every_ms: int, why_not: str) -> None:
    watch, last_ms = reconnecting(times, every_ms)
    assert watch.judge(last_ms + S) is None, why_not


def test_an_error_that_has_stopped_is_over() -> None:
    watch, last_ms = reconnecting()
    assert watch.judge(last_ms + 45 * S) is not None
    assert watch.judge(last_ms + 46 * S) is None


def test_who_has_news_or_is_busy_is_at_work_in_spite_of_its_errors() -> None:
    talking, last_ms = reconnecting()
    for number in range(13):
        talking.said(0, last_ms, f"row {number} is stored")
    assert talking.judge(last_ms + S) is None
    busy, last_ms = reconnecting()
    busy.used(0, 0, 0)
    busy.used(0, last_ms, last_ms * 6 // 10)
    assert busy.judge(last_ms + S) is None


def test_progress_makes_old_errors_forgotten() -> None:
    watch, last_ms = reconnecting()
    watch.reported(0, last_ms)
    assert watch.judge(last_ms + S) is None


def test_an_error_that_is_repeated_stands_beside_a_clock_that_ran_out() -> None:
    watch, last_ms = stepping()
    for second in range(1, 40):
        watch.said(0, last_ms + second * S, REFUSED.format(1))
    found = watch.judge(last_ms + 40 * S)
    assert found is not None
    assert found.text.startswith("rank 0: no step after 20 for 40 s")
    assert "the same error 39 times in 38 s: ConnectionRefusedError" in found.text


@pytest.mark.parametrize(
    "line",
    [
        "ConnectionRefusedError: [Errno 111] Connection refused",
        "2026-01-02 03:04:05 ERROR cannot write",
        "psycopg.OperationalError: could not connect to server",
        "dial tcp: no route to host",
        "ssh: connect to host n1 port 22: Connection timed out",
        "Reconnecting (attempt 7)",
    ],
)
def test_what_speaks_of_an_error(line: str) -> None:
    assert likeness(line) is not None


@pytest.mark.parametrize(
    "line",
    ["", "epoch 3  error: 0.31", "MeanSquaredError: 0.12", "0 errors", "validation error 0.2"],
)
def test_what_does_not(line: str) -> None:
    assert likeness(line) is None


def test_lines_are_alike_whatever_numbers_and_addresses_vary() -> None:
    one = likeness(
        "OSError: 10.0.0.1:5432 at 0x7f01ab, request deadbeef01: connection lost after 3 s"
    )
    two = likeness(
        "OSError: 10.0.9.7:81 at 0x7ffe, request 0badcafe99:  connection lost after 12 s"
    )
    assert one == two


def test_what_is_remembered_has_an_end() -> None:
    errors = Errors()
    for number in range(5_000):
        name = "".join(chr(97 + int(digit)) for digit in str(number))
        errors.hear(number, f"{name}Error: no")
        errors.hear(number, f"news {number}")
    assert len(errors._known) == 64
    assert len(errors._seen) == 1_000
    worst = errors.worst()
    assert worst is not None
    assert worst.count == 1
