"""What makeway adds to a workflow: trivial steps, each in a process of its own, from the shell."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.rows import Cost, Row, cost_of

FLOWS = Path(__file__).parent / "flows"
MAKEWAY = (sys.executable, "-m", "makeway")
REPEATS, CHAIN, SHORT = 5, 100, 1


def rows() -> Iterator[Row]:
    """Run an 8-step workflow and a 100-step chain, in a new store and in one that is there."""
    fresh, again, chain, steps = [], [], [], []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as place:
            fresh.append(_run("eight.py", Path(place)))
            again.append(_run("eight.py", Path(place)))
            short = _run("chain.py", Path(place), f"n={SHORT}")
            chain.append(_run("chain.py", Path(place), f"n={CHAIN}"))
            steps.append((chain[-1].cpu_s - short.cpu_s) * 1000 / (CHAIN - SHORT))
    yield Row("8 steps, new store", "s CPU", [cost.cpu_s for cost in fresh], "<= 1")
    yield Row("8 steps, new store", "s wall", [cost.wall_s for cost in fresh])
    yield Row("8 steps", "s CPU", [cost.cpu_s for cost in again], "<= 1")
    yield Row("8 steps", "s wall", [cost.wall_s for cost in again])
    yield Row("chain of 100 steps, a step", "ms CPU", steps, "<= 25")
    walls = [cost.wall_s * 1000 / CHAIN for cost in chain]
    yield Row("chain of 100 steps, a step", "ms wall", walls)
    yield Row("controller, peak memory", "MiB", [cost.peak_mib for cost in chain], "<= 120")


def _run(flow: str, folder: Path, *params: str) -> Cost:
    given = [word for param in params for word in ("-P", param)]
    return cost_of([*MAKEWAY, "run", str(FLOWS / flow), *given], folder)
