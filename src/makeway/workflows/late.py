"""Decide before all candidates have ended, and take a better one when it comes.

A selection that does not wait for all is made as soon as enough candidates qualify; the others go
on. What ends later is a *late result*: it is recorded in the ranking, and with `reselect` the
selection is made again. If others are chosen then, it is the next version, and each step that has
read a place that changed hands, and all that read those steps, are done again: a new execution
replaces the old one, which is stopped if it still runs.

Holds:   a step is never computed with two versions at once · a step that has not begun takes what
         holds when it begins
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest

from msgspec.structs import replace

from makeway.errors import InvalidInput
from makeway.model import event as ev
from makeway.model.phase import ExecutionPhase
from makeway.model.workflow import (
    Binding,
    Execution,
    FromSlot,
    FromStep,
    Many,
    Ranked,
    Run,
    Selection,
    SelectTop,
    Step,
    execution_id,
    next_key,
)
from makeway.workflows.graph import upstream
from makeway.workflows.select import select_top

Latest = Mapping[str, Execution]  # by the key of the step

QUALIFIED = "qualified"


def early(select: SelectTop, by_key: Latest) -> bool:
    """Say whether a selection can be made although candidates have not ended."""
    if select.wait == "all":
        return False
    candidates = {key: by_key[key] for key in select.candidates}
    try:
        selection = select_top(select, candidates)
    except InvalidInput:
        return False  # said when all have ended
    chosen = len(selection.chosen)
    if isinstance(select.wait, int):
        usable = sum(ranked.value is not None for ranked in selection.ranking)
        needed = select.k if select.if_fewer == "fail" else 1
        return usable >= select.wait and chosen >= needed
    return chosen >= select.k


def losers(step: Step, by_key: Latest) -> Iterator[ev.Event]:
    """Let the candidates go that are not needed any more, once the selection is made."""
    select = step.select
    if select is None or not select.cancel_losers:
        return
    text = f"not needed any more: {step.key} has chosen"
    for key in select.candidates:
        candidate = by_key[key]
        if candidate.phase is ExecutionPhase.PENDING:
            yield ev.ExecutionEnded(
                execution=candidate.id, phase=ExecutionPhase.CANCELLED, text=text
            )
        elif not candidate.phase.final:
            yield ev.JobCancelRequested(job=candidate.id, text=text)


def not_needed(run: Run, execution: Execution) -> bool:
    """Say whether it was cancelled since a selection did not need it any more."""
    return execution.phase is ExecutionPhase.CANCELLED and any(
        step.select is not None
        and step.select.cancel_losers
        and execution.key in step.select.candidates
        for step in run.workflow.steps
    )


def late_results(run: Run, step: Step, by_key: Latest) -> Iterator[ev.Event]:
    """Conclude what follows from candidates that have ended since the selection was made."""
    before, select = by_key[step.key].selection, step.select
    if select is None or before is None or not by_key[step.key].phase.good:
        return
    late = tuple(
        ranked.candidate
        for ranked in before.ranking
        if ranked.open and by_key[ranked.candidate].phase.final
    )
    if not late:
        return
    now = _again(select, before, by_key)
    changed = now.chosen != before.chosen
    now = replace(now, version=before.version + changed)
    names = ", ".join(now.chosen)
    said = f"chose {names} (version {now.version})" if changed else f"chose {names}"
    text = f"{said}; {', '.join(late)} ended later"
    yield ev.LateResult(execution=by_key[step.key].id, candidates=late, selection=now, text=text)
    if changed:
        yield from _replaced(run, step, by_key, _moved(step.key, before, now))


def _again(select: SelectTop, before: Selection, by_key: Latest) -> Selection:
    try:
        now = select_top(select, {key: by_key[key] for key in select.candidates})
    except InvalidInput as error:
        ended = {
            ranked.candidate for ranked in before.ranking if by_key[ranked.candidate].phase.final
        }
        ranking = tuple(
            replace(ranked, open=False, why=error.problem)
            if ranked.open and ranked.candidate in ended
            else ranked
            for ranked in before.ranking
        )
        return replace(before, ranking=ranking)
    if select.reselect:
        return now
    return replace(now, ranking=tuple(_as_before(ranked, before) for ranked in now.ranking))


def _as_before(ranked: Ranked, before: Selection) -> Ranked:
    """Leave the choice as it is, and say of a better one that it came too late."""
    [was] = [one for one in before.ranking if one.candidate == ranked.candidate]
    if was.chosen == ranked.chosen:
        return ranked
    why = was.why if was.chosen else "it ended after the selection was made"
    return replace(ranked, chosen=was.chosen, why=why)


def _moved(select: str, before: Selection, now: Selection) -> set[FromSlot]:
    pairs = enumerate(zip_longest(before.chosen, now.chosen))
    return {FromSlot(select, slot) for slot, (old, new) in pairs if old != new}


def _replaced(run: Run, select: Step, by_key: Latest, moved: set[FromSlot]) -> Iterator[ev.Event]:
    """Do again each step that has begun, and that reads what was replaced."""
    changed: set[str] = set()
    keys = {key: execution.key for key, execution in by_key.items()}
    text = f"replaced: {select.key} has chosen others"
    for position, step in enumerate(run.workflow.steps):
        if not _reads(step, changed, moved):
            continue
        changed.add(step.key)
        old = by_key[step.key]
        if old.phase is ExecutionPhase.PENDING:
            continue
        keys[step.key] = next_key(old.key)
        yield ev.ExecutionReplaced(
            execution=execution_id(run.id, keys[step.key]),
            replaces=old.id,
            position=position,
            upstream=tuple(keys[key] for key in upstream(step)),
            text=text,
        )
        if not old.phase.final:
            yield ev.JobCancelRequested(job=old.id, text=text)


def _reads(step: Step, changed: set[str], moved: set[FromSlot]) -> bool:
    if step.select is not None and changed & {*step.select.candidates}:
        return True
    read = (*step.arguments.values(), *step.when)
    return any(_touches(binding, changed, moved) for binding in read)


def _touches(binding: Binding, changed: set[str], moved: set[FromSlot]) -> bool:
    match binding:
        case FromStep(step):
            return step in changed
        case FromSlot(step, _):
            return binding in moved or step in changed
        case Many(items):
            return any(_touches(item, changed, moved) for item in items)
        case _:
            return False
