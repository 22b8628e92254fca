"""Say which rows change when a step is done again: its input was replaced, or what it gave is lost.

What is made again is a row of its own, with an edge to who needs it; the sentence that says so stays
with it, unless it ends with a sentence of its own or with another output than was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa

from makeway.model import event as ev
from makeway.model.phase import ExecutionPhase
from makeway.store import schema
from makeway.store.produced import USE, inputs
from makeway.store.statement import Upsert, insert, same, update

Values = tuple[object, ...]
Write = tuple[sa.Insert | sa.Update | Upsert, Values]

EXECUTION = insert(schema.execution, "id", "run", "key", "position", "phase", "text")
EXECUTION_SAYS = update(schema.execution, same(schema.execution.c.id), "text")
ARTIFACT_LOST = update(schema.artifact, same(schema.artifact.c.digest), "state")
EDGE = insert(schema.execution_edge, "run", "up", "down")
JOB_WAITS_NO_MORE = update(
    schema.job,
    same(schema.job.c.id),
    **dict.fromkeys(("wait_reason", "wait_text", "wait_detail", "wait_blocked_by"), sa.null()),
)


def _execution_replaced(event: ev.ExecutionReplaced, _at_ms: int) -> Iterator[Write]:
    run, _, key = event.execution.partition(".")
    pending, text = ExecutionPhase.PENDING.value, event.text if event.remakes else ""
    yield EXECUTION, (event.execution, run, key, event.position, pending, text)
    for up in event.upstream:
        yield EDGE, (run, up, key)
    if event.remakes:
        yield ARTIFACT_LOST, ("lost", event.lost)
        consumer = event.remakes.partition(".")[2].partition("/")[0]  # of a job, or its attempt
        yield EDGE, (run, key, consumer)


def _inputs_restored(event: ev.InputsRestored, _at_ms: int) -> Iterator[Write]:
    yield JOB_WAITS_NO_MORE, (event.job,)
    for name, binding in event.arguments.items():
        for key, output in inputs(name, binding):
            yield USE, (event.job, "input", key, output.digest)


def _output_diverged(event: ev.OutputDiverged, _at_ms: int) -> Iterator[Write]:
    yield EXECUTION_SAYS, (event.text, event.execution)


# Any: each fold takes the one type that it is filed under, which a dict cannot express.
FOLDS: dict[type, Callable[[Any, int], Iterator[Write]]] = {
    ev.ExecutionReplaced: _execution_replaced,
    ev.InputsRestored: _inputs_restored,
    ev.OutputDiverged: _output_diverged,
}
