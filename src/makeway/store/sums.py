"""Carry forward what is known of a series without reading it: how many, ends, sums, trend.

What comes in order is added to the sums. What comes late is added too, or takes the place of what
was there; only when the least or the largest value was replaced must somebody look at all of them.

Takes:   samples in order of (instant, step); None for a value that is no number
Cost:    1 µs a sample, and 5 µs for the trend
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul

import msgspec

from makeway.store.chunks import Instant

TREND_OF = 20  # the trend is that of so many samples, the last ones
TREND_MIN = 3
NEVER = (-(2**63), -(2**63))

Recent = Sequence[tuple[int, float | None]]


class Sums(msgspec.Struct):
    """The sums of one series; `recent` and `oldest` None: nobody has looked yet."""

    n: int = 0
    first: float | None = None
    last: float | None = None
    min: float | None = None
    max: float | None = None
    newest: Instant = NEVER
    oldest: Instant | None = None
    finite: int = 0
    sum: float = 0.0
    recent: Recent | None = None

    def carry_forward(self, instants: Sequence[Instant], values: Sequence[float | None]) -> None:
        """Add samples that all come after those that are in the sums."""
        if self.n == 0:
            self.first, self.oldest, self.recent = values[0], instants[0], []
        self.n += len(values)
        self.last, self.newest = values[-1], instants[-1]
        if self.recent is not None or len(values) >= TREND_OF:
            new = [(at[0], value) for at, value in zip(instants, values, strict=True)]
            self.recent = [*(self.recent or ()), *new[-TREND_OF:]][-TREND_OF:]
        finite = [value for value in values if value is not None and math.isfinite(value)]
        if finite:
            self.finite += len(finite)
            self.sum += sum(finite)
            self._reach(min(finite), max(finite))

    def add_late(self, at: Instant, value: float | None) -> None:
        """Add a sample that comes before others."""
        self.n += 1
        self._count(value)
        self.oldest = min(at, self.oldest or at)
        if at == self.oldest:
            self.first = value
        self.recent = None

    def replace(self, at: Instant, old: float | None, value: float | None) -> bool:
        """Take another value for a sample; True: the least or the largest may be another now."""
        if old is not None and math.isfinite(old):
            self.finite -= 1
            self.sum -= old
        self._count(value)
        if at == self.oldest:
            self.first = value
        if at == self.newest:
            self.last = value
        self.recent = None
        return old is not None and old in (self.min, self.max)

    def trend(self) -> float | None:
        """Give the slope of the line through the last samples, a second."""
        known = [(at, one) for at, one in self.recent or () if one is not None]
        known = [(at, one) for at, one in known if math.isfinite(one)]
        if len(known) < TREND_MIN:
            return None
        begin_ms, level = known[0]
        seconds = [(at - begin_ms) / 1000 for at, _ in known]
        values = [one - level for _, one in known]
        width = len(known) * sum(map(mul, seconds, seconds)) - sum(seconds) ** 2
        if width <= 0:
            return None
        height = len(known) * sum(map(mul, seconds, values)) - sum(seconds) * sum(values)
        slope = height / width
        return slope if math.isfinite(slope) else None

    def _count(self, value: float | None) -> None:
        if value is not None and math.isfinite(value):
            self.finite += 1
            self.sum += value
            self._reach(value, value)

    def _reach(self, least: float, most: float) -> None:
        self.min = least if self.min is None else min(self.min, least)
        self.max = most if self.max is None else max(self.max, most)
