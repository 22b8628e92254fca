"""Let people override what was decided about a step: try it again, stop it, go on without it.

A retry that somebody wants is the next attempt, beyond every ledger and charged to none; what the
attempts before had grown to, saved and avoided, it has as well. Who is stopped has not failed, and
who is skipped is missing to nobody: what reads it goes on with None, or in a list with a `Failure`,
and what had been given up for want of it may run after all. A run that was over goes on for that.

Takes:   state, StepOverridden
Gives:   why it cannot be; what is believed then; what follows from it
Holds:   what is refused changes nothing · an attempt is never changed, only followed by another
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from makeway.engine import dependencies, presence, waiting
from makeway.engine.orders import stop
from makeway.engine.runs import move, touch
from makeway.engine.state import State
from makeway.model import event as ev
from makeway.model.phase import AttemptPhase, ExecutionPhase, JobPhase, RunPhase
from makeway.model.workflow import Execution, Workflow, latest, run_of, step_key
from makeway.workflows.graph import upstream

ACTS = ("retry", "stop", "skip")
BAD = (ExecutionPhase.FAILED, ExecutionPhase.STOPPED, ExecutionPhase.CANCELLED)
GONE = "no such step, or it has ended meanwhile: look at it again"

# ── what is refused ───────────────────────────────────────────────────────────────────────────────


def refusal(state: State, event: ev.StepOverridden) -> str | None:
    """Say why it cannot be overridden so, or None if it can."""
    if event.act not in ACTS:
        return f"there is no {event.act}; there are {', '.join(ACTS)}"
    if event.job in state.jobs:
        return GONE if event.was or event.run else _alive(state, event)
    if event.run is not None and event.run.id in state.runs:
        return GONE
    execution = _execution(state, event)
    if execution is None:
        return _alone(event)
    run = event.run or state.runs.get(execution.run)
    if run is None:
        return GONE
    if run.phase in (RunPhase.CANCELLING, RunPhase.CANCELLED):
        return "its run was cancelled; resume it: makeway resume"
    executions = _all(state, event)
    if latest(executions).get(step_key(execution.key)) != execution:
        return f"it was replaced by {latest(executions)[step_key(execution.key)].id}"
    return _ended(event, execution)


def _alive(state: State, event: ev.StepOverridden) -> str | None:
    job = state.jobs[event.job]
    if job.cancel_wanted:
        return "it is on its way out already"
    attempt = state.attempts.get(job.id)
    match event.act:
        case "skip":
            return "it has not failed: it can be skipped once it has, or was stopped"
        case "retry" if attempt is not None and attempt.phase is AttemptPhase.STOPPING:
            return "it is leaving already, and its next attempt follows"
        case "retry" if attempt is None and job.held is not None:
            return "it is held; release it first"
        case "retry" if attempt is None and job.id not in state.paused:
            return "it waits for its turn already"
    return None


def _alone(event: ev.StepOverridden) -> str | None:
    """Judge a job that is no step of a run, and has ended."""
    if event.was is None or event.was.spec.run is not None:
        return GONE
    if event.act == "stop":
        return "it has ended, so there is nothing to stop"
    if event.act == "skip":
        return "it is no step of a run, so that nothing goes on after it"
    ended_well = event.was.phase is JobPhase.SUCCEEDED
    return "it ended well; submit it again to have it once more" if ended_well else None


def _ended(event: ev.StepOverridden, execution: Execution) -> str | None:
    phase = execution.phase
    if phase is ExecutionPhase.PENDING:
        return "it has not begun: it waits for the steps before it"
    if event.act == "stop":
        return f"it has ended, so there is nothing to stop: it {phase.told}"
    if phase in BAD:
        if event.act == "retry" and event.was is None:
            return "makeway decides it by itself, so there is no attempt to repeat"
        return None
    if phase.good:
        return f"it {phase.told}; makeway resume --from-step does it again"
    return f"it {phase.told}, so it never ran: override the step that it waited for"


def _execution(state: State, event: ev.StepOverridden) -> Execution | None:
    return _all(state, event).get(event.job)


def _all(state: State, event: ev.StepOverridden) -> Mapping[str, Execution]:
    if event.run is not None:
        return {one.id: one for one in event.executions}
    return state.executions.get(run_of(event.job), {})


# ── what is believed ──────────────────────────────────────────────────────────────────────────────


def _overridden(state: State, event: ev.StepOverridden, at_ms: int) -> None:
    state.changed = True
    if event.job in state.jobs:
        if event.act == "stop":
            job = replace(state.jobs[event.job], cancel_wanted=True, stop_wanted=event.text)
            dependencies.put(state, job)
        elif event.job in state.paused:
            job = replace(state.jobs[event.job], not_before_ms=at_ms, lacks=())
            state.jobs[job.id] = job
            waiting.resume(state, job, at_ms)
        return
    if event.run is not None:
        state.runs[event.run.id] = replace(event.run, phase=RunPhase.RUNNING)
        state.executions[event.run.id] = {one.id: one for one in event.executions}
    if run_of(event.job) in state.runs:
        touch(state, run_of(event.job))
    if event.act == "retry":
        _again(state, event, at_ms)


def _again(state: State, event: ev.StepOverridden, at_ms: int) -> None:
    """Let a job that has ended wait for its next attempt."""
    assert event.was is not None, "a retry of what has ended brings the job along"
    state.order += 1
    job = replace(
        event.was, order=state.order, phase=JobPhase.QUEUED, not_before_ms=at_ms, held=None,
        cancel_wanted=False, stop_wanted=None, lacks=(), only=None, inherited=None,
        spec=replace(event.was.spec, after=()),
    )  # fmt: skip
    state.ended.pop(job.id, None)
    presence.come(state, job.spec.queue)
    state.jobs[job.id] = job
    move(state, job.id, ExecutionPhase.QUEUED, overrides=True)
    waiting.enter(state, job, at_ms)


# ── what follows ──────────────────────────────────────────────────────────────────────────────────


def _follows(state: State, event: ev.StepOverridden, _at_ms: int) -> Iterator[ev.Event]:
    job, attempt = event.job, state.attempts.get(event.job)
    if event.act == "stop":
        if attempt is None:
            yield ev.JobFinished(job=job, phase=JobPhase.CANCELLED, text=event.text, stopped=True)
        elif attempt.phase is not AttemptPhase.STOPPING:
            yield stop(state, attempt, "cancel", event.text)
        return
    if attempt is not None:
        yield stop(state, attempt, "restarted", event.text)
        return
    if event.act == "skip":
        yield ev.ExecutionEnded(
            execution=job, phase=ExecutionPhase.SKIPPED, text=event.text, waived=True
        )
    run = run_of(job)
    if run in state.runs and state.executions[run].get(job) is not None:
        yield from _reopened(state, run, job)


def _reopened(state: State, run: str, job: str) -> Iterator[ev.Event]:
    """Let those run after all that were given up for want of this step."""
    executions = state.executions[run]
    step = step_key(executions[job].key)
    by_key = latest(executions)
    for key in _below(state.runs[run].workflow, step):
        if by_key[key].phase is ExecutionPhase.OMITTED:
            text = f"somebody has overridden {step}"
            yield ev.ExecutionReopened(execution=by_key[key].id, text=text)


def _below(workflow: Workflow, step: str) -> Iterator[str]:
    """Give the steps that wait for one, directly or not, in the order of the workflow."""
    found = {step}
    for one in workflow.steps:
        if found & {*upstream(one)}:
            found.add(one.key)
            yield one.key


# Any: each takes the one type that it is filed under, which a dict cannot express.
RULES: dict[type, Callable[[State, Any, int], Iterator[ev.Event]]] = {ev.StepOverridden: _follows}
HANDLERS: dict[type, Callable[[State, Any, int], None]] = {ev.StepOverridden: _overridden}
