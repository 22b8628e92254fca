"""Plan what a run that resumes another one does with each step, and say why.

The workflow as it is now is gone through in its order, with what is known of the earlier run. A
step whose key was computed before is reused, and what follows can be looked at with its output. A
step that runs gives something that nobody knows yet; what reads it has its *input rebuilt*, and runs
too, unless the same comes out as before.

Takes:   workflow   as it is built now, with the parameters of the new run
         before     the steps of the earlier run by their keys
         asked      steps that are to run again whatever is there, and all that depends on them
Gives:   one `Planned` a step, in the order of the workflow
Raises:  NotFound: there is no step of this name (`named`)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from makeway.errors import InvalidInput, NotFound
from makeway.model.phase import ExecutionPhase
from makeway.model.record import Output
from makeway.model.workflow import Binding, Execution, Step, Workflow, execution_id
from makeway.workflows.cache import Difference, Keyed, cache_key, differences, key_parts
from makeway.workflows.graph import steps_in, upstream
from makeway.workflows.inputs import Missing, resolve
from makeway.workflows.select import select_top

NEVER_RAN = (ExecutionPhase.PENDING, ExecutionPhase.OMITTED, ExecutionPhase.SKIPPED)


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """A step of the earlier run; `there`: its output can still be read."""

    phase: ExecutionPhase
    cache_key: str = ""
    keyed: Keyed = Keyed(parts={})
    output: Output | None = None
    metrics: Mapping[str, float] = {}
    there: bool = True


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a step, and why.

    action   `reuse`, `run`, `decide` (a selection), `omit`, or `go on` (it runs already)
    reason   `reused`, `asked`, `never ran`, `failed`, `artifact lost`, `code changed`,
             `parameter`, `input rebuilt`, …: the first that holds
    changes  all that is different from what was computed before
    """

    step: str
    action: str
    reason: str
    text: str
    changes: tuple[str, ...] = ()


def plan(
    workflow: Workflow, before: Mapping[str, Before], asked: Collection[str] = ()
) -> list[Planned]:
    """Say of each step what a run that resumes the earlier one would do with it."""
    planning = _Planning(workflow, before, asked)
    return [planning.take(step) for step in workflow.steps]


def named(workflow: Workflow, names: Iterable[str]) -> tuple[str, ...]:
    """Give the steps that are meant: by their key, or all calls of the function of this name."""
    found: dict[str, None] = {}
    for name in names:
        meant = [step.key for step in workflow.steps if step.key == name] or [
            step.key
            for step in workflow.steps
            if step.function and step.function.rpartition(":")[2] == name
        ]
        if not meant:
            there = ", ".join(step.key for step in workflow.steps)
            raise NotFound(f"there is no step {name!r}", hint=f"there are {there}")
        found |= dict.fromkeys(meant)
    return tuple(found)


def dependents(workflow: Workflow, asked: Iterable[str]) -> tuple[str, ...]:
    """Give these steps and all that depend on them, in the order of the workflow."""
    found = {*asked}
    for step in workflow.steps:
        if found & {*upstream(step)}:
            found.add(step.key)
    return tuple(step.key for step in workflow.steps if step.key in found)


class _Planning:
    """A walk through the workflow; `standing` is what is known of the steps so far."""

    def __init__(
        self, workflow: Workflow, before: Mapping[str, Before], asked: Collection[str]
    ) -> None:
        self._workflow, self._before, self._asked = workflow, before, asked
        self._fresh = {*dependents(workflow, asked)}
        good = {key: one for key, one in before.items() if one.phase.good and one.cache_key}
        self._by_cache_key = {one.cache_key: one for one in good.values()}
        self._standing: dict[str, Execution] = {}

    def take(self, step: Step) -> Planned:
        rebuilt = [key for key in upstream(step) if not self._known(key)]
        planned = self._selection(step, rebuilt) if step.select else self._step(step, rebuilt)
        self._standing.setdefault(step.key, self._as(step, ExecutionPhase.PENDING))
        return planned

    def _known(self, key: str) -> bool:
        return self._standing[key].phase.final

    def _as(self, step: Step, phase: ExecutionPhase, before: Before | None = None) -> Execution:
        output = None if before is None else before.output
        metrics = {} if before is None else dict(before.metrics)
        return Execution(
            id=execution_id("", step.key), run="", key=step.key, phase=phase, output=output,
            metrics=metrics,
        )  # fmt: skip

    def _selection(self, step: Step, rebuilt: list[str]) -> Planned:
        assert step.select is not None, "asked only for steps that select"
        if rebuilt:
            text = f"input rebuilt: {_names(rebuilt)}"
            return Planned(step=step.key, action="decide", reason="input rebuilt", text=text)
        try:
            candidates = {key: self._standing[key] for key in step.select.candidates}
            selection = select_top(step.select, candidates)
        except InvalidInput as error:
            return Planned(step=step.key, action="decide", reason="failed", text=str(error))
        phase = ExecutionPhase.SUCCEEDED if selection.chosen else ExecutionPhase.FAILED
        chosen = msgspec.structs.replace(self._as(step, phase), selection=selection)
        self._standing[step.key] = chosen
        text = f"decided again, of the same candidates: {', '.join(selection.chosen) or 'nobody'}"
        return Planned(step=step.key, action="decide", reason="reused", text=text)

    def _step(self, step: Step, rebuilt: list[str]) -> Planned:
        before = self._before.get(step.key)
        if before is not None and before.phase is ExecutionPhase.SKIPPED and not rebuilt:
            self._standing[step.key] = self._as(step, ExecutionPhase.SKIPPED)
            text = "never ran: its condition was false"
            return Planned(step=step.key, action="omit", reason="never ran", text=text)
        unknown = {
            name
            for name, binding in step.arguments.items()
            if any(not self._known(key) for key in steps_in(binding))
        }
        try:
            arguments = {
                name: resolve(self._workflow, binding, self._standing, lenient=bool(step.trigger))
                for name, binding in step.arguments.items()
                if name not in unknown
            }
        except Missing as missing:
            self._standing[step.key] = self._as(step, ExecutionPhase.OMITTED)
            text = f"never ran: {missing}"
            return Planned(step=step.key, action="omit", reason="never ran", text=text)
        found = None if unknown else self._by_cache_key.get(cache_key(step, arguments))
        if found is not None and found.there and step.key not in self._fresh:
            self._standing[step.key] = self._as(step, ExecutionPhase.CACHED, found)
            text = "reused: same code, same inputs"
            return Planned(step=step.key, action="reuse", reason="reused", text=text)
        return self._runs(step, arguments, [key for key in rebuilt if _reads(step, key)], found)

    def _runs(
        self,
        step: Step,
        arguments: Mapping[str, Binding],
        rebuilt: list[str],
        found: Before | None,
    ) -> Planned:
        before = self._before.get(step.key)
        changed = self._changed(step, arguments, before)
        reason, text = self._why(step, before, found, rebuilt, changed)
        texts = tuple(one.text for one in changed)
        return Planned(step=step.key, action="run", reason=reason, text=text, changes=texts)

    def _changed(
        self, step: Step, arguments: Mapping[str, Binding], before: Before | None
    ) -> list[Difference]:
        if before is None or not before.keyed.parts:
            return []
        ignored = () if step.cache is None else step.cache.ignore
        open_ones = [name for name in step.arguments if name not in arguments]
        old = {
            part: text
            for part, text in before.keyed.parts.items()
            if part.partition(" ")[2].partition("[")[0] not in (*open_ones, *ignored)
        }
        now = key_parts(step, arguments)
        code = self._workflow.code.get(now.get("code", ""), {})
        was = Keyed(parts=old, code=before.keyed.code)
        return differences(was, Keyed(parts=now, code=code))

    def _why(
        self,
        step: Step,
        before: Before | None,
        found: Before | None,
        rebuilt: list[str],
        changed: list[Difference],
    ) -> tuple[str, str]:
        """Name the first reason that holds, and say it with all the others."""
        reasons: list[tuple[str, str]] = []
        if step.key in self._asked:
            reasons.append(("asked", "asked (--from)"))
        if before is None:
            reasons.append(("never ran", "never ran: it is new"))
        elif before.phase in NEVER_RAN or not before.phase.final:
            reasons.append(("never ran", f"never ran: it was {before.phase.value}"))
        elif not before.phase.good:
            reasons.append(("failed", f"it {before.phase.told}"))
        elif found is not None and not found.there:
            reasons.append(("artifact lost", f"artifact lost: {_lost(found.output)}"))
        reasons += [_reason(one, step) for one in changed]
        if rebuilt:
            reasons.append(("input rebuilt", f"input rebuilt: {_names(rebuilt)}"))
        elif step.key in self._fresh and not reasons:
            reasons.append(
                ("input rebuilt", "input rebuilt: it comes after a step that runs again")
            )
        if not reasons:
            reasons.append(("changed", "changed: its code or its inputs are others"))
        return reasons[0][0], "; ".join(dict.fromkeys(text for _, text in reasons))


def _lost(output: Output | None) -> str:
    if output is not None and output.durability == "memory":
        return "its output was kept in memory alone, and is gone"
    return "its output is gone from the store"


def _reason(one: Difference, step: Step) -> tuple[str, str]:
    match one.kind:
        case "code":
            return "code changed", f"code changed ({one.name})" if one.name else "code changed"
        case "value":
            change = one.text.partition(": ")[2]
            return "parameter", f"parameter `{one.name}` used here: {change}"
        case "input":
            name = one.name.partition("[")[0]
            if name in step.arguments and not [*steps_in(step.arguments[name])]:
                return "parameter", f"parameter `{one.name}` used here: another value"
            return "input rebuilt", f"input rebuilt: {one.name} is another one"
        case _:
            return f"{one.kind} changed", f"{one.kind} changed: {one.text.partition(': ')[2]}"


def _reads(step: Step, key: str) -> bool:
    """Say whether a step takes something from another one, and does not only come after it."""
    return any(key in steps_in(binding) for binding in step.arguments.values())


def _names(keys: Iterable[str]) -> str:
    return ", ".join(keys)
