"""Compare what a step gives with what another one wants, by their annotations, before a run.

Only what is certain is refused: a missing annotation, `Any`, a type variable, a protocol or
anything unusual fits everything, and of a long list the first items speak for the others.
"""

from __future__ import annotations

import inspect
import itertools
import reprlib
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

ANYTHING = object()
LOOKED_AT = 1_000

# Where Python takes one for the other, as type checkers do.
WIDENED: Mapping[type, tuple[type, ...]] = {float: (int,), complex: (int, float)}

# What is in these is read only, as far as it matters here; a class of the user's may do otherwise.
CONTAINERS = (list, tuple, set, frozenset, dict)

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60
_short.maxlist = _short.maxtuple = _short.maxset = _short.maxdict = 4


def hints_of(function: Callable[..., object]) -> dict[str, object]:
    """Give the annotations of a function; what cannot be evaluated is left out."""
    hints = _evaluated(function)
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.default is None and name in hints:  # `x: int = None` was legal once
            hints[name] = typing.Optional[hints[name]]  # noqa: UP045 - of a type known only now
    return hints


def _evaluated(function: Callable[..., object]) -> dict[str, object]:
    # An annotation may be any expression, and it may fail in any way.
    try:
        return dict(typing.get_type_hints(function))
    except Exception:  # noqa: BLE001 - see above; then each by itself
        written = getattr(inspect.unwrap(function), "__annotations__", {})
    known = getattr(inspect.unwrap(function), "__globals__", {})
    hints: dict[str, object] = {}
    for name, annotation in written.items():
        alone = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            hints |= typing.get_type_hints(alone, globalns=known)
        except Exception:  # noqa: BLE001, S112 - see above
            continue
    return hints


def holds(wanted: object, value: object) -> bool:
    """Say whether a value known now may be passed where `wanted` is expected."""
    options = _options(wanted)
    if options is not None:
        return any(holds(option, value) for option in options)
    if wanted is None or wanted is type(None):
        return value is None
    if typing.get_origin(wanted) is typing.Literal:
        return any(
            type(value) is type(allowed) and bool(value == allowed)
            for allowed in typing.get_args(wanted)
        )
    base = _base(wanted)
    if base is None:
        return True
    try:
        right = isinstance(value, (base, *WIDENED.get(base, ())))
    except TypeError:  # a class that cannot be asked
        return True
    return right and _items_hold(wanted, value)


def _items_hold(wanted: object, value: object) -> bool:
    """Look into the value as far as its annotation says what is in it."""
    inner = typing.get_args(wanted)
    if isinstance(value, Mapping):
        pairs = itertools.islice(value.items(), LOOKED_AT)
        return len(inner) != 2 or all(
            holds(inner[0], key) and holds(inner[1], item) for key, item in pairs
        )
    if not inner or not isinstance(value, list | tuple | set | frozenset):
        return True
    if _base(wanted) is tuple and inner[-1] is not Ellipsis:
        return len(inner) == len(value) and all(map(holds, inner, value))
    return all(holds(inner[0], item) for item in itertools.islice(value, LOOKED_AT))


def fits(given: object, wanted: object) -> bool:
    """Say whether the output of a step may be passed where `wanted` is expected."""
    if given is wanted or given == wanted:
        return True
    many = _options(given)
    if many is not None:
        # The step may give a part of the union only: refuse if no part of it fits.
        return any(fits(part, wanted) for part in many)
    options = _options(wanted)
    if options is not None:
        return any(fits(given, option) for option in options)
    have, need = _base(given), _base(wanted)
    if have is None or need is None:
        return True
    try:
        related = issubclass(have, WIDENED.get(need, ())) or issubclass(have, need)
        related = related or issubclass(need, have)
    except TypeError:  # a class that cannot be asked
        return True
    return related and _arguments_fit(given, wanted)


def _arguments_fit(given: object, wanted: object) -> bool:
    """Compare `list[int]` with `list[str]`, where both say what is in them in the same way."""
    have, need = typing.get_args(given), typing.get_args(wanted)
    same = _base(given) is _base(wanted) and len(have) == len(need)
    return not same or _base(wanted) not in CONTAINERS or all(map(fits, have, need))


def item_of(wanted: object) -> object:
    """Give what the items of a list annotation are; anything if it does not say."""
    arguments = typing.get_args(wanted)
    base = _base(wanted)
    if base is not None and len(arguments) == 1 and issubclass(list, base):
        return arguments[0]
    return ANYTHING


def says_nothing(annotation: object) -> bool:
    """Say whether an annotation leaves everything open."""
    return _options(annotation) is None and _base(annotation) is None


def name_of(annotation: object) -> str:
    """Write an annotation for a person."""
    if annotation is None or annotation is type(None):
        return "None"
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "")


def shown(value: object) -> str:
    """Write a value for a person: in short, and whatever its own `repr` may do."""
    try:
        return _short.repr(value)
    except Exception:  # noqa: BLE001 - this runs the value's own code
        return f"a value of type {type(value).__name__}"


def _options(annotation: object) -> tuple[object, ...] | None:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return None


def _base(annotation: object) -> type | None:
    """Give the class behind an annotation; None if it could be anything."""
    if annotation is None:
        return type(None)
    if annotation is Any or annotation is ANYTHING or annotation is object:
        return None
    origin = typing.get_origin(annotation)
    base = origin if origin is not None else annotation
    if not isinstance(base, type) or getattr(base, "_is_protocol", False):
        return None
    return dict if typing.is_typeddict(base) else base
