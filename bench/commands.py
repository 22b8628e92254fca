"""What it costs to start: `import makeway` and the commands that must answer at once."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.rows import Row, cost_of, repeat

PYTHON = sys.executable
REPEATS = 7


def rows() -> Iterator[Row]:
    """Measure the processor time of fresh interpreters."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)

        def cpu_ms(*words: str) -> list[float]:
            return repeat(REPEATS, lambda: cost_of([PYTHON, *words], folder).cpu_s * 1000)

        yield Row("python -c pass (for comparison)", "ms CPU", cpu_ms("-c", "pass"))
        yield Row("python -c 'import makeway'", "ms CPU", cpu_ms("-c", "import makeway"))
        yield Row("makeway --help", "ms CPU", cpu_ms("-m", "makeway", "--help"), "<= 150")
        yield Row("makeway --version", "ms CPU", cpu_ms("-m", "makeway", "--version"), "<= 150")
