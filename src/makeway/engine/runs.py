"""Change what is believed of runs and of their executions, by one event each.

An execution that stands for a job follows it from phase to phase (`move`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from makeway.engine.state import State
from makeway.model import event as ev
from makeway.model.phase import (
    EXECUTION_CHANGES,
    OVERRIDES,
    RUN_CHANGES,
    ExecutionPhase,
    JobPhase,
    RunPhase,
    changed,
)
from makeway.model.workflow import Execution, Run, execution_id, run_of, step_key


def move(state: State, job: str, phase: ExecutionPhase, *, overrides: bool = False) -> None:
    """Let the execution, if the job stands for one, follow its job; also where somebody overrides."""
    execution = state.execution(job)
    if execution is not None:
        state.executions[execution.run][execution.id] = replace(
            execution,
            phase=changed(OVERRIDES if overrides else EXECUTION_CHANGES, execution.phase, phase),
        )


def await_makers(state: State, job: str, makers: tuple[str, ...]) -> None:
    """Let the execution wait until these steps have made again what it lost."""
    execution = state.execution(job)
    if execution is not None and execution.awaits != makers:
        state.executions[execution.run][execution.id] = replace(execution, awaits=makers)


def assert_final(phase: JobPhase | ExecutionPhase | RunPhase) -> None:
    """Raise if something is said to have ended in a phase that is no end."""
    assert phase.final, f"illegal: nothing ends as {phase.value}"


def _run_submitted(state: State, event: ev.RunSubmitted, at_ms: int) -> None:
    state.runs[event.run] = Run(
        id=event.run,
        workflow=event.workflow,
        user=event.user,
        queue=event.queue,
        priority=event.priority,
        resumed_from=event.resumed_from,
        reusable={reusable.cache_key: reusable for reusable in event.reusable},
        submitted_at_ms=at_ms,
        fresh=event.fresh,
    )
    touch(state, event.run)
    state.executions[event.run] = {
        execution_id(event.run, step.key): Execution(
            id=execution_id(event.run, step.key), run=event.run, key=step.key
        )
        for step in event.workflow.steps
    }


def _run_cancel_requested(state: State, event: ev.RunCancelRequested, _at_ms: int) -> None:
    run = state.runs[event.run]
    phase = changed(RUN_CHANGES, run.phase, RunPhase.CANCELLING)
    state.runs[run.id] = replace(run, phase=phase)
    touch(state, run.id)


def _execution_submitted(state: State, event: ev.ExecutionSubmitted, _at_ms: int) -> None:
    executions = state.executions[run_of(event.execution)]
    before = executions[event.execution]
    # A step is queued again when an attempt has ended, but it is submitted once.
    assert before.phase is ExecutionPhase.PENDING, f"illegal: {before.id} was submitted before"
    phase = changed(EXECUTION_CHANGES, before.phase, ExecutionPhase.QUEUED)
    executions[before.id] = replace(before, phase=phase, cache_key=event.cache_key)


def _execution_ended(state: State, event: ev.ExecutionEnded, at_ms: int) -> None:
    executions = state.executions[run_of(event.execution)]
    before = executions[event.execution]
    assert_final(event.phase)
    executions[before.id] = replace(
        before,
        phase=changed(OVERRIDES if event.waived else EXECUTION_CHANGES, before.phase, event.phase),
        text=event.text,
        output=event.output,
        metrics=event.metrics,
        cache_key=event.cache_key or before.cache_key,
        selection=event.selection,
        ended_at_ms=at_ms,
        awaits=(),
        waived=event.waived,
    )
    # Whoever waits for it looks first: a run that is over by this leaves the state.
    for run in _waiting_for(state, before):
        touch(state, run)
    touch(state, before.run)


def _waiting_for(state: State, ended: Execution) -> list[str]:
    """Name the runs in which the same step may wait for this one, since one computes for all."""
    step = step_key(ended.key)
    rule = state.runs[ended.run].workflow.step(step).cache
    if rule is None or not rule.serialize or not ended.cache_key:
        return []
    return [
        run
        for run, executions in state.executions.items()
        if run != ended.run
        and any(
            other.phase is ExecutionPhase.PENDING and step_key(other.key) == step
            for other in executions.values()
        )
    ]


def _late_result(state: State, event: ev.LateResult, _at_ms: int) -> None:
    executions = state.executions[run_of(event.execution)]
    before = executions[event.execution]
    assert before.selection is not None, f"illegal: {before.id} has selected nothing"
    executions[before.id] = replace(before, selection=event.selection, text=event.text)
    touch(state, before.run)


def _execution_replaced(state: State, event: ev.ExecutionReplaced, _at_ms: int) -> None:
    run = run_of(event.execution)
    executions = state.executions[run]
    assert event.replaces in executions, f"illegal: {event.replaces} is not there to be replaced"
    assert event.execution not in executions, f"illegal: {event.execution} is there already"
    key = event.execution.partition(".")[2]
    executions[event.execution] = Execution(
        id=event.execution, run=run, key=key, remakes=event.remakes
    )
    touch(state, run)


def _execution_reopened(state: State, event: ev.ExecutionReopened, _at_ms: int) -> None:
    run = run_of(event.execution)
    before = state.executions[run][event.execution]
    changed(OVERRIDES, before.phase, ExecutionPhase.PENDING)
    state.executions[run][before.id] = Execution(id=before.id, run=run, key=before.key)
    touch(state, run)


def _run_finished(state: State, event: ev.RunFinished, _at_ms: int) -> None:
    assert_final(event.phase)
    changed(RUN_CHANGES, state.runs[event.run].phase, event.phase)
    del state.runs[event.run], state.executions[event.run]
    state.touched.pop(event.run, None)


def touch(state: State, run: str) -> None:
    """Let the engine look at the run again, because of the entry that is being applied."""
    state.touched.pop(run, None)  # of those that one entry touches, the last named comes last
    state.touched[run] = state.seq + 1


# Any: each handler takes the one type that it is filed under, which a dict cannot express.
HANDLERS: dict[type, Callable[[State, Any, int], None]] = {
    ev.RunSubmitted: _run_submitted,
    ev.RunCancelRequested: _run_cancel_requested,
    ev.ExecutionSubmitted: _execution_submitted,
    ev.ExecutionEnded: _execution_ended,
    ev.RunFinished: _run_finished,
    ev.LateResult: _late_result,
    ev.ExecutionReplaced: _execution_replaced,
    ev.OutputDiverged: lambda _state, _event, _at_ms: None,
    ev.ExecutionReopened: _execution_reopened,
}
