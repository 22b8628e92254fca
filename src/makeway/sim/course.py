"""Let work go at the pace of its workers: how far a job has come, and when it will be done.

A job has so much to do as its most workers do in `total_ms`. Fewer of them take longer, by `scaling`
(how much so many workers do in a time; twice as many do twice as much, unless told otherwise). Work
begins `startup_ms` after the workers were let go. While they run, a checkpoint is made whenever
`checkpoint_every_ms` have passed since then; whatever ends the attempt early leaves the last one,
or, without checkpoints, nothing. Workers that were told to leave do no more work.

Takes:   instants in virtual ms, never earlier than the one before
Gives:   how long the work lasts from that instant on; None: it never ends by itself
Holds:   exact: however often the number of workers changes, no work is lost or made up
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

Scaling = Callable[[int], float]


def linear(workers: int) -> float:
    """Let twice as many workers do twice as much."""
    return workers


class Course:
    """The work of one job over all of its attempts; see the module."""

    def __init__(
        self,
        total_ms: int | None,
        workers_max: int,
        *,
        scaling: Scaling = linear,
        checkpoint_every_ms: int | None = None,
        startup_ms: int = 0,
    ) -> None:
        """Take what there is to do; a `total_ms` of None is without an end."""
        self._total_ms, self._startup_ms = total_ms, startup_ms
        self._every_ms = checkpoint_every_ms
        self._scaling, self._full = scaling, _exact(scaling(workers_max))
        self._done = Fraction(0)  # of total_ms
        self._saved = Fraction(0)
        self._rate = Fraction(0)  # 0 while no worker works
        self._released_ms = self._mark_ms = 0

    @property
    def running(self) -> bool:
        """Say whether anybody works at it now."""
        return bool(self._rate)

    @property
    def saved_ms(self) -> float:
        """Give how much of `total_ms` an end now would leave; as of the last change."""
        return float(self._saved)

    def launched(self, now_ms: int, workers: int) -> int | None:
        """Begin, or go on from the last checkpoint, with so many workers."""
        self._released_ms, self._mark_ms = now_ms, now_ms
        self._done = self._saved
        self._rate = self._of(workers)
        return self._left(now_ms)

    def resized(self, now_ms: int, workers: int) -> int | None:
        """Go on with other workers."""
        self._advance(now_ms)
        self._rate = self._of(workers)
        return self._left(now_ms)

    def stopped(self, now_ms: int) -> None:
        """End early: what was done since the last checkpoint is lost."""
        if self.running:
            self._advance(now_ms)
            self._done, self._rate = self._saved, Fraction(0)

    def _of(self, workers: int) -> Fraction:
        return _exact(self._scaling(workers)) / self._full

    def _advance(self, now_ms: int) -> None:
        """Do the work since the last look, and keep what the last checkpoint in it has."""
        if self._every_ms:
            at_ms = now_ms - (now_ms - self._released_ms) % self._every_ms
            if at_ms > self._mark_ms:
                self._saved = self._done_at(at_ms)
        self._done, self._mark_ms = self._done_at(now_ms), now_ms

    def _done_at(self, at_ms: int) -> Fraction:
        begins_ms = max(self._mark_ms, self._released_ms + self._startup_ms)
        done = self._done + max(0, at_ms - begins_ms) * self._rate
        return done if self._total_ms is None else min(done, Fraction(self._total_ms))

    def _left(self, now_ms: int) -> int | None:
        if self._total_ms is None or not self._rate:
            return None
        starting_ms = max(0, self._released_ms + self._startup_ms - now_ms)
        return starting_ms + math.ceil((self._total_ms - self._done) / self._rate)


def _exact(number: float) -> Fraction:
    """Read a pace; one that is no round number is as near as a millionth."""
    return Fraction(number).limit_denominator(1_000_000)
