"""Turn the calls of a workflow function into a checked graph.

Takes:   workflow   the decorated function
         params     its parameters as text (`-P key=value`), read by the annotations
         keep       stores a constant that is not plain JSON and gives its address
Gives:   Workflow whose steps are in an order in which they could run
Raises:  InvalidWorkflow for anything that is wrong with it, with the file and line of the call
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from msgspec.structs import replace

from makeway.errors import InvalidInput, InvalidWorkflow
from makeway.model.workflow import Binding, Step, Workflow
from makeway.workflows import check
from makeway.workflows.bind import Building, Keep, bind, building, take
from makeway.workflows.define import StepFunction, WorkflowFunction, call_by_name
from makeway.workflows.graph import in_order
from makeway.workflows.handle import Call, Chosen, Handle, call_of
from makeway.workflows.params import parameters_of, read_params


def build_workflow(
    workflow: WorkflowFunction[..., Any], file: str, params: Mapping[str, str], keep: Keep
) -> Workflow:
    """Run the workflow function and check what it built."""
    values = read_params(workflow, params)
    folder, _, name = file.rpartition("/")
    into = Building(keep=keep, folder=folder, module=name.removesuffix(".py"))
    token = building.set(into)
    try:
        result = call_by_name(workflow.function, values)
    finally:
        building.reset(token)
    if not into.calls:
        problem = f"workflow {workflow.name} calls no step"
        raise InvalidWorkflow(problem, where=_place(workflow))
    _name(into.calls)
    keys = dict.fromkeys(call.key for call in into.calls)
    steps = [_step(call, keys, into) for call in into.calls]
    return Workflow(
        name=workflow.name,
        file=file,
        steps=in_order(steps, {call.key: call.where for call in into.calls}),
        result=_result(workflow, result, into),
        params=parameters_of(workflow, values),
        given=dict(params),
        document=inspect.getdoc(workflow.function) or "",
        on_failure=workflow.on_failure,
        code={code.digest: code.parts for code in into.codes.values()},
    )


def _name(calls: list[Call]) -> None:
    wanted = [check.key(call.name, call.where) for call in calls]
    several, seen = Counter(wanted), Counter[str]()
    taken: dict[str, Call] = {}
    for call, name in zip(calls, wanted, strict=True):
        seen[name] += 1
        call.key = name if several[name] == 1 else f"{name}-{seen[name]}"
        if call.key in taken:
            problem = f"two steps would be named {call.key!r}, the other at {taken[call.key].where}"
            raise InvalidWorkflow(problem, where=call.where, hint="give one .options(name=…)")
        taken[call.key] = call


def _step(call: Call, keys: Collection[str], into: Building) -> Step:
    options, select = call.options, call.select
    if select is not None:
        candidates = tuple(call_of(candidate)[0].key for candidate in call.candidates)
        select = replace(select, candidates=candidates)
    return Step(
        key=call.key,
        function=call.function if select is None else "",
        arguments={name: bind(taken) for name, taken in call.arguments.items()},
        after=tuple(_after(each, call, keys, into) for each in options.after),
        workers=options.workers,
        per_worker=options.per_worker,
        retries=options.retries,
        idempotent=options.idempotent,
        durability=options.durability,
        priority=options.priority,
        code_digest=call.code_digest,
        goal=options.goal,
        select=select,
        tags=options.tags,
        max_memory_bytes=options.max_memory_bytes,
        min_rate=options.min_rate,
        on_hopeless=options.on_hopeless,
        on_failure=options.on_failure,
        cache=options.cache,
        trigger=options.trigger,
        command=call.command,
        when=tuple(bind(taken) for taken in call.when),
        parallel=options.parallel,
    )


def _after(each: object, call: Call, keys: Collection[str], into: Building) -> str:
    if isinstance(each, Handle | Chosen):
        key, own = call_of(each)[0].key, into.owns(call_of(each)[0])
        problem = "" if own else f"after={each!r} comes from another workflow"
    elif isinstance(each, str):
        key, names = each, ", ".join(keys)
        problem = "" if key in keys else f"after={each!r} is no step of this workflow: {names}"
    else:
        key, what = "", "the step itself" if isinstance(each, StepFunction) else "something else"
        problem = f"after= takes outputs of steps, or names of steps; here it is {what}"
    if problem:
        raise InvalidWorkflow(f"step {call.key}: {problem}", where=call.where)
    return key


def _result(workflow: WorkflowFunction[..., Any], value: object, into: Building) -> Binding:
    try:
        return bind(take(value, into))
    except InvalidInput as error:
        problem = f"the result of workflow {workflow.name}: {error.problem}"
        raise InvalidWorkflow(problem, where=_place(workflow), hint=error.hint) from error


def _place(workflow: WorkflowFunction[..., Any]) -> str:
    """Name the line where the workflow is defined."""
    code = inspect.unwrap(workflow.function).__code__
    return f"{code.co_filename}:{code.co_firstlineno}"
