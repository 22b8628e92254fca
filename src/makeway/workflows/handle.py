"""Stand for what is not known yet while a workflow is built: outputs and places.

A workflow function runs once, before anything else does. A step called in it gives a handle in the
place of its output; whoever tries to look inside is told that the value does not exist yet.
"""

from __future__ import annotations

from typing import Any, Generic, NoReturn, TypeVar, cast

import msgspec

from makeway.errors import InvalidWorkflow
from makeway.model.resources import Resources
from makeway.model.workflow import Goal, SelectTop

Value = TypeVar("Value")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a step asks for; each may be set on the step and changed for one call."""

    name: str | None = None
    per_worker: Resources
    workers: int
    retries: int
    idempotent: bool
    priority: int
    goal: Goal | None
    tags: dict[str, str]
    after: tuple[object, ...] = ()


class Call(msgspec.Struct, kw_only=True, eq=False):
    """One call of a step (or of `select_top`) while a workflow is built."""

    function: str
    where: str
    options: Options
    arguments: dict[str, object]
    gives: object
    wants: dict[str, object]
    code_digest: str = ""
    select: SelectTop | None = None
    candidates: tuple[object, ...] = ()
    key: str = ""


class Handle:
    """The output of a call, or of the candidate at one place of a selection."""

    __slots__ = ("_call", "_slot")

    def __init__(self, call: Call, slot: int | None = None) -> None:
        """Stand for the output of `call`, or for place `slot` of it."""
        self._call, self._slot = call, slot

    def _unknown(self, *_: object) -> NoReturn:
        problem = (
            f"the output of {self._call.options.name or self._call.function} does not exist while "
            "the workflow is built, so it cannot be looked into or decided upon here"
        )
        hint = "pass it on to a step and look there, or decide with mw.select_top"
        raise InvalidWorkflow(problem, where=self._call.where, hint=hint)

    __bool__ = __iter__ = __len__ = __getitem__ = __call__ = __int__ = __float__ = _unknown
    __lt__ = __le__ = __gt__ = __ge__ = __add__ = __sub__ = __mul__ = __truediv__ = _unknown

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # Python itself asks for these
            raise AttributeError(name)
        self._unknown()


class Chosen(Generic[Value]):
    """The outcome of `mw.select_top`, known only when its candidates are done."""

    def __init__(self, call: Call, k: int) -> None:
        """Stand for the `k` places of a selection."""
        self._call, self._k = call, k

    def slots(self, count: int | None = None) -> list[Value]:
        """Give the places, best first; a step that reads an empty one is omitted."""
        wanted = self._k if count is None else count
        if not 0 < wanted <= self._k:
            problem = f"{wanted} places are asked for, but k is {self._k}"
            raise InvalidWorkflow(problem, where=self._call.where)
        # To the reader (and to a type checker) a handle is the value that it stands for.
        return [cast("Value", Handle(self._call, slot)) for slot in range(wanted)]

    def __getitem__(self, slot: int) -> Value:
        return self.slots()[slot]


def call_of(handle: Handle) -> tuple[Call, int | None]:
    """Look into a handle from inside makeway."""
    return object.__getattribute__(handle, "_call"), object.__getattribute__(handle, "_slot")


def find_handles(value: object) -> list[Handle]:
    """Give every handle in a value, also inside lists, tuples and dicts."""
    match value:
        case Handle():
            return [value]
        case list() | tuple() | set():
            return [found for item in cast("list[Any]", value) for found in find_handles(item)]
        case dict():
            return [found for item in value.values() for found in find_handles(item)]
        case _:
            return []
