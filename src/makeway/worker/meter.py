"""Measure a worker's tree: its memory, and how much of its processors it uses."""

from __future__ import annotations

from collections.abc import Sequence

from makeway.executor.processes import cpu_ms_of, memory_of
from makeway.model.record import Sample

FIRST_MS = 200


class Meter:
    """The readings of one worker, and when the next one is due."""

    def __init__(self, every_ms: int) -> None:
        """Take how often to read."""
        self._every_ms = every_ms
        self._last = (0, 0)
        self.due_ms = 0
        self.peak_bytes = 0

    def begin(self, now_ms: int) -> None:
        """Let the first reading come soon: many a worker does not live for long."""
        self.due_ms = now_ms + min(FIRST_MS, self._every_ms)

    def read(self, tree: Sequence[int], now_ms: int) -> list[Sample]:
        """Read now; nothing if the tree has just ended."""
        self.due_ms = now_ms + self._every_ms
        memory = memory_of(tree)
        if not memory:
            return []
        cpu_ms = cpu_ms_of(tree)
        self.peak_bytes = max(self.peak_bytes, memory)
        samples = [Sample(name="system/memory_usage_bytes", at_ms=now_ms, value=memory)]
        before_ms, before_cpu = self._last
        if before_ms and now_ms > before_ms:
            percent = 100 * max(0, cpu_ms - before_cpu) / (now_ms - before_ms)
            samples.append(Sample(name="system/cpu_percent", at_ms=now_ms, value=round(percent, 1)))
        self._last = (now_ms, cpu_ms)
        return samples
