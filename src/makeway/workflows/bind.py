"""Take the values of a call as they are at the call, and bind them to the graph afterwards.

What a workflow function passes to a step may change before the function is over (a dict that is
filled differently for each model), and the steps' final names are known only then. So each value
is taken twice: at once, when constants become JSON or artifacts, and at the end, when handles become
references.

Takes:   Building   what is being built: its calls so far, and how to store what is not plain
Raises:  InvalidWorkflow without a place: the caller knows which argument of which line it is
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import msgspec

from makeway.errors import InvalidWorkflow
from makeway.model.record import Output
from makeway.model.workflow import Binding, Constant, FromSlot, FromStep, Many, Stored
from makeway.workflows.annotation import fits, holds, item_of, name_of, shown
from makeway.workflows.code import Code
from makeway.workflows.handle import (
    Call,
    Chosen,
    Definition,
    Gathered,
    Handle,
    call_of,
    find_handles,
)

Keep = Callable[[object], Output]
Taken = Handle | Constant | Stored | list["Taken"] | Gathered

# A constant travels in the definition of its run and in every log of it; what is larger is stored.
CONSTANT_BYTES_MAX = 10_000
NESTED_MAX = 100
INTEGERS = range(-(2**63), 2**64)


class Building(msgspec.Struct, kw_only=True, eq=False):
    """A workflow that is being built, of the file whose module this is, in this folder."""

    keep: Keep
    module: str
    folder: str
    calls: list[Call] = []
    owned: set[int] = set()
    codes: dict[object, Code] = {}
    conditions: list[Taken] = []

    def add(self, call: Call) -> None:
        """Put one more call into the graph, under the conditions that hold here."""
        call.when = (*self.conditions,)
        self.calls.append(call)
        self.owned.add(id(call))  # it lives as long as this does

    def owns(self, call: Call) -> bool:
        """Say whether a call is one of this workflow's."""
        return id(call) in self.owned


building: ContextVar[Building | None] = ContextVar("building", default=None)


def take(value: object, into: Building) -> Taken:
    """Take a value as it is now; a list with handles in it becomes a list of what was taken."""
    if isinstance(value, Gathered) and not value:
        return Constant([])
    if isinstance(value, Chosen):
        problem = "a whole selection cannot be passed on"
        raise InvalidWorkflow(problem, hint="pass its places: best.slots()")
    if isinstance(value, Definition):
        raise InvalidWorkflow(f"{value.function.__qualname__} itself is passed: it was not called")
    if isinstance(value, Handle):
        if not into.owns(call_of(value)[0]):
            raise InvalidWorkflow(f"{value!r} comes from another workflow")
        return value
    if find_handles(value):
        if isinstance(value, Gathered):
            items = [take(item, into) for item in value]
            return Gathered(items, wait=_wait(value), min_success=value.min_success)
        if type(value) in (list, tuple):
            return [take(item, into) for item in value]  # type: ignore[attr-defined]  # one of both
        problem = f"outputs of steps can be gathered in lists only, not in a {type(value).__name__}"
        raise InvalidWorkflow(problem, hint="pass a list, or one argument each")
    if isinstance(value, Iterator):
        problem = f"a {type(value).__name__} can be read only once"
        raise InvalidWorkflow(problem, hint="pass a list")
    if is_plain(value):
        text = msgspec.json.encode(value)
        if len(text) <= CONSTANT_BYTES_MAX:
            return Constant(msgspec.json.decode(text))
    return Stored(into.keep(value))


def _wait(value: Gathered) -> str | int:
    if value.wait == "qualified":
        raise InvalidWorkflow("only select_top knows who is qualified", hint='wait="first"')
    return value.wait


def bind(taken: Taken) -> Binding:
    """Turn what was taken into what the graph says, now that every call has its key."""
    match taken:
        case Handle():
            call, slot = call_of(taken)
            return FromStep(call.key) if slot is None else FromSlot(call.key, slot)
        case Gathered():
            return Many(
                tuple(bind(item) for item in taken),
                wait=taken.wait if isinstance(taken.wait, int) else None,
                min_success=taken.min_success if taken.min_success < 1 else None,
            )
        case list():
            return Many(tuple(bind(item) for item in taken))
        case _:
            return taken


def mismatch(value: object, wanted: object) -> str | None:
    """Say what is passed if that is certainly not what is wanted."""
    match value:
        case Chosen() | Definition():
            return None  # that it cannot be passed at all is said by `take`
        case Handle():
            return next(
                (
                    f"{call.name} gives {name_of(call.gives)}"
                    for call in _sources(value)
                    if not fits(call.gives, wanted)
                ),
                None,
            )
        case list() | tuple() if find_handles(value):
            if not fits(list, wanted):
                return "outputs of steps are gathered in a list"
            item = item_of(wanted)
            return next((found for each in value if (found := mismatch(each, item))), None)
        case _:
            return None if holds(wanted, value) else f"{shown(value)} is passed"


def _sources(handle: Handle) -> list[Call]:
    """Give the calls whose output this may be: at a place of a selection, each candidate's."""
    call, slot = call_of(handle)
    return [call] if slot is None else [call_of(candidate)[0] for candidate in call.candidates]


def is_plain(value: Any, depth: int = 0) -> bool:  # noqa: ANN401 - whatever there may be
    """Say whether JSON, and every message and row that carries it, gives exactly this value back."""
    if depth > NESTED_MAX:
        return False
    kind = type(value)
    if kind is str:
        return value.isascii() or _is_unicode(value)
    if kind is int:
        return value in INTEGERS
    if kind is float:
        return math.isfinite(value)
    if kind is list:
        return all(is_plain(item, depth + 1) for item in value)
    if kind is dict:
        return all(
            type(key) is str and is_plain(key) and is_plain(item, depth + 1)
            for key, item in value.items()
        )
    return value is None or kind is bool


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a pair, such as a damaged file name has
        return False
    return True
