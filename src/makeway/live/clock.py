"""Tell the time as the log does: ms since 1970, never going back; and name things by it."""

from __future__ import annotations

import secrets
import time
from typing import Protocol

EPOCH_2025_MS = 1_735_689_600_000
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
TIME_CHARS, RANDOM_CHARS = 8, 4


class Clock(Protocol):
    """What the controller needs of time."""

    def now_ms(self) -> int:
        """Give ms since 1970; at least what was given before."""
        ...

    def not_before(self, at_ms: int) -> None:
        """Never give less than this from now on."""
        ...


class WallClock:
    """The machine's clock, held back from jumping into the past."""

    def __init__(self) -> None:
        """Begin with now."""
        self._last_ms = 0

    def now_ms(self) -> int:
        """Give ms since 1970; a clock that was set back stands still until it has caught up."""
        self._last_ms = max(self._last_ms, time.time_ns() // 1_000_000)
        return self._last_ms

    def not_before(self, at_ms: int) -> None:
        """Never give less than this: the log goes on where it ended."""
        self._last_ms = max(self._last_ms, at_ms)


def fresh_id(now_ms: int) -> str:
    """Make a name of 12 letters and digits that sorts by time (unique among a million in one ms)."""
    number = max(0, now_ms - EPOCH_2025_MS)
    letters = []
    for _ in range(TIME_CHARS):
        number, rest = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[rest])
    random = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_CHARS))
    return "".join(reversed(letters)) + random
