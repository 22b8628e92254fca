"""Compare what a step gives with what another one wants, by their annotations, before a run.

Only what is certain is refused: a missing annotation, `Any`, a type variable or anything unusual
fits everything.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from typing import Any

ANYTHING = object()


def hints_of(function: Callable[..., object]) -> dict[str, object]:
    """Give the annotations of a function; what cannot be evaluated is left out."""
    try:
        return dict(typing.get_type_hints(function))
    except (NameError, TypeError, AttributeError, SyntaxError):
        return {}


def holds(wanted: object, value: object) -> bool:
    """Say whether a value known now may be passed where `wanted` is expected."""
    options = _options(wanted)
    if options is not None:
        return any(holds(option, value) for option in options)
    if wanted is None or wanted is type(None):
        return value is None
    if typing.get_origin(wanted) is typing.Literal:
        return value in typing.get_args(wanted)
    base = _base(wanted)
    if base is None:
        return True
    if isinstance(value, bool) and base in (int, float):
        return False
    if isinstance(value, int) and base is float:
        return True
    return isinstance(value, base)


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
    if have is int and need is float:
        return True
    return issubclass(have, need) or issubclass(need, have)


def item_of(wanted: object) -> object:
    """Give what the items of a list annotation are; anything if it does not say."""
    arguments = typing.get_args(wanted)
    base = _base(wanted)
    if base is not None and issubclass(base, list | tuple) and arguments:
        return arguments[0]
    return ANYTHING


def name_of(annotation: object) -> str:
    """Write an annotation for a person."""
    if annotation is None or annotation is type(None):
        return "None"
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "")


def _options(annotation: object) -> tuple[object, ...] | None:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return None


def _base(annotation: object) -> type | None:
    """Give the class behind an annotation; None if it could be anything."""
    if annotation is None:
        return type(None)
    if annotation in (Any, ANYTHING, object) or isinstance(annotation, typing.TypeVar | str):
        return None
    origin = typing.get_origin(annotation)
    base = origin if origin is not None else annotation
    return base if isinstance(base, type) else None
