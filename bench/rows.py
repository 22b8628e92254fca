"""One line of the bench: what was measured, the least, the middle and the most of some repeats.

Machines are noisy, so the least says what the code costs and the distance to the most says how far
to trust it. Processor time is that of a command and of all its processes, also of those whose
parent has gone: the bench adopts and waits for them.
"""

from __future__ import annotations

import contextlib
import os
import resource
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from makeway.executor.processes import become_subreaper


class Row(NamedTuple):
    """Values of one kind and their budget, as text (`<= 150`); `budget` may be empty."""

    name: str
    unit: str
    values: Sequence[float]
    budget: str = ""

    def line(self) -> str:
        """Write it."""
        low, middle, high = min(self.values), statistics.median(self.values), max(self.values)
        digits = 0 if high >= 1000 else 1 if high >= 10 else 3
        numbers = "  ".join(f"{value:>10,.{digits}f}" for value in (low, middle, high))
        return f"{self.name:<58} {numbers}  {self.unit:<10} {self.budget}"


class Cost(NamedTuple):
    """What one command cost with all its processes."""

    cpu_s: float
    wall_s: float
    peak_mib: float
    output: str


def cost_of(argv: Sequence[str], folder: Path) -> Cost:
    """Run a command to its end, and to the end of all its processes."""
    become_subreaper()
    before, began = _cpu_s(), time.perf_counter()
    with subprocess.Popen(
        argv, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        peak = _Peak(process.pid)
        output, _ = process.communicate()
        wall_s = time.perf_counter() - began
        if process.returncode != 0:
            message = f"{argv} ended with {process.returncode}: {output}"
            raise RuntimeError(message)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)  # the orphans of the command: their time counts too
    return Cost(_cpu_s() - before, wall_s, peak.stop(), output)


def repeat(count: int, measure: Callable[[], float]) -> list[float]:
    """Measure several times."""
    return [measure() for _ in range(count)]


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class _Peak:
    """Watch the largest resident memory of one process, without its children."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._most, self._over = 0.0, False
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over:
            with contextlib.suppress(OSError, IndexError):
                for line in self._status.read_text("utf-8").splitlines():
                    if line.startswith("VmHWM"):
                        self._most = max(self._most, int(line.split()[1]) / 1024)
            time.sleep(0.01)

    def stop(self) -> float:
        self._over = True
        self._thread.join()
        return self._most
