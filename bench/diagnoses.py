"""How long the diagnosis of one incident takes: of each document in examples/evidence, and a large one.

The large one has eight workers with 2,000 steps each, and 500 evaluations. What is measured is the
judgement and the decision, in this process; reading the file is measured apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from bench.rows import Row, repeat
from makeway.cli.diagnosefile import read_incident
from makeway.health.judge import judge
from makeway.health.remedy import remedy
from makeway.model.incident import Goal, Incident, Point

FOLDER = Path(__file__).parents[1] / "examples" / "evidence"
REPEATS = 20


def rows() -> Iterator[Row]:
    files = sorted(FOLDER.glob("*.yaml"))
    known = [read_incident(str(path)) for path in files]
    each = [min(repeat(REPEATS, lambda one=one: _ms(one))) for one in known]  # type: ignore[misc]  # a lambda's default
    yield Row(f"diagnosis of one of {len(known)} example documents", "ms", each, "<= 5")
    large = _large(Random(1))
    yield Row("diagnosis of 16,000 steps of 8 workers", "ms", repeat(REPEATS, lambda: _ms(large)))
    path = str(files[0])
    yield Row("reading one document from YAML", "ms", repeat(REPEATS, lambda: _reading_ms(path)))


def _ms(incident: Incident) -> float:
    return _took_ms(lambda: remedy(judge(incident)))


def _reading_ms(path: str) -> float:
    return _took_ms(lambda: read_incident(path))


def _took_ms(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return (time.perf_counter() - began) * 1000


def _large(random: Random) -> Incident:
    def series(count: int, middle: float) -> tuple[Point, ...]:
        return tuple(Point(at, at + 1.0, random.gauss(middle, 5)) for at in range(count))

    return Incident(
        now_s=2001.0,
        goal=Goal(metric="accuracy", mode="max"),
        samples={"accuracy": series(500, 60), "progress": (Point(0, 2000.0, 0.5),)},
        worker_samples={rank: {"local_ms": series(2000, 100)} for rank in range(8)},
    )
