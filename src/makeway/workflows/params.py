"""Read the parameters of a workflow, given as text, by the annotations of its function.

Text stays text where text is wanted. Elsewhere it is read as JSON, and Python's own words for true,
false and nothing are understood too; without an annotation, what is no JSON is text.
"""

from __future__ import annotations

import inspect
import json
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from makeway.errors import InvalidInput
from makeway.workflows.annotation import ANYTHING, hints_of, holds, name_of, says_nothing, shown
from makeway.workflows.bind import CONSTANT_BYTES_MAX, is_plain
from makeway.workflows.define import WorkflowFunction

WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
NOTHING = object()
SEVERAL = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

# What JSON has no word for, made from its nearest.
MADE_FROM_LIST: dict[object, Callable[[list[Any]], object]] = {
    tuple: tuple, set: set, frozenset: frozenset
}  # fmt: skip


def read_params(
    workflow: WorkflowFunction[..., Any], params: Mapping[str, str]
) -> dict[str, object]:
    """Give the values for the parameters that were named; each that must be named has to be."""
    known = inspect.signature(workflow.function).parameters
    kinds = {name: parameter.kind for name, parameter in known.items()}
    anyhow = [name for name, kind in kinds.items() if kind is inspect.Parameter.VAR_KEYWORD]
    named = [name for name, kind in kinds.items() if kind not in SEVERAL]
    hints = hints_of(workflow.function)
    for name, text in params.items():
        if not is_plain(text):
            raise InvalidInput("this is not Unicode", where=f"-P {name}")
        if name not in named and not anyhow:
            names = ", ".join(named) or "none"
            problem = f"workflow {workflow.name} has no such parameter; it has: {names}"
            raise InvalidInput(problem, where=f"-P {name}")
    for name in named:
        if known[name].default is inspect.Parameter.empty and name not in params:
            problem = f"workflow {workflow.name} needs a value for {name}"
            raise InvalidInput(problem, where=f"-P {name}", hint=f"-P {name}=…")
    rest = hints.get(anyhow[0], ANYTHING) if anyhow else ANYTHING
    return {
        name: _read(name, text, hints.get(name, ANYTHING) if name in named else rest)
        for name, text in params.items()
    }


def parameters_of(
    workflow: WorkflowFunction[..., Any], values: Mapping[str, object]
) -> dict[str, object]:
    """Give every parameter of the run, defaults too, as far as it is plain JSON and not long."""
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(workflow.function).parameters.items()
        if parameter.kind not in SEVERAL
    }
    return {name: _noted(value) for name, value in {**defaults, **values}.items()}


def _noted(value: object) -> object:
    if is_plain(value) and len(msgspec.json.encode(value)) <= CONSTANT_BYTES_MAX:
        return value
    return shown(value)


def _read(name: str, text: str, wanted: object) -> object:
    for option in _options(wanted):
        value = _as(option, text)
        if value is not NOTHING and holds(option, value):
            return value
    problem = f"{shown(text)} is not of type {name_of(wanted)}"
    raise InvalidInput(problem, where=f"-P {name}", hint=_hint(wanted))


def _options(wanted: object) -> list[object]:
    """Give what may be meant, text last: everything is text if need be."""
    if typing.get_origin(wanted) in (typing.Union, types.UnionType):
        options = typing.get_args(wanted)
        # `int` before `float`, and nothing before all others: what is written precisely is meant.
        return sorted(
            options, key=lambda each: (each is str, each is float, each is not type(None))
        )
    return [wanted]


def _as(wanted: object, text: str) -> object:
    """Read the text as one type; NOTHING if that cannot be. Whether it holds is asked later."""
    if wanted is str:
        return text
    origin = typing.get_origin(wanted) or wanted
    if origin is typing.Literal and text in typing.get_args(wanted):
        return text
    try:
        if wanted in (int, float):
            return int(text) if wanted is int else float(text)
        value: Any = WORDS[text] if text in WORDS else json.loads(text)
        made = MADE_FROM_LIST.get(origin)
        return made(value) if made is not None and isinstance(value, list) else value
    except (ValueError, TypeError, RecursionError):  # not written so, or a list in a set
        return text if says_nothing(wanted) else NOTHING


def _hint(wanted: object) -> str:
    origin = typing.get_origin(wanted) or wanted
    if wanted is bool:
        return "write true or false"
    if origin in (list, tuple, set, frozenset):
        return 'write it as JSON: ["a", "b"]'
    if origin is dict:
        return 'write it as JSON: {"a": 1}'
    if isinstance(origin, type) and origin.__module__ != "builtins":
        return "take a str, and make of it what is needed in the workflow function"
    return ""
