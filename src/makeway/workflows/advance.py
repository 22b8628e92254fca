"""Carry a run forward: which steps can be submitted, which end without running, when it is over.

A step waits until everything it reads is final. If all of it is good, the step is submitted (or an
earlier output with the same cache key stands in), unless some of it is lost by then (`remake`). If something will never come, the step is
omitted. A place that a selection could not fill is *vacant*: a step that reads it alone is omitted
too, but a fan-in goes on with those that are there.

Takes:   run, executions   what is believed about the run and its steps, by execution id
         earlier           what a step that is cached may take over from other runs
Gives:   events in the order in which they are to be believed; none when there is nothing to do
Holds:   a step is submitted once · a finished run has only final steps · order of the workflow
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from msgspec.structs import replace

from makeway.errors import InvalidInput
from makeway.model import event as ev
from makeway.model.job import JobSpec, OnHopeless, Program, StepCall, WorkerGroup
from makeway.model.phase import ExecutionPhase, RunPhase
from makeway.model.workflow import (
    Binding,
    Constant,
    Execution,
    FromStep,
    Reusable,
    Run,
    Step,
    Stored,
    latest,
    step_key,
)
from makeway.workflows.cache import NOTHING, Earlier, cache_key, key_parts
from makeway.workflows.graph import steps_in, upstream
from makeway.workflows.inputs import (
    Executions,
    Missing,
    assert_triggered,
    resolve,
    settled,
    vacant,
)
from makeway.workflows.late import early, late_results, losers, not_needed
from makeway.workflows.remake import before_it_begins, lost, sources
from makeway.workflows.select import select_top


def advance(run: Run, executions: Executions, earlier: Earlier = NOTHING) -> list[ev.Event]:
    """Say what can happen next in this run."""
    by_key = latest(executions)
    if run.phase is RunPhase.RUNNING:
        late = [
            event
            for step in run.workflow.steps
            if step.select is not None
            for event in late_results(run, step, by_key)
        ]
        if late:
            return late
        # What was replaced has to be gone before it is done again: both may want the same port.
        leaving = _leaving(executions, by_key)
        events = [*_fails_fast(run, by_key)] or [*_lacking(run, executions, leaving, earlier)]
        events = events or [*_beginning(run, by_key, leaving, earlier)]
        if events:
            return events
    if all(execution.phase.final for execution in executions.values()):
        return [_finish(run, by_key)]
    return []


def _leaving(executions: Executions, by_key: Executions) -> Collection[str]:
    if len(executions) == len(by_key):
        return ()
    old = [one for one in executions.values() if one is not by_key[step_key(one.key)]]
    return {step_key(one.key) for one in old if not one.phase.final}


def _beginning(
    run: Run, by_key: Executions, leaving: Collection[str], earlier: Earlier
) -> Iterator[ev.Event]:
    """Begin every step that can; of those of one group only as many as there may be at a time."""
    begun = _begun(run, by_key)
    for step in run.workflow.steps:
        if not _may_begin(step, by_key, leaving, begun):
            continue
        for event in _begin(run, step, by_key, earlier):
            if step.parallel is not None and isinstance(event, ev.ExecutionSubmitted):
                begun[step.parallel.group] += 1
            yield event


def _begun(run: Run, by_key: Executions) -> Counter[str]:
    begun = Counter[str]()
    for step in run.workflow.steps:
        phase, group = by_key[step.key].phase, "" if step.parallel is None else step.parallel.group
        if group and not phase.final and phase is not ExecutionPhase.PENDING:
            begun[group] += 1
    return begun


def _may_begin(
    step: Step, by_key: Executions, leaving: Collection[str], begun: Counter[str]
) -> bool:
    waits = by_key[step.key].phase is ExecutionPhase.PENDING and step.key not in leaving
    full = step.parallel is not None and begun[step.parallel.group] >= step.parallel.most
    return waits and not full and _settled(step, by_key)


def _lacking(
    run: Run, executions: Executions, leaving: Collection[str], earlier: Earlier
) -> list[ev.Event]:
    """Look whether all is there that the next steps read; of the first that lacks any, what follows."""
    by_key = latest(executions)
    begun, known = _begun(run, by_key), dict[str, bool]()
    for step in run.workflow.steps:
        if step.select is None and _may_begin(step, by_key, leaving, begun):
            lacking = lost(step, by_key, earlier, known)
            if lacking and _computed(run, step, by_key, earlier):
                return [*before_it_begins(run, executions, by_key[step.key], lacking)]
    return []


def _computed(run: Run, step: Step, by_key: Executions, earlier: Earlier) -> bool:
    """Say whether a step will read its inputs: its triggers allow it, and nothing stands in for it."""
    try:
        assert_triggered(step, by_key)
        arguments = _arguments(run, step, by_key)
    except Missing:
        return False
    # With a condition, what is read says whether it is to be computed at all.
    return bool(step.when) or _stand_in(run, step, earlier, cache_key(step, arguments)) is None


def _fails_fast(run: Run, by_key: Executions) -> Iterator[ev.Event]:
    """Cancel all the rest as soon as a step has failed, in a run that is to do so."""
    if run.workflow.on_failure != "fail_fast":
        return
    failed = [
        one.key
        for one in by_key.values()
        if one.phase in (ExecutionPhase.FAILED, ExecutionPhase.STOPPED)
    ]
    if not failed:
        return
    text = f"{failed[0]} failed, and the run is to fail fast"
    for one in by_key.values():
        if one.phase is ExecutionPhase.PENDING:
            yield ev.ExecutionEnded(execution=one.id, phase=ExecutionPhase.CANCELLED, text=text)
        elif not one.phase.final:
            yield ev.JobCancelRequested(job=one.id, text=text)


def _settled(step: Step, by_key: Executions) -> bool:
    if step.select is None:
        return settled(step, by_key)
    open_ones = {key for key in upstream(step) if not by_key[key].phase.final}
    after = open_ones & {*step.after} or open_ones - {*step.select.candidates}
    return not open_ones or (not after and early(step.select, by_key))


def _begin(run: Run, step: Step, by_key: Executions, earlier: Earlier) -> Iterator[ev.Event]:
    execution = by_key[step.key].id
    try:
        assert_triggered(step, by_key)
        stopped = _condition(run, step, by_key, earlier)
        if stopped is not None:
            yield stopped
            return
        if step.select is not None:
            yield _selected(execution, step, by_key)
            yield from losers(step, by_key)
            return
        arguments = _arguments(run, step, by_key)
    except Missing as missing:
        yield ev.ExecutionEnded(
            execution=execution, phase=ExecutionPhase.OMITTED, text=str(missing)
        )
        return
    key, parts = cache_key(step, arguments), key_parts(step, arguments)
    anew = _anew(run, step, by_key)
    found = None if anew else _stand_in(run, step, earlier, key)
    if found is not None:
        yield ev.ExecutionEnded(
            execution=execution,
            phase=ExecutionPhase.CACHED,
            text=f"reused from run {found.run}: {_same(step)}, same inputs",
            output=found.output,
            metrics=found.metrics,
            cache_key=key,
            key_parts=parts,
        )
    elif anew or not earlier.computing(step, key):
        yield ev.ExecutionSubmitted(execution=execution, cache_key=key, key_parts=parts)
        name = f"{run.workflow.name}.{by_key[step.key].key}"
        spec = _job(run, step, arguments, name)
        if spec.program.call is not None:
            read = tuple(one.id for one in sources(step, by_key))
            call = replace(spec.program.call, sources=read, durability=step.durability)
            spec = replace(spec, program=replace(spec.program, call=call))
        yield ev.JobSubmitted(job=execution, spec=spec)


def _stand_in(run: Run, step: Step, earlier: Earlier, key: str) -> Reusable | None:
    """Give an output of an earlier run that is as good as computing it."""
    return None if step.key in run.fresh else run.reusable.get(key) or earlier.find(step, key)


def _anew(run: Run, step: Step, by_key: Executions) -> bool:
    """Say whether it is computed whatever was computed before: asked for, or since that is lost."""
    return step.key in run.fresh or bool(by_key[step.key].remakes)


def _arguments(run: Run, step: Step, by_key: Executions) -> dict[str, Binding]:
    lenient = bool(step.trigger)
    return {
        name: resolve(run.workflow, binding, by_key, lenient=lenient)
        for name, binding in step.arguments.items()
    }


def _condition(
    run: Run, step: Step, by_key: Executions, earlier: Earlier
) -> ev.ExecutionEnded | None:
    """Give how the step ends if a condition of it is false, or cannot be told."""
    execution = by_key[step.key].id
    for condition in step.when:
        binding = resolve(run.workflow, condition, by_key)
        name = ", ".join(steps_in(condition)) or "it"
        match binding:
            case Constant(value):
                true: bool | None = bool(value)
            case Stored(output):
                true = earlier.truth(output)
            case _:
                true = None
        if true is None:
            text = f"its condition cannot be told: what {name} gave is no plain value, or is gone"
            return ev.ExecutionEnded(execution=execution, phase=ExecutionPhase.FAILED, text=text)
        if not true:
            text = f"its condition is false: {name} said so"
            return ev.ExecutionEnded(execution=execution, phase=ExecutionPhase.SKIPPED, text=text)
    return None


def _same(step: Step) -> str:
    return "same version" if step.cache is not None and step.cache.version else "same code"


def _job(run: Run, step: Step, arguments: dict[str, Binding], name: str) -> JobSpec:
    group = WorkerGroup(count_min=step.workers, count_max=step.workers, per_worker=step.per_worker)
    file = run.workflow.file
    program = Program(call=StepCall(file=file, function=step.function, arguments=arguments))
    if step.command:
        program = Program(argv=step.command, directory=file.rpartition("/")[0])
    return JobSpec(
        name=name,
        user=run.user,
        queue=run.queue,
        priority=run.priority + step.priority,
        groups=(group,),
        program=program,
        retries=step.retries,
        idempotent=step.idempotent,
        run=run.id,
        max_memory_bytes=step.max_memory_bytes,
        goal=step.goal,
        min_rate=step.min_rate,
        on_hopeless=OnHopeless(step.on_hopeless),
        on_failure=step.on_failure,
    )


def _selected(execution: str, step: Step, by_key: Executions) -> ev.ExecutionEnded:
    select = step.select
    assert select is not None, "asked only for steps that select"
    try:
        selection = select_top(select, {key: by_key[key] for key in select.candidates})
    except InvalidInput as error:
        return ev.ExecutionEnded(execution=execution, phase=ExecutionPhase.FAILED, text=str(error))
    chosen = len(selection.chosen)
    phase, text = ExecutionPhase.SUCCEEDED, f"chose {', '.join(selection.chosen)}"
    if chosen == 0:
        phase = ExecutionPhase.FAILED
        text = f"NO_QUALIFIED_MODEL: {_best(selection.metric, selection.minimum, by_key, step)}"
    elif chosen < select.k:
        text += f"; only {chosen} of the {select.k} wanted are good enough"
        if select.if_fewer == "fail":
            phase = ExecutionPhase.FAILED
            text = (
                f"only {chosen} of the {select.k} wanted are good enough, and fewer are not allowed"
            )
    return ev.ExecutionEnded(execution=execution, phase=phase, text=text, selection=selection)


def _best(metric: str, minimum: float | None, by_key: Executions, step: Step) -> str:
    assert step.select is not None, "asked only for steps that select"
    values = [
        (by_key[key].metrics[metric], key)
        for key in step.select.candidates
        if by_key[key].phase.good and math.isfinite(by_key[key].metrics.get(metric, math.nan))
    ]
    if not values:
        return f"no candidate recorded {metric}"
    best = max(values) if step.select.mode == "max" else min(values)
    wanted = "" if minimum is None else f", wanted is {minimum:g}"
    return f"the best is {best[1]} with {metric} {best[0]:g}{wanted}"


def _finish(run: Run, by_key: Executions) -> ev.RunFinished:
    if run.phase is RunPhase.CANCELLING:
        return ev.RunFinished(run=run.id, phase=RunPhase.CANCELLED)
    bad = [execution for execution in by_key.values() if _bad(run, execution, by_key)]
    if not bad:
        text = "; ".join(_short(run, by_key))
        return ev.RunFinished(run=run.id, phase=RunPhase.SUCCEEDED, text=text)
    try:
        resolve(run.workflow, run.workflow.result, by_key)
        usable = run.workflow.result != Constant(None)
    except Missing:
        usable = False
    phase = RunPhase.SUCCEEDED_WITH_FAILURES if usable else RunPhase.FAILED
    return ev.RunFinished(run=run.id, phase=phase, text=_without(bad))


def _without(bad: Sequence[Execution]) -> str:
    """Name those that did not succeed apart from those that they held up."""
    held = [one.key for one in bad if one.phase is ExecutionPhase.OMITTED]
    failed = [one.key for one in bad if one.key not in held]
    said = [f"did not succeed: {', '.join(failed)}"] if failed else []
    return "; ".join((*said, *([f"held up: {', '.join(held)}"] if held else [])))


def _short(run: Run, by_key: Executions) -> Iterator[str]:
    """Name the selections that found fewer than they were to find."""
    for step in run.workflow.steps:
        selection = by_key[step.key].selection
        if selection is not None and len(selection.chosen) < selection.k:
            yield f"{step.key} {by_key[step.key].text}"


def _bad(run: Run, execution: Execution, by_key: Executions) -> bool:
    if execution.phase is ExecutionPhase.OMITTED:
        return not vacant(run.workflow, FromStep(step_key(execution.key)), by_key)
    if not_needed(run, execution):
        return False
    if execution.waived:
        return True
    return not execution.phase.good and execution.phase is not ExecutionPhase.SKIPPED
