"""Say what the engine's orders need from the world: the port that every executor fills.

Four methods. Orders may come twice (after a restart, the outstanding ones are repeated) and must
then do nothing twice; whatever happens comes back through `observe`, never through a return value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from makeway.model.effect import Effect
from makeway.model.event import Event
from makeway.model.record import Note, Sample


class Readings(msgspec.Struct, frozen=True, kw_only=True):
    """Samples of one worker of one attempt, and what its program noted."""

    job: str
    number: int
    rank: int
    samples: tuple[Sample, ...]
    notes: tuple[Note, ...] = ()


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What has happened since the last look."""

    events: Sequence[Event] = ()
    readings: Sequence[Readings] = ()


class Executor(Protocol):
    """What makes workers real."""

    def carry_out(self, effect: Effect) -> None:
        """Begin to do what is ordered; never wait for it, never do it twice."""
        ...

    def observe(self, timeout_ms: int) -> Observed:
        """Wait until something happens, at most so long, and tell it."""
        ...

    def wake(self) -> None:
        """Let an `observe` that waits return at once; the one method for any thread."""
        ...

    def close(self) -> None:
        """Let go of everything but the workers, which go on and can be found again."""
        ...
