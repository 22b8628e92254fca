"""Read the edges of a workflow out of its bindings, put its steps in order, find its cycles."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from makeway.errors import InvalidWorkflow
from makeway.model.workflow import Binding, FromSlot, FromStep, Many, Step


def steps_in(binding: Binding) -> Iterator[str]:
    """Give the keys of the steps that a binding reads, in order."""
    match binding:
        case FromStep(step) | FromSlot(step, _):
            yield step
        case Many(items):
            for item in items:
                yield from steps_in(item)
        case _:
            return


def upstream(step: Step) -> tuple[str, ...]:
    """Give the keys that a step waits for, each once: inputs, candidates, conditions, `after`."""
    keys = [key for binding in step.arguments.values() for key in steps_in(binding)]
    if step.select is not None:
        keys += step.select.candidates
    keys += [key for binding in step.when for key in steps_in(binding)]
    return tuple(dict.fromkeys([*keys, *step.after]))


def in_order(steps: Sequence[Step], places: Mapping[str, str]) -> tuple[Step, ...]:
    """Sort the steps so that each comes after what it waits for, else in the order given.

    `places` says where each step is called, for whoever has to break a circle.
    """
    known = {step.key: step for step in steps}
    for step in steps:
        for key in upstream(step):
            if key not in known:
                names = ", ".join(known)
                problem = f"it waits for {key!r}, which is not a step of this workflow ({names})"
                raise InvalidWorkflow(problem, where=f"step {step.key}")
    sorter = TopologicalSorter({step.key: upstream(step) for step in steps})
    try:
        sorter.prepare()
    except CycleError as error:
        circle = error.args[1][::-1]
        problem = f"these steps wait for each other: {' -> '.join(circle)}"
        raise InvalidWorkflow(problem, where=places.get(circle[0], "")) from None
    rank = {step.key: position for position, step in enumerate(steps)}
    order: list[Step] = []
    ready = [rank[key] for key in sorter.get_ready()]
    heapq.heapify(ready)
    while ready:
        step = steps[heapq.heappop(ready)]
        order.append(step)
        sorter.done(step.key)
        for key in sorter.get_ready():
            heapq.heappush(ready, rank[key])
    return tuple(order)
