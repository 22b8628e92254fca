"""Let what had ended go on where somebody has overridden that, in the views.

Takes:   StepOverridden, ExecutionReopened
Gives:   FOLDS: which rows change; the event alone says whether anything had ended
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import sqlalchemy as sa

from makeway.model import event as ev
from makeway.model.phase import ExecutionPhase, JobPhase, RunPhase
from makeway.store import schema
from makeway.store.statement import same, update

Write = tuple[sa.Update, tuple[object, ...]]
GOES_ON = ("phase", "text", "ended_at_ms")
RUN_GOES_ON = update(schema.run, same(schema.run.c.id), *GOES_ON)
JOB_GOES_ON = update(schema.job, same(schema.job.c.id), *GOES_ON, "not_before_ms")
JOB_QUEUES = update(schema.job, same(schema.job.c.id), "phase", "not_before_ms")
EXECUTION_GOES_ON = update(schema.execution, same(schema.execution.c.id), *GOES_ON)


def _overridden(event: ev.StepOverridden, _at_ms: int) -> Iterator[Write]:
    if event.run is not None:
        yield RUN_GOES_ON, (RunPhase.RUNNING.value, "", None, event.run.id)
    if event.act != "retry":
        return
    if event.was is None:
        yield JOB_QUEUES, (JobPhase.QUEUED.value, None, event.job)
        return
    yield JOB_GOES_ON, (JobPhase.QUEUED.value, "", None, None, event.job)
    yield EXECUTION_GOES_ON, (ExecutionPhase.QUEUED.value, "", None, event.job)


def _reopened(event: ev.ExecutionReopened, _at_ms: int) -> Iterator[Write]:
    yield EXECUTION_GOES_ON, (ExecutionPhase.PENDING.value, "", None, event.execution)


# Any: each takes the event that it is filed under.
FOLDS: dict[type, Callable[[Any, int], Iterable[Write]]] = {
    ev.StepOverridden: _overridden,
    ev.ExecutionReopened: _reopened,
}
