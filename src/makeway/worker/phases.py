"""Say which part of its program a worker is in, so that each part has a time limit of its own.

An evaluation makes no training step, and a first batch may wait for a cache to be filled: neither is
stuck, as long as it stays within the limit of its phase. Phases may lie in each other; the inner one
counts, and its clock begins when it is entered.

Gives:   a note at the beginning and at the end; outside makeway nothing
Raises:  InvalidInput: the limit is no time
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from makeway.errors import InvalidInput
from makeway.model.units import BadAmount, ms_of
from makeway.worker.artifact import named
from makeway.worker.recorder import Recorder, current

_entered: list[tuple[str, object]] = []


@contextlib.contextmanager
def phase(name: str, limit: str | float | None = None) -> Iterator[None]:
    """Be in a phase of this name meanwhile; `limit` is how long it may take, or else 30 minutes.

    The limit is in seconds, or as text: "90s", "10m".
    """
    recorder = current()
    if recorder is None:
        yield
        return
    try:
        seconds = None if limit is None else ms_of(limit, "limit") / 1000
    except BadAmount as error:
        raise InvalidInput(error.problem, where=f"phase {str(name)[:60]}") from None
    _entered.append((named(name), {"limit": seconds}))
    _tell(recorder)
    try:
        yield
    finally:
        _entered.pop()
        _tell(recorder)


def expect_steps() -> None:
    """Say that training steps are about to be reported: without the first one it is stuck, too."""
    recorder = current()
    if recorder is not None:
        recorder.note("phase", "", {"steps": True})


def _tell(recorder: Recorder) -> None:
    name, value = _entered[-1] if _entered else ("", None)
    recorder.note("phase", name, value)
