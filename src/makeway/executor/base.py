"""Say what the engine's orders need from the world: the port that every executor fills.

Four methods. Orders may come twice (after a restart, the outstanding ones are repeated) and must
then do nothing twice; whatever happens comes back through `observe`, never through a return value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import msgspec
from msgspec.structs import replace

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


def of_each(readings: Iterable[Readings]) -> Iterator[Readings]:
    """Give what one worker has told of others as theirs; notes are always its own."""
    for one in readings:
        about = {sample.worker for sample in one.samples} - {None, one.rank}
        if not about:
            yield one
            continue
        own = tuple(it for it in one.samples if it.worker not in about)
        yield replace(one, samples=own)
        for rank in sorted(rank for rank in about if rank is not None):
            theirs = tuple(it for it in one.samples if it.worker == rank)
            yield replace(one, rank=rank, samples=theirs, notes=())


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
