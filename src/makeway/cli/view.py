"""Put together what is shown of a run and of a step: the bodies of `-o json`, and later of REST."""

from __future__ import annotations

import msgspec

from makeway.model.phase import RunPhase
from makeway.model.workflow import Binding, Constant, Execution, Workflow, latest
from makeway.store.database import Database
from makeway.store.read import get_execution, get_run, last_samples, list_attempts, list_executions
from makeway.store.rows import AttemptRow, ExecutionRow
from makeway.store.series import Series
from makeway.store.troubles import Trouble, troubles_of
from makeway.workflows.inputs import Missing, resolve

NO_RESULT = Constant(None)


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """A run with its steps in the order of the workflow; `result` when it is there.

    `troubles` are the steps that failed: why, and what they hold up.
    """

    id: str
    workflow: str
    file: str
    phase: RunPhase
    text: str
    user: str
    queue: str
    resumed_from: str | None
    submitted_at_ms: int
    ended_at_ms: int | None
    params: dict[str, object]
    troubles: tuple[Trouble, ...]
    steps: tuple[ExecutionRow, ...]
    result: Binding | None


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """A step with every attempt and the latest value of every series."""

    step: ExecutionRow
    attempts: tuple[AttemptRow, ...]
    series: tuple[Series, ...]


def run_view(database: Database, run: str) -> RunView:
    """Read a run."""
    detail = get_run(database, run)
    steps = tuple(list_executions(database, run))
    row = detail.row
    return RunView(
        id=row.id,
        workflow=row.workflow,
        file=detail.workflow.file,
        phase=row.phase,
        text=row.text,
        user=row.user,
        queue=row.queue,
        resumed_from=row.resumed_from,
        submitted_at_ms=row.submitted_at_ms,
        ended_at_ms=row.ended_at_ms,
        params=detail.params,
        troubles=troubles_of(steps),
        steps=steps,
        result=_result(detail.workflow, steps),
    )


def step_view(database: Database, execution: str) -> StepView:
    """Read a step."""
    return StepView(
        step=get_execution(database, execution),
        attempts=tuple(list_attempts(database, execution)),
        series=tuple(last_samples(database, execution)),
    )


def _result(workflow: Workflow, steps: tuple[ExecutionRow, ...]) -> Binding | None:
    executions = {
        step.key: Execution(
            id=step.id,
            run=step.run,
            key=step.key,
            phase=step.phase,
            output=step.output,
            selection=step.selection,
        )
        for step in steps
    }
    by_key = latest(executions)
    if workflow.result == NO_RESULT or not all(step.phase.final for step in by_key.values()):
        return None
    try:
        return resolve(workflow, workflow.result, by_key)
    except Missing:
        return None
