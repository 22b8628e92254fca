"""Let a job wait for lost data to be made again, and go on with what comes of it.

A job that has lost what it read is queued again and stands aside; the steps that made it are done
again (`workflows.remake` says which, and whether they may). Two that lost the same wait for the same
execution, and one that failed after it was made again goes on at once: what it read is an older one
than there is. What was made again takes the place of what was lost in the job's arguments; all else
that it reads stays as it was.

Takes:   the state; a decision to make data again, or the end of an execution that does so
Gives:   what follows, as events; the ledger of lost data as it stands for a job
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from makeway.engine.state import State
from makeway.model import event as ev
from makeway.model.incident import InputSeen
from makeway.model.job import JobSpec, StepCall
from makeway.model.phase import JobPhase, RunPhase
from makeway.model.record import Output
from makeway.model.workflow import (
    Binding,
    Execution,
    Many,
    Stored,
    latest,
    run_of,
    step_key,
)
from makeway.workflows.remake import (
    PER_OUTPUT,
    PER_RUN,
    asked_for,
    diverged,
    refusal,
    remade,
    times,
)

RERUN = "rerun_upstream"


# ── an attempt has lost data ──────────────────────────────────────────────────────────────────────


def known_makers(state: State, job: str, inputs: Iterable[InputSeen]) -> tuple[InputSeen, ...]:
    """Name the steps of the job's own run that made what it read."""
    read = {one.output.digest: step_key(one.key) for one in _read(state, job) if one.output}
    spec = state.jobs[job].spec
    call = spec.program.call
    stored = {} if call is None else dict(_stored_in(call))
    return tuple(
        replace(one, producer=read.get(stored.get(one.name or "", ""), one.producer))
        for one in inputs
    )


def ledger(state: State, job: str, inputs: Iterable[InputSeen]) -> tuple[int, int] | None:
    """Give how often what was lost has been made again, and may be; None: nothing of a run is lost."""
    gone = {one.producer for one in inputs if one.available is False and one.producer}
    made = [one for one in _read(state, job) if step_key(one.key) in gone]
    if not made:
        return None
    executions = state.executions[run_of(job)]
    used = max(times(executions, one) for one in made)
    if asked_for(executions) >= PER_RUN and any(_newer(state, one) is None for one in made):
        return max(PER_RUN, used), PER_RUN
    return used, PER_OUTPUT


def refused(state: State, job: str, makers: Iterable[str]) -> str:
    """Say why what a job lost is not made again; empty: it may be."""
    execution = state.execution(job)
    if execution is None:
        return f"run {', '.join(makers)} again, then resume"
    run, executions = state.runs[execution.run], state.executions[execution.run]
    by_key = latest(executions)
    for key in makers:
        if key not in by_key:
            return f"{key} is no step of this run: run it again, then resume"
        made = by_key[key]
        if _is_stale(state, job, made):
            continue
        why = refusal(run, executions, made, _attempt_of(state, job))
        if why:
            return why
    return ""


def begun(state: State, job: str, makers: Iterable[str]) -> Iterator[ev.Event]:
    """Have made again what a job waits for, unless that is under way, or was done since."""
    run = state.runs[run_of(job)]
    by_key = latest(state.executions[run.id])
    for key in makers:
        if not _is_stale(state, job, by_key[key]):
            yield remade(run, by_key, key, _attempt_of(state, job))
    made = [by_key[key] for key in makers]
    if all(one.phase.final and _is_stale(state, job, one) for one in made):
        yield from _look_again(state, state.executions[run.id][job])


def _is_stale(state: State, job: str, made: Execution) -> bool:
    """Say whether what a job read is older than what its maker gives, or is about to give."""
    return not made.phase.final or (bool(made.remakes) and made.id not in _call(state, job).sources)


def _attempt_of(state: State, job: str) -> str:
    return f"{job}/{state.jobs[job].attempts}"


def _newer(state: State, read: Execution) -> Execution | None:
    newest = latest(state.executions[read.run])[step_key(read.key)]
    return None if newest.id == read.id else newest


# ── it is made again ──────────────────────────────────────────────────────────────────────────────


def after_it_ended(state: State, event: ev.ExecutionEnded) -> Iterator[ev.Event]:
    """Conclude what follows for those who wait from the end of an execution."""
    run = run_of(event.execution)
    executions = state.executions.get(run)
    if executions is None or not executions[event.execution].remakes:
        return
    made = executions[event.execution]
    found = diverged(state.runs[run], executions, made) if made.phase.good else None
    if found is not None:
        yield found
    for execution in [*executions.values()]:
        if execution.awaits and not execution.phase.final:
            yield from _look_again(state, execution)


def _look_again(state: State, consumer: Execution) -> Iterator[ev.Event]:
    if state.runs[consumer.run].phase is RunPhase.CANCELLING:
        return  # whoever waits is cancelled as well
    newer = {one.id: _newer(state, one) for one in _read(state, consumer.id)}
    makers = awaited(state, consumer)
    failed = [one for one in makers if one.phase.final and not one.phase.good]
    if failed:
        text = f"what it had read is gone, and {failed[0].key} {failed[0].phase.told}"
        text += f": {failed[0].text}" if failed[0].text else ""
        yield ev.JobFinished(job=consumer.id, phase=JobPhase.FAILED, text=text)
    elif all(one.phase.good for one in makers):
        yield _restored(state, consumer, newer)


def awaited(state: State, consumer: Execution) -> list[Execution]:
    """Give what has to end well before a job goes on: what it lost, and all that is made anew."""
    by_key = latest(state.executions[consumer.run])
    newer = [_newer(state, one) for one in _read(state, consumer.id)]
    return [*(by_key[key] for key in consumer.awaits), *filter(None, newer)]


def _restored(
    state: State, consumer: Execution, newer: dict[str, Execution | None]
) -> ev.InputsRestored:
    executions, outputs, sources = state.executions[consumer.run], dict[str, Output](), list[str]()
    names = []
    for read, made in newer.items():
        old = executions[read].output
        if made is None or old is None or made.output is None:
            sources.append(read)
            continue
        outputs[old.digest] = made.output
        sources.append(made.id)
        names.append(made.key)
    call = _call(state, consumer.id)
    return ev.InputsRestored(
        job=consumer.id,
        arguments={name: _put(one, outputs) for name, one in call.arguments.items()},
        sources=tuple(sources),
        text=f"{', '.join(names)} made its output again",
    )


def with_inputs(spec: JobSpec, event: ev.InputsRestored) -> JobSpec:
    """Give what a job asks for when it reads what was made again."""
    call = spec.program.call
    assert call is not None, "only a step reads what others made"
    call = replace(call, arguments=event.arguments, sources=event.sources)
    return replace(spec, program=replace(spec.program, call=call))


def _put(binding: Binding, outputs: dict[str, Output]) -> Binding:
    match binding:
        case Stored(output):
            return Stored(outputs.get(output.digest, output))
        case Many(items):
            return replace(binding, items=tuple(_put(item, outputs) for item in items))
        case _:
            return binding


# ── what it read ──────────────────────────────────────────────────────────────────────────────────


def _call(state: State, job: str) -> StepCall:
    return state.jobs[job].spec.program.call or StepCall(file="", function="")


def _read(state: State, job: str) -> list[Execution]:
    executions = state.executions.get(run_of(job), {})
    return [executions[one] for one in _call(state, job).sources if one in executions]


def _stored_in(call: StepCall) -> Iterator[tuple[str, str]]:
    for name, binding in call.arguments.items():
        yield from _stored(name, binding)


def _stored(key: str, binding: Binding) -> Iterator[tuple[str, str]]:
    match binding:
        case Stored(output):
            yield key, output.digest
        case Many(items):
            for place, item in enumerate(items):
                yield from _stored(f"{key}[{place}]", item)
        case _:
            return
