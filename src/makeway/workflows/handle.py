"""Stand for what is not known yet while a workflow is built: outputs and places.

A workflow function runs once, before anything else does. A step called in it gives a handle in the
place of its output. A handle can be passed on, kept in a list or a dict, and told from another one
by `is`; whoever tries to look inside (a condition, a loop, an attribute, a comparison, text) is told
that the value does not exist yet, at the line where that was tried.

`repr` alone shows what a handle stands for, so that debuggers and messages can.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, NoReturn, TypeVar, cast

import msgspec

from makeway.errors import InvalidWorkflow
from makeway.model.resources import Resources
from makeway.model.ruling import Rule
from makeway.model.workflow import Caching, Goal, Parallel, SelectTop

Value = TypeVar("Value")

PACKAGE = __file__.rpartition("/workflows/")[0] + "/"
STANDARD_LIBRARY = inspect.__file__.rpartition("/")[0] + "/"
INSTALLED = ("/site-packages/", "/dist-packages/")

# Whatever Python asks of a value that is looked into, in the order of its own reference.
LOOKS = """
    str format bytes bool len length_hint call lt le eq ne gt ge setattr delattr getitem setitem
    delitem iter next reversed contains add sub mul matmul truediv floordiv mod divmod pow
    lshift rshift and xor or radd rsub rmul rmatmul rtruediv rfloordiv rmod rdivmod rpow rlshift
    rrshift rand rxor ror neg pos abs invert complex int float index round trunc floor ceil
    enter exit await aiter anext aenter aexit fspath buffer array reduce_ex
"""


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
    max_memory_bytes: int | None = None
    min_rate: float | None = None
    on_hopeless: str = "yield"
    after: tuple[object, ...] = ()
    cache: Caching | None = None
    trigger: str = ""
    parallel: Parallel | None = None
    durability: str = "durable"
    on_failure: tuple[Rule, ...] = ()


class Call(msgspec.Struct, kw_only=True, eq=False):
    """One call of a step (or of `select_top`) while a workflow is built.

    `function` is how a worker finds the step again: `name`, or `module:name` if it is not in the
    workflow's own file. `arguments` were taken at the call: see `bind`.
    """

    function: str
    where: str
    options: Options
    arguments: dict[str, Any] = {}
    gives: object
    code_digest: str = ""
    select: SelectTop | None = None
    candidates: tuple[Handle, ...] = ()
    key: str = ""
    when: tuple[Any, ...] = ()
    command: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Give the name that it bears unless another call bears it too."""
        return self.options.name or self.function.rpartition(":")[2].rpartition(".")[2]


class Definition:
    """A step or a workflow itself: passed on in place of an output, it was not called."""

    function: Callable[..., Any]


class Handle:
    """The output of a call, or of the candidate at one place of a selection."""

    __slots__ = ("_call", "_slot")

    def __init__(self, call: Call, slot: int | None = None) -> None:
        """Stand for the output of `call`, or for place `slot` of it."""
        object.__setattr__(self, "_call", call)
        object.__setattr__(self, "_slot", slot)

    def __repr__(self) -> str:
        call, slot = call_of(self)
        return f"<output of {call.name}>" if slot is None else f"<place {slot + 1} of {call.name}>"

    # Two handles are the same only if they are one: as a key of a dict a handle does no harm.
    __hash__ = object.__hash__

    def __copy__(self) -> Handle:
        return self

    def __deepcopy__(self, _: object) -> Handle:
        return self

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # Python itself asks whether it is there
            raise AttributeError(name)
        refuse(self)


class Gathered(list[Any]):
    """A list of outputs, and how many of them whoever takes it needs.

    wait         `all` that are to end, or how many are to succeed before it begins
    min_success  which part of them has to succeed; the others are a `Failure` each
    """

    def __init__(
        self, outputs: Iterable[object], *, wait: str | int = "all", min_success: float = 1.0
    ) -> None:
        """Take the outputs in their order."""
        super().__init__(outputs)
        self.wait, self.min_success = wait, min_success


class Chosen(Generic[Value]):
    """The outcome of `mw.select_top`, known only when its candidates are done."""

    def __init__(self, call: Call, k: int) -> None:
        """Stand for the `k` places of a selection."""
        self._call, self._k = call, k

    def slots(self, count: int | None = None) -> list[Value]:
        """Give the places, best first; a step that reads an empty one is omitted."""
        if count is None:
            count = self._k
        if not _is_within(count, range(1, self._k + 1)):
            problem = f"{count!r} places are asked for, but k is {self._k}"
            raise InvalidWorkflow(problem, where=user_line())
        return [self._place(slot) for slot in range(count)]

    def __getitem__(self, slot: int) -> Value:
        if not _is_within(slot, range(-self._k, self._k)):
            problem = f"there is no place [{slot!r}]: k is {self._k}, and they count from 0"
            raise InvalidWorkflow(problem, where=user_line())
        return self._place(slot % self._k)

    def __iter__(self) -> Iterator[Value]:
        return iter(self.slots())

    def __len__(self) -> int:
        return self._k

    def __repr__(self) -> str:
        return f"<selection {self._call.name}>"

    __hash__ = object.__hash__

    def __copy__(self) -> Chosen[Value]:
        return self

    def __deepcopy__(self, _: object) -> Chosen[Value]:
        return self

    def _place(self, slot: int) -> Value:
        # To the reader (and to a type checker) a handle is the value that it stands for.
        return cast("Value", Handle(self._call, slot))


def _is_within(number: object, bounds: range) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number in bounds


def refuse(asked: object, *_: object, **__: object) -> NoReturn:
    """Tell who looks into a value that there is none yet."""
    problem = (
        f"{str.strip(repr(asked), '<>')} does not exist while the workflow is built, so it cannot "
        "be looked into or decided upon here"
    )
    hint = "pass it on to a step and look there, or decide with mw.select_top"
    raise InvalidWorkflow(problem, where=user_line(), hint=hint)


def _close(kind: type, looks: Iterable[str]) -> None:
    for look in looks:
        setattr(kind, f"__{look}__", refuse)


_close(Handle, LOOKS.split())
# How many places there are, and the places themselves, are known; what is in them is not.
_close(
    Chosen,
    ("bool", "str", "format", "eq", "ne", "lt", "le", "gt", "ge", "contains", "call", "reduce_ex"),
)


def call_of(value: Handle | Chosen[Any]) -> tuple[Call, int | None]:
    """Look into a handle, or the outcome of a selection, from inside makeway."""
    if isinstance(value, Chosen):
        return value._call, None  # noqa: SLF001 - both live in this module
    return object.__getattribute__(value, "_call"), object.__getattribute__(value, "_slot")


def find_handles(value: object) -> list[Handle | Chosen[Any] | Definition]:
    """Give every handle in a value (or what should have been one), also inside containers."""
    found: list[Handle | Chosen[Any] | Definition] = []
    todo, seen = [value], set[int]()
    while todo:
        thing = todo.pop()
        match thing:
            case Handle() | Chosen() | Definition():
                found.append(thing)
            case list() | tuple() | set() | frozenset() | dict() if id(thing) not in seen:
                seen.add(id(thing))
                todo += thing
                if isinstance(thing, dict):
                    todo += thing.values()
            case _:
                pass
    return found


def user_line() -> str:
    """Name the line of the user's code that is being run, not of a library that it called."""
    frame, other = inspect.currentframe(), ""
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(PACKAGE):
            line = f"{file}:{frame.f_lineno}"
            if not is_library(file):
                return line
            other = other or line
        frame = frame.f_back
    return other


def is_library(file: str) -> bool:
    """Say whether a file belongs to Python or was installed, so that it is not the user's own."""
    if any(part in file for part in INSTALLED):
        return True
    return file.startswith((STANDARD_LIBRARY, "<frozen"))
