"""Carry forward what is known of a series without reading it: how many, ends, sums, trend.

What comes in order is added to the sums. What comes late is added too, or takes the place of what
was there; only when the least or the largest value was replaced must somebody look at all of them.

Takes:   samples in order of (instant, step); None for a value that is no number
Cost:    1 µs a sample, and 4 µs for the trend
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, nan
from operator import mul

import msgspec

from makeway.store.chunks import Instant

TREND_OF = 20  # the trend is that of so many samples, the last ones
TREND_MIN = 3
NEVER = (-(2**63), -(2**63))

Recent = tuple[list[int], list[float]]  # instants and values
NOTHING: Recent = ([], [])


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
            self.first, self.oldest, self.recent = values[0], instants[0], NOTHING
        self.n += len(values)
        self.last, self.newest = values[-1], instants[-1]
        if self.recent is not None or len(values) >= TREND_OF:
            at_ms, known = self.recent or NOTHING
            new = [nan if value is None else value for value in values[-TREND_OF:]]
            self.recent = (
                [*at_ms, *(at for at, _ in instants[-TREND_OF:])][-TREND_OF:],
                [*known, *new][-TREND_OF:],
            )
        finite = [value for value in values if value is not None and isfinite(value)]
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
        """Take another value for a sample; True: the sums must be counted again.

        A value that was the least or the largest may have hidden all others in the sum as well.
        """
        if old is not None and isfinite(old):
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
        instants, values = self.recent or NOTHING
        total = sum(values)
        if total - total != 0:  # among them is one that is not finite
            known = [(at, one) for at, one in zip(instants, values, strict=True) if isfinite(one)]
            instants, values = [at for at, _ in known], [one for _, one in known]
        count = len(values)
        if count < TREND_MIN:
            return None
        begin_ms, level = instants[0], values[0]
        times = [at - begin_ms for at in instants]
        heights = [one - level for one in values]
        across = sum(times)
        width = count * sum(map(mul, times, times)) - across * across
        if width <= 0:
            return None
        rise = count * sum(map(mul, times, heights)) - across * sum(heights)
        slope = 1000 * rise / width
        return slope if isfinite(slope) else None

    def _count(self, value: float | None) -> None:
        if value is not None and isfinite(value):
            self.finite += 1
            self.sum += value
            self._reach(value, value)

    def _reach(self, least: float, most: float) -> None:
        self.min = least if self.min is None else min(self.min, least)
        self.max = most if self.max is None else max(self.max, most)
