"""Tell the time as the log does: ms since 1970, never going back; and name things by it."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import Protocol

EPOCH_2025_MS = 1_735_689_600_000
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
TIME_CHARS, RANDOM_CHARS = 8, 4


CORRECTION = 10  # one part of so many: how much faster or slower it goes where it is wrong


class Clock(Protocol):
    """What the controller needs of time."""

    def now_ms(self) -> int:
        """Give ms since 1970; at least what was given before."""
        ...

    def not_before(self, at_ms: int) -> None:
        """Never give less than this from now on."""
        ...


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _steady_ms() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000  # goes on in sleep, too


class WallClock:
    """The machine's clock, as it would be if nobody set it.

    Timers hang on it, so it goes at the pace of a clock that nobody can set. Where the machine's
    clock says something else, because it was set or because the log ended in its future, it goes
    there a tenth faster or slower: no timer is ever much too early or too late.
    """

    def __init__(
        self, wall_ms: Callable[[], int] = _wall_ms, steady_ms: Callable[[], int] = _steady_ms
    ) -> None:
        """Begin with now; `steady_ms` goes on evenly, from wherever it began."""
        self._wall_ms, self._steady_ms = wall_ms, steady_ms
        self._now_ms, self._at_ms = wall_ms(), steady_ms()
        self._spare_ms = 0  # of a span too short for a whole ms of correction
        self._lock = threading.Lock()

    def now_ms(self) -> int:
        """Give ms since 1970, never less than before."""
        with self._lock:
            at_ms = self._steady_ms()
            passed_ms, self._at_ms = at_ms - self._at_ms, at_ms
            self._now_ms += passed_ms
            wrong_ms = self._wall_ms() - self._now_ms
            most_ms, self._spare_ms = divmod(self._spare_ms + passed_ms, CORRECTION)
            self._now_ms += max(-most_ms, min(most_ms, wrong_ms))
            return self._now_ms

    def not_before(self, at_ms: int) -> None:
        """Never give less than this: the log goes on where it ended."""
        with self._lock:
            self._now_ms = max(self._now_ms, at_ms)


def fresh_id(now_ms: int) -> str:
    """Make a name of 12 letters and digits that sorts by time (unique among a million in one ms)."""
    number = max(0, now_ms - EPOCH_2025_MS)
    letters = []
    for _ in range(TIME_CHARS):
        number, rest = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[rest])
    random = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_CHARS))
    return "".join(reversed(letters)) + random
