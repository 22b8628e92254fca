"""Measure a worker's tree: its memory, its processors, what it moves, what is left around it.

Between two readings the guard of the memory limit looks four times a second: the most that it saw
is told with the next reading, so that no peak is too short to be seen. A value that is as it was is
told with every tenth reading only, except for memory and processors.

Cost:    about 0.4 ms for a worker of one process; at one reading a second far below 1 % of a processor
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from makeway.executor.processes import cpu_ms_of, memory_of
from makeway.executor.protocol import Launch
from makeway.model.record import Sample
from makeway.store.blobs import Blobs
from makeway.worker.host_kills import HostKills
from makeway.worker.surroundings import RATES, Used, gpus, held, left, stored_inputs

FIRST_MS = 200
MILLI = 1000
AGAIN = 10
ALWAYS = ("system/memory_usage_bytes", "system/cpu_percent")


class Meter:
    """The readings of one worker, and when the next one is due."""

    def __init__(self, launch: Launch, folder: Path) -> None:
        """Take how often to read, what the worker asked for, and where its files lie."""
        self._every_ms, self._folder = launch.sample_ms, folder
        self._limit_bytes, self._cpu_milli = launch.memory_bytes, launch.cpu_milli
        self._devices = launch.devices
        self._last: tuple[int, int, Used] | None = None
        self._inputs, self._blobs = stored_inputs(launch), Blobs(Path(launch.store))
        self._told: dict[str, tuple[float, int]] = {}
        self._readings = 0
        self._peak_bytes = 0
        self.due_ms = 0
        self.peak_bytes = 0
        self.host_kills = HostKills()

    def begin(self, now_ms: int) -> None:
        """Let the first reading come soon: many a worker does not live for long."""
        self.due_ms = now_ms + min(FIRST_MS, self._every_ms)
        self._last = None

    def seen(self, memory_bytes: int) -> None:
        """Take what somebody else saw in use between two readings."""
        self._peak_bytes = max(self._peak_bytes, memory_bytes)
        self.peak_bytes = max(self.peak_bytes, memory_bytes)

    def read(self, tree: Sequence[int], now_ms: int, dropped: int = 0) -> list[Sample]:
        """Read now; nothing if the tree has just ended. `dropped` is what was lost so far."""
        self.due_ms = now_ms + self._every_ms
        self.host_kills.look()
        memory = memory_of(tree)
        if not memory:
            return []
        self.seen(memory)
        values = {
            "system/memory_usage_bytes": float(memory),
            "system/memory_peak_bytes": float(self._peak_bytes),
        }
        if self._limit_bytes:
            share = 100 * memory / self._limit_bytes
            values["system/memory_usage_percentage"] = round(share, 1)
        self._peak_bytes = 0
        values.update(self._rates(tree, now_ms))
        values.update(held(tree))
        values.update(left(self._folder))
        values.update(gpus(self._devices))
        values.update(
            {name: float(self._blobs.has(digest)) for name, digest in self._inputs.items()}
        )
        if dropped:
            values["system/dropped_samples"] = float(dropped)
        self._readings += 1
        return [
            Sample(name=name, at_ms=now_ms, value=value)
            for name, value in values.items()
            if self._is_news(name, value)
        ]

    def _is_news(self, name: str, value: float) -> bool:
        before, told_at = self._told.get(name, (None, 0))
        if name not in ALWAYS and before == value and self._readings - told_at < AGAIN:
            return False
        self._told[name] = (value, self._readings)
        return True

    def _rates(self, tree: Sequence[int], now_ms: int) -> Iterator[tuple[str, float]]:
        """Give what was used since the last reading, a second; a process that left takes its own along."""
        cpu_ms, used = cpu_ms_of(tree), Used(tree)
        before, self._last = self._last, (now_ms, cpu_ms, used)
        if before is None or now_ms <= before[0]:
            return
        span_ms = now_ms - before[0]
        percent = 100 * max(0, cpu_ms - before[1]) / span_ms
        yield "system/cpu_percent", round(percent, 1)
        if self._cpu_milli:
            share = percent * MILLI / self._cpu_milli
            yield "system/cpu_utilization_percentage", round(share, 1)
        for name, of in RATES:
            yield name, round(max(0, of(used) - of(before[2])) * 1000 / span_ms, 1)
