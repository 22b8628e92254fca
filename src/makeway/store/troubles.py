"""Find what went wrong in a run: which steps failed, why, and what they hold up.

A step is held up by a failed one if it reads what that gives, or comes after it, at whatever distance,
and has not given anything itself. A step that waits for its next attempt, or was ended as not worth it,
is in trouble as well. So one look at a run answers what a look at each of its steps would.

Takes:   the steps of a run, as `store.read` gives them; of those that run, what is seen of them
Gives:   one Trouble for each step that is in trouble, in the order of the workflow
Cost:    O(troubles x steps)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from makeway.model.phase import ExecutionPhase
from makeway.model.record import Cause, Symptom
from makeway.store.rows import ExecutionRow

P = ExecutionPhase
IN_TROUBLE = (P.FAILED, P.STOPPED, P.BACKOFF)
GOOD = (P.SUCCEEDED, P.CACHED, P.SKIPPED)


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """One step that is in trouble; `cause` is a code, or the word for what is seen while it runs."""

    step: str
    phase: ExecutionPhase
    cause: str
    text: str
    hint: str
    attempts: int
    holds_up: tuple[str, ...]


def troubles_of(
    steps: Sequence[ExecutionRow], seen: Mapping[str, Symptom] | None = None
) -> tuple[Trouble, ...]:
    """Name the troubles of a run; `seen` are symptoms of what runs, by the id of the step."""
    symptoms = seen or {}
    below = _below(steps)
    return tuple(
        _trouble(step, symptoms.get(step.id), _held_up(step.key, steps, below))
        for step in steps
        if step.phase in IN_TROUBLE or step.id in symptoms
    )


def _trouble(step: ExecutionRow, symptom: Symptom | None, held: Iterable[str]) -> Trouble:
    if symptom is not None and not step.phase.final:
        cause, text, hint = symptom.name, symptom.text, ""
    else:
        found = None if step.attempt is None else step.attempt.diagnosis
        cause = "" if found is None else found.cause.value
        text, hint = step.text, "" if found is None else found.hint
        if found is not None and not text:  # it waits for its next attempt
            decision = None if step.attempt is None else step.attempt.decision
            text = found.text if decision is None else decision.text
    if step.text.startswith(Cause.NO_QUALIFIED_MODEL.value):
        cause = Cause.NO_QUALIFIED_MODEL.value
    return Trouble(
        step=step.key, phase=step.phase, cause=cause, text=text, hint=hint, attempts=step.attempts,
        holds_up=tuple(held),
    )  # fmt: skip


def _below(steps: Iterable[ExecutionRow]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for step in steps:
        for key in step.after:
            found.setdefault(key, []).append(step.key)
    return found


def _held_up(
    key: str, steps: Iterable[ExecutionRow], below: Mapping[str, Collection[str]]
) -> list[str]:
    """Name the steps behind one that have given nothing, in the order of the workflow."""
    phases = {step.key: step.phase for step in steps}
    found, todo = set[str](), [*below.get(key, ())]
    while todo:
        one = todo.pop()
        if one not in found and phases[one] not in GOOD:
            found.add(one)
            todo += below.get(one, ())
    return [name for name in phases if name in found]
