"""Say how deep in a graph each step lies, and with which sign its state is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from makeway.model.phase import ExecutionPhase

SIGN = {
    ExecutionPhase.SUCCEEDED: "✔",
    ExecutionPhase.CACHED: "✔",
    ExecutionPhase.FAILED: "✘",
    ExecutionPhase.RUNNING: "▶",
    ExecutionPhase.OMITTED: "–",
}


def sign(phase: ExecutionPhase) -> str:
    """Give the sign that stands before the word of a state."""
    return SIGN.get(phase, "·")


def depths(steps: Iterable[tuple[str, Sequence[str]]]) -> dict[str, int]:
    """Count for each step the steps on the longest way to it; what it waits for comes before it."""
    depth: dict[str, int] = {}
    for key, waits_for in steps:
        depth[key] = max((depth[each] + 1 for each in waits_for), default=0)
    return depth
