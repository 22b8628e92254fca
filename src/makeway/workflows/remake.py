"""Have a step run again whose output is lost, for whoever needs it.

An output that is kept in memory, or on one machine, may be gone when somebody reads it. Then the
step that made it is done again by a new execution (`ingest~2`), which *remakes* the output for a
*consumer*: a step that has failed for lack of it, or one that was about to begin. What the maker
itself reads may be lost as well: then its own makers come first, and so on, only through what is
missing. Whoever else needs the same output meanwhile waits for the same execution.

An output is made again once, and so many consumers of a run may ask, whatever they lack; a maker that
may not be repeated is asked about instead.

Takes:   a run, its executions by their ids, and by step the one that counts
Gives:   events; a sentence where an output is not made again
Holds:   of one step at most one execution is not final · a step that begins has all that it reads
Source:  the walk through what is missing alone: Ray's lineage reconstruction
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from makeway.model import event as ev
from makeway.model.phase import ExecutionPhase
from makeway.model.workflow import (
    Binding,
    Execution,
    FromSlot,
    FromStep,
    Many,
    Run,
    Step,
    execution_id,
    latest,
    next_key,
    step_key,
    turn_of,
)
from makeway.workflows.cache import Earlier
from makeway.workflows.graph import upstream
from makeway.workflows.inputs import Executions

PER_OUTPUT, PER_RUN, DEPTH_MAX = 1, 3, 10
NAMED_MAX = 3
HAS_READ = (
    ExecutionPhase.QUEUED, ExecutionPhase.STARTING, ExecutionPhase.RUNNING, ExecutionPhase.BACKOFF,
    ExecutionPhase.SUCCEEDED, ExecutionPhase.FAILED, ExecutionPhase.STOPPED,
)  # fmt: skip


def sources(step: Step, by_key: Executions) -> tuple[Execution, ...]:
    """Give the executions whose outputs a step reads, each once, as things stand."""
    found: dict[str, Execution] = {}
    for binding in (*step.arguments.values(), *step.when):
        found |= {one.id: one for one in _sources(binding, by_key)}
    return tuple(found.values())


def _sources(binding: Binding, by_key: Executions) -> Iterator[Execution]:
    match binding:
        case FromStep(step):
            yield from _with_output(by_key[step])
        case FromSlot(step, slot):
            selection = by_key[step].selection
            if selection is not None and slot < len(selection.chosen):
                yield from _with_output(by_key[selection.chosen[slot]])
        case Many(items):
            for item in items:
                yield from _sources(item, by_key)
        case _:
            return


def _with_output(execution: Execution) -> Iterator[Execution]:
    if execution.phase.good and execution.output is not None:
        yield execution


# ── who has lost what ─────────────────────────────────────────────────────────────────────────────


def lost(
    step: Step, by_key: Executions, earlier: Earlier, known: dict[str, bool]
) -> list[Execution]:
    """Give the makers of what a step is about to read and what is gone; nothing is asked twice."""
    found = []
    for one in sources(step, by_key):
        output = one.output
        assert output is not None, "a source has an output"
        if output.digest not in known:
            known[output.digest] = earlier.has(output)
        if not known[output.digest]:
            found.append(one)
    return found


def remade(run: Run, by_key: Executions, key: str, consumer: str) -> ev.ExecutionReplaced:
    """Let a step make its output again, for who needs it."""
    before = by_key[key]
    [(position, step)] = [
        (at, step) for at, step in enumerate(run.workflow.steps) if step.key == key
    ]
    assert before.phase.final, f"{before.id} is at it already"
    return ev.ExecutionReplaced(
        execution=execution_id(run.id, next_key(before.key)),
        replaces=before.id,
        position=position,
        upstream=tuple(by_key[one].key for one in upstream(step)),
        text=f"what {before.key} gave is gone, and {_key(consumer)} needs it",
        remakes=consumer,
        lost="" if before.output is None else before.output.digest,
    )


def times(executions: Executions, made: Execution) -> int:
    """Count how often an output had been made again when this execution of its step had made it."""
    return sum(
        bool(one.remakes)
        for one in executions.values()
        if step_key(one.key) == step_key(made.key) and turn_of(one.key) <= turn_of(made.key)
    )


def asked_for(executions: Executions) -> int:
    """Count the consumers of a run for which anything was made again; makers are not counted."""
    roots = {one.remakes for one in executions.values() if one.remakes}
    return sum(not _remakes(executions, root) for root in roots)


def refusal(run: Run, executions: Executions, made: Execution, consumer: str) -> str:
    """Say why an output is not made again; empty: it may be."""
    step = run.workflow.step(step_key(made.key))
    if not step.idempotent:
        return f"{step.key} may not be repeated by itself (idempotent: false): is another run safe?"
    if times(executions, made) >= PER_OUTPUT:
        return f"what {step.key} gives was made again once already: the data ledger is empty"
    if _remakes(executions, consumer):
        if _depth(executions, consumer) >= DEPTH_MAX:
            return f"more than {DEPTH_MAX} steps in a row have lost what they gave"
    elif asked_for(executions) >= PER_RUN and consumer not in {
        one.remakes for one in executions.values()
    }:
        return f"lost data were made again {PER_RUN} times in this run: the data ledger is empty"
    return ""


def _remakes(executions: Executions, name: str) -> bool:
    return name in executions and bool(executions[name].remakes)


def _depth(executions: Executions, name: str) -> int:
    depth = 0
    while _remakes(executions, name):
        name, depth = executions[name].remakes, depth + 1
    return depth


# ── before a step begins ──────────────────────────────────────────────────────────────────────────


def before_it_begins(
    run: Run, executions: Executions, consumer: Execution, lacking: Iterable[Execution]
) -> Iterator[ev.Event]:
    """Have made again what a step lacks that is about to begin; or say that it never will be."""
    for maker in lacking:
        why = refusal(run, executions, maker, consumer.id)
        if why:
            text = f"what {maker.key} gave is gone, and is not made again: {why}"
            yield ev.ExecutionEnded(execution=consumer.id, phase=ExecutionPhase.OMITTED, text=text)
            return
    by_key = latest(executions)
    for maker in lacking:
        yield remade(run, by_key, step_key(maker.key), consumer.id)


# ── once it is made again ─────────────────────────────────────────────────────────────────────────


def diverged(run: Run, executions: Executions, made: Execution) -> ev.OutputDiverged | None:
    """Say that an output that was made again is not what it was, and who had read that."""
    if not made.remakes or made.output is None:
        return None
    turn = turn_of(made.key) - 1
    [before] = [
        one
        for one in executions.values()
        if step_key(one.key) == step_key(made.key) and turn_of(one.key) == turn
    ]
    if before.output is None or before.output.digest == made.output.digest:
        return None
    own = step_key(made.key)
    readers = {step.key for step in run.workflow.steps if own in upstream(step)}
    consumers = tuple(
        one.id
        for one in executions.values()
        if step_key(one.key) in readers and one.phase in HAS_READ and step_key(one.key) != own
    )
    said = ", ".join(_key(one) for one in consumers[:NAMED_MAX])
    more = f" and {len(consumers) - NAMED_MAX} more" if len(consumers) > NAMED_MAX else ""
    text = f"{made.key} made something else than {before.key} had"
    text += f", which {said}{more} had read" if said else ""
    return ev.OutputDiverged(
        execution=made.id,
        replaces=before.id,
        before=before.output.digest,
        after=made.output.digest,
        consumers=consumers,
        text=text,
    )


def _key(execution: str) -> str:
    return execution.partition(".")[2]
