"""Turn the calls of a workflow function into a checked graph.

Takes:   workflow   the decorated function
         params     its parameters as text (`-P key=value`), read by the annotations
         keep       stores a constant that is not plain JSON and gives its address
Gives:   Workflow whose steps are in an order in which they could run
Raises:  InvalidWorkflow for anything that is wrong with it, with the file and line of the call
"""

from __future__ import annotations

import inspect
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from makeway.errors import InvalidInput, InvalidWorkflow
from makeway.model.record import Output
from makeway.model.workflow import (
    Binding,
    Constant,
    FromSlot,
    FromStep,
    Many,
    Step,
    Stored,
    Workflow,
)
from makeway.workflows.annotation import ANYTHING, fits, hints_of, holds, item_of, name_of
from makeway.workflows.define import WorkflowFunction, building
from makeway.workflows.graph import in_order
from makeway.workflows.handle import Call, Chosen, Handle, call_of, find_handles

Keep = Callable[[object], Output]
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def build_workflow(
    workflow: WorkflowFunction[..., Any], file: str, params: Mapping[str, str], keep: Keep
) -> Workflow:
    """Run the workflow function and check what it built."""
    values = read_params(workflow, params)
    calls: list[Call] = []
    token = building.set(calls)
    try:
        result = workflow.function(**values)
    finally:
        building.reset(token)
    if not calls:
        raise InvalidWorkflow("it calls no step", where=f"workflow {workflow.name}")
    _name(calls)
    for call in calls:
        _check_types(call)
    return Workflow(
        name=workflow.name,
        file=file,
        steps=in_order([_step(call, calls, keep) for call in calls]),
        result=_bind(result, keep, f"the result of workflow {workflow.name}"),
        params=_shown(workflow, values),
        given=dict(params),
        document=inspect.getdoc(workflow.function) or "",
    )


def read_params(
    workflow: WorkflowFunction[..., Any], params: Mapping[str, str]
) -> dict[str, object]:
    """Read parameters given as text by the annotations of the workflow function."""
    known = inspect.signature(workflow.function).parameters
    hints = hints_of(workflow.function)
    for name in params:
        if name not in known:
            names = ", ".join(known) or "none"
            problem = f"workflow {workflow.name} has no such parameter; it has: {names}"
            raise InvalidInput(problem, where=f"-P {name}")
    missing = [
        name
        for name, parameter in known.items()
        if parameter.default is inspect.Parameter.empty and name not in params
    ]
    if missing:
        problem = f"workflow {workflow.name} needs a value for {', '.join(missing)}"
        raise InvalidInput(problem, hint=f"-P {missing[0]}=…")
    return {name: _read(name, text, hints.get(name, ANYTHING)) for name, text in params.items()}


def _read(name: str, text: str, wanted: object) -> object:
    if holds(wanted, text) and wanted is not ANYTHING:
        return text
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = {"True": True, "False": False, "None": None}.get(text, text)
    if isinstance(value, int) and not isinstance(value, bool) and wanted is float:
        value = float(value)
    if not holds(wanted, value):
        raise InvalidInput(f"{text!r} is not of type {name_of(wanted)}", where=f"-P {name}")
    return value


def _shown(workflow: WorkflowFunction[..., Any], values: Mapping[str, object]) -> dict[str, object]:
    """Give every parameter of the run, defaults too, as far as it is plain JSON."""
    known = inspect.signature(workflow.function).parameters
    everything = {name: values.get(name, parameter.default) for name, parameter in known.items()}
    return {name: value if is_plain(value) else repr(value) for name, value in everything.items()}


def _name(calls: list[Call]) -> None:
    wanted = [call.options.name or call.function.rpartition(".")[2] for call in calls]
    several, seen = Counter(wanted), Counter[str]()
    taken: dict[str, Call] = {}
    for call, name in zip(calls, wanted, strict=True):
        if not KEY.fullmatch(name):
            problem = f"{name!r} cannot be the name of a step: letters, digits, '.', '_' and '-'"
            raise InvalidWorkflow(problem, where=call.where)
        seen[name] += 1
        call.key = name if several[name] == 1 else f"{name}-{seen[name]}"
        if call.key in taken:
            problem = f"two steps would be named {call.key!r}, the other at {taken[call.key].where}"
            raise InvalidWorkflow(problem, where=call.where, hint="give one .options(name=…)")
        taken[call.key] = call


def _step(call: Call, calls: list[Call], keep: Keep) -> Step:
    options, select = call.options, call.select
    if select is not None:
        keys = []
        for candidate in call.candidates:
            assert isinstance(candidate, Handle), "select_top has checked it"
            source, slot = call_of(candidate)
            if slot is not None:
                raise InvalidWorkflow(
                    "a place of a selection cannot be selected again", where=call.where
                )
            keys.append(source.key)
        select = type(select)(
            candidates=tuple(keys), metric=select.metric, k=select.k, minimum=select.minimum,
            mode=select.mode, if_fewer=select.if_fewer,
        )  # fmt: skip
    return Step(
        key=call.key,
        function=call.function if select is None else "",
        arguments={
            name: _bind(value, keep, f"{call.where}: step {call.key}: {name}")
            for name, value in call.arguments.items()
        },
        after=tuple(_after(each, call, calls) for each in options.after),
        workers=options.workers,
        per_worker=options.per_worker,
        retries=options.retries,
        idempotent=options.idempotent,
        priority=options.priority,
        code_digest=call.code_digest,
        goal=options.goal,
        select=select,
        tags=options.tags,
    )


def _after(each: object, call: Call, calls: list[Call]) -> str:
    if isinstance(each, Handle):
        return call_of(each)[0].key
    if isinstance(each, str):
        if each not in {other.key for other in calls}:
            names = ", ".join(other.key for other in calls)
            problem = f"after={each!r} is no step of this workflow; there are: {names}"
            raise InvalidWorkflow(problem, where=call.where)
        return each
    raise InvalidWorkflow(f"after= takes steps or their names, not {each!r}", where=call.where)


def _bind(value: object, keep: Keep, where: str) -> Binding:
    match value:
        case Handle():
            call, slot = call_of(value)
            return FromStep(call.key) if slot is None else FromSlot(call.key, slot)
        case Chosen():
            problem = "a whole selection cannot be passed on"
            raise InvalidWorkflow(problem, where=where, hint="pass its places: best.slots()")
        case list() | tuple() if find_handles(value):
            return Many(tuple(_bind(item, keep, where) for item in value))
        case _ if find_handles(value):
            problem = "outputs of steps can be gathered in lists only"
            raise InvalidWorkflow(problem, where=where, hint="pass a list, or one argument each")
        case _ if is_plain(value):
            return Constant(value)
        case _:
            try:
                return Stored(keep(value))
            except InvalidInput as error:
                raise InvalidWorkflow(error.problem, where=where) from None


def is_plain(value: object) -> bool:
    """Say whether JSON gives exactly this value back."""
    match value:
        case None | bool() | int() | str():
            return type(value) in (type(None), bool, int, str)
        case float():
            return type(value) is float and math.isfinite(value)
        case list():
            return type(value) is list and all(is_plain(item) for item in value)
        case dict():
            return type(value) is dict and all(
                type(key) is str and is_plain(item) for key, item in value.items()
            )
        case _:
            return False


def _check_types(call: Call) -> None:
    for name, value in call.arguments.items():
        wanted = call.wants.get(name, ANYTHING)
        problem = _mismatch(value, wanted)
        if problem is not None:
            raise InvalidWorkflow(
                f"step {call.key}: {name} is {name_of(wanted)}, but {problem}", where=call.where
            )


def _mismatch(value: object, wanted: object) -> str | None:
    if isinstance(value, Handle):
        call, slot = call_of(value)
        gives = call.gives
        if slot is not None:
            gives = (
                call_of(call.candidates[0])[0].gives if _is_handle(call.candidates[0]) else gives
            )
        return None if fits(gives, wanted) else f"{call.key} gives {name_of(gives)}"
    if isinstance(value, list | tuple) and find_handles(value):
        if not fits(list, wanted):
            return "a list of outputs is passed"
        item = item_of(wanted)
        return next((found for each in value if (found := _mismatch(each, item))), None)
    return None if holds(wanted, value) else f"{value!r} is passed"


def _is_handle(value: object) -> bool:
    return isinstance(value, Handle)
