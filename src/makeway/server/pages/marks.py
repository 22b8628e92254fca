"""Name what happened to a step while it was measured: the marks that all its charts share."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from makeway.model.record import Cause
from makeway.store.rows import AttemptRow


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """One instant (s since 1970): a retry, a resize, a preemption, an end."""

    at: float
    kind: str
    text: str


def marks_of(attempts: Sequence[AttemptRow], resizes: Sequence[tuple[int, int]]) -> Sequence[Mark]:
    """Give them in order of time."""
    found = [
        Mark(at=at_ms / 1000, kind="resize", text=f"goes on with {count} workers")
        for at_ms, count in resizes
    ]
    for one in attempts:
        if one.number > 1:
            text = f"attempt {one.number} starts"
            found.append(Mark(at=one.started_at_ms / 1000, kind="retry", text=text))
        if one.ended_at_ms is not None and (told := _end(one)) is not None:
            found.append(Mark(at=one.ended_at_ms / 1000, kind=told[0], text=told[1]))
    return sorted(found, key=lambda mark: mark.at)


def _end(one: AttemptRow) -> tuple[str, str] | None:
    if one.stop_cause == "preempted":
        return "preemption", f"attempt {one.number} is preempted"
    if one.diagnosis is None or one.diagnosis.cause is Cause.NONE:
        return None
    return "failure", f"attempt {one.number} ends: {one.diagnosis.cause.value}"
