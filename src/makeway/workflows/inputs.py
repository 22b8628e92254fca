"""Say whether what a step reads is there, and put it in the place of what refers to it.

A step waits until everything it reads is final, unless a list says that fewer are enough. What will
never come makes the step impossible (`Missing`), unless its `trigger` is content with less: then it
reads None, and in a list a `Failure`.

Holds:   a list with `min_success` keeps every place, in order; one with `wait` has those that are there
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from makeway.model.phase import ExecutionPhase
from makeway.model.workflow import (
    Binding,
    Constant,
    Execution,
    Failure,
    FromSlot,
    FromStep,
    Many,
    Step,
    Stored,
    Workflow,
)
from makeway.workflows.graph import steps_in, upstream

Executions = Mapping[str, Execution]

NUMBER = re.compile(r"(at_least|quorum)\((.+)\)")
SHOWN_MAX = 3
LOST = (ExecutionPhase.FAILED, ExecutionPhase.STOPPED, ExecutionPhase.CANCELLED)
ROUNDED = 1e-9  # a third of three is one


class Missing(Exception):
    """Something that a step reads will never come."""


def settled(step: Step, by_key: Executions) -> bool:
    """Say whether enough of what a step waits for has ended; `select` has rules of its own."""
    conditions = [key for binding in step.when for key in steps_in(binding)]
    if not all(by_key[key].phase.final for key in (*step.after, *conditions)):
        return False
    hopeless = not step.trigger and any(
        _hopeless(binding, by_key) for binding in step.arguments.values()
    )
    return hopeless or all(_enough(binding, by_key) for binding in step.arguments.values())


def assert_triggered(step: Step, by_key: Executions) -> None:
    """Raise `Missing` if too few of the steps before have succeeded."""
    if not step.trigger:
        for key in step.after:
            output_of(by_key[key])
        return
    before = upstream(step)
    good = sum(by_key[key].phase.good for key in before)
    needed = _needed(step.trigger, len(before))
    if good < needed:
        raise Missing(f"{good} of {len(before)} steps before it succeeded, {needed} are needed")


def resolve(
    workflow: Workflow, binding: Binding, by_key: Executions, *, lenient: bool = False
) -> Binding:
    """Replace references by the artifacts they stand for; raise `Missing` if one never comes.

    `lenient`: what never comes is None instead.
    """
    match binding:
        case FromStep(step):
            if lenient and not by_key[step].phase.good:
                return Constant(None)
            return output_of(by_key[step])
        case FromSlot(step, slot):
            selection = by_key[step].selection
            filled = selection is not None and slot < len(selection.chosen)
            if by_key[step].waived:
                return Constant(None)
            if lenient and not (by_key[step].phase.good and filled):
                return Constant(None)
            output_of(by_key[step])  # a selection that failed fills no place at all
            if selection is None or not filled:
                raise Missing(f"{step} filled no place {slot + 1}")
            return output_of(by_key[selection.chosen[slot]])
        case Many():
            return _many(workflow, binding, by_key, lenient=lenient)
        case Constant() | Stored() | Failure():
            return binding


def output_of(execution: Execution) -> Binding:
    """Give what a step gave; raise `Missing` if that will never come."""
    if execution.waived:
        return Constant(None)
    if not execution.phase.good:
        raise Missing(f"{execution.key} {execution.phase.told}")
    return Constant(None) if execution.output is None else Stored(execution.output)


def vacant(workflow: Workflow, binding: Binding, by_key: Executions) -> bool:
    """Say whether the binding reads a place that a good selection left empty, or what was skipped."""
    match binding:
        case FromSlot(step, slot):
            selection = by_key[step].selection
            if selection is None or not by_key[step].phase.good:
                return False
            return slot >= len(selection.chosen)
        case FromStep(step):
            if by_key[step].phase is not ExecutionPhase.OMITTED:
                skipped = by_key[step].phase is ExecutionPhase.SKIPPED
                return skipped and not by_key[step].waived
            of = workflow.step(step)
            before = (*of.arguments.values(), *of.when, *(FromStep(key) for key in of.after))
            return any(vacant(workflow, each, by_key) for each in before)
        case _:
            return False


def _many(workflow: Workflow, many: Many, by_key: Executions, *, lenient: bool) -> Binding:
    items = [item for item in many.items if not vacant(workflow, item, by_key)]
    if many.items and not items and not lenient:
        raise Missing("none of what it gathers is there")
    if many.min_success is None and many.wait is None and not lenient:
        return Many(tuple(resolve(workflow, item, by_key) for item in items))
    found = [_or_failure(workflow, item, by_key) for item in items]
    good = [item for item in found if not isinstance(item, Failure)]
    counted = sum(not _waived(item, by_key) for item in items)
    needed = math.ceil((many.min_success or 0) * counted - ROUNDED)
    if many.wait is not None:
        needed = many.wait
    if len(good) < needed and not lenient:
        ended = [one for one in found if isinstance(one, Failure) and _ended(one, by_key)]
        who = f", and {', '.join(one.step for one in ended[:SHOWN_MAX])} did not" if ended else ""
        raise Missing(f"{needed} of {len(items)} have to succeed{who}")
    return Many(tuple(found if many.wait is None else good))


def _ended(failure: Failure, by_key: Executions) -> bool:
    return failure.step in by_key and by_key[failure.step].phase.final


def _waived(item: Binding, by_key: Executions) -> bool:
    """Say whether somebody has said of an item of a list that it may be missing."""
    return isinstance(item, FromStep) and by_key[item.step].waived


def _or_failure(workflow: Workflow, item: Binding, by_key: Executions) -> Binding:
    if isinstance(item, FromStep) and by_key[item.step].waived:
        return Failure(item.step, by_key[item.step].text)
    try:
        return resolve(workflow, item, by_key)
    except Missing as missing:
        step = next(steps_in(item), "")
        text = by_key[step].text if step in by_key else ""
        return Failure(step, text or str(missing))


def _enough(binding: Binding, by_key: Executions) -> bool:
    if isinstance(binding, Many):
        if binding.wait is not None:
            good = sum(
                all(by_key[key].phase.good for key in steps_in(item)) for item in binding.items
            )
            if good >= binding.wait:
                return True
        return all(_enough(item, by_key) for item in binding.items)
    return all(by_key[key].phase.final for key in steps_in(binding))


def _hopeless(binding: Binding, by_key: Executions) -> bool:
    """Say whether too many of a list have failed already, whatever becomes of the rest."""
    if not isinstance(binding, Many) or binding.min_success is None:
        return False
    possible = sum(
        all(by_key[key].phase not in LOST for key in steps_in(item)) for item in binding.items
    )
    return possible < math.ceil(binding.min_success * len(binding.items) - ROUNDED)


def _needed(trigger: str, count: int) -> int:
    if trigger == "all_done":
        return 0
    if trigger == "any_success":
        return min(1, count)
    found = NUMBER.fullmatch(trigger)
    assert found is not None, f"a trigger that was never checked: {trigger}"
    if found[1] == "at_least":
        return int(found[2])
    return math.ceil(float(found[2]) * count - ROUNDED)
