"""Keep what a metric came to, one row a step and name, so that a search reads no series.

It is the sums of rank 0 in the latest attempt, brought forward as samples are written; when a step
ends, its last value is the one that it reported. What an artifact was given for metrics stands
under its digest. So a search of running steps finds what they have come to so far.

Cost:    one row more for each series of a rank 0 in a batch of samples
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from makeway.model.record import Output
from makeway.model.workflow import run_of
from makeway.store import schema
from makeway.store.statement import Upsert

Values = tuple[object, ...]

KEY = ("subject", "name")
SUMS = ("number", "n", "first", "last", "min", "max", "mean")
COLUMNS = (*KEY, "run", *SUMS)
CARRIED = Upsert(schema.metric, COLUMNS, KEY, replace=SUMS, newest="number")
REPORTED = Upsert(schema.metric, COLUMNS, KEY, replace=("last",))
GIVEN = Upsert(schema.metric, COLUMNS, KEY)


def carried(job: str, name: str, number: int, *sums: float | None) -> Values:
    """Give the row of a series: n, first, last, min, max and mean so far."""
    return (job, name, run_of(job), number, *sums)


def reported(execution: str, metrics: Mapping[str, float]) -> Iterator[Values]:
    """Give the rows of what a step reports at its end."""
    for name, value in metrics.items():
        yield (execution, name, run_of(execution), *_alone(value))


def given(output: Output) -> Iterator[Values]:
    """Give the rows of the metrics that an artifact has itself."""
    for name, value in output.metrics.items():
        yield (output.digest, name, "", *_alone(value))


def _alone(value: float) -> Values:
    known = None if math.isnan(value) else value
    finite = known if math.isfinite(value) else None
    return (0, 1, known, known, finite, finite, finite)
