"""Write Python's own values as JSON with tags, where JSON alone has no word for them.

Tuples, sets, bytes, numbers that are not finite or very long, dicts with other keys than text: each
becomes `{"~": kind, "of": …}`. A set is written in the order of its items' text, so that the same
set has the same bytes in every process, which pickle's does not.

Holds:   read(write(value)) is the value, type by type, for all that `suits`
Cost:    about 0.7 µs an item each way; what has more than ITEMS_MAX is left to pickle, which is quick
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from typing import Any

ITEMS_MAX = 100_000
NESTED_MAX = 100
DIGITS_SAFE = 10**300  # Python refuses to write or read decimal numbers of thousands of digits

TAG = "~"


def suits(value: object) -> bool:
    """Say whether the value, with all that is in it, can be written so."""
    return _count(value, 0) <= ITEMS_MAX


def write(value: object) -> bytes:
    """Write the value."""
    return _text(_tagged(value)).encode("utf-8", "surrogatepass")


def read(data: bytes) -> object:
    """Read what `write` wrote."""
    return _untagged(json.loads(data.decode("utf-8", "surrogatepass")))


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _count(value: object, depth: int) -> int:
    """Count the items of a value; too many if one of them is of another type."""
    kind = type(value)
    if kind is bytes:
        return 1 + len(value) // 16  # type: ignore[arg-type]  # of bytes; many are shorter as they are
    if value is None or kind in PLAIN or kind in SPELLED:
        return 1
    if depth > NESTED_MAX or kind not in (dict, *LISTED):
        return ITEMS_MAX + 1
    items = (*value.keys(), *value.values()) if isinstance(value, dict) else value
    total = 1
    for item in items:  # type: ignore[attr-defined]  # one of the kinds above
        total += _count(item, depth + 1)
        if total > ITEMS_MAX:
            break
    return total


def _tagged(value: Any) -> object:  # noqa: ANN401 - what `suits` has allowed
    kind = type(value)
    if kind is list:
        return [_tagged(item) for item in value]
    if kind is dict:
        if all(type(key) is str for key in value) and TAG not in value:
            return {key: _tagged(item) for key, item in value.items()}
        return {TAG: "dict", "of": [[_tagged(key), _tagged(item)] for key, item in value.items()]}
    if kind in LISTED:
        items = [_tagged(item) for item in value]
        return {TAG: kind.__name__, "of": items if kind is tuple else sorted(items, key=_text)}
    if kind in SPELLED and not _is_plain_number(value):
        return {TAG: kind.__name__, "of": SPELLED[kind](value)}
    return value


def _is_plain_number(value: Any) -> bool:  # noqa: ANN401 - one of several types
    if type(value) is float:
        return math.isfinite(value)
    return type(value) is int and -DIGITS_SAFE < value < DIGITS_SAFE


def _untagged(value: object) -> object:
    if isinstance(value, list):
        return [_untagged(item) for item in value]
    if isinstance(value, dict):
        if TAG not in value:
            return {key: _untagged(item) for key, item in value.items()}
        return MADE[value[TAG]](value["of"])
    return value


def _items(of: list[object]) -> list[object]:
    return [_untagged(item) for item in of]


PLAIN = (bool, str)
LISTED = (list, tuple, set, frozenset)
SPELLED: dict[type, Callable[[Any], object]] = {
    int: hex,
    float: str,
    complex: lambda value: [_tagged(value.real), _tagged(value.imag)],
    bytes: lambda value: base64.b64encode(value).decode(),
}
MADE: dict[str, Callable[[Any], object]] = {
    "tuple": lambda of: tuple(_items(of)),
    "set": lambda of: set(_items(of)),
    "frozenset": lambda of: frozenset(_items(of)),
    "dict": lambda of: {_untagged(key): _untagged(item) for key, item in of},
    "int": lambda of: int(of, 16),
    "float": float,
    "complex": lambda of: complex(*map(_untagged, of)),  # type: ignore[call-overload]  # two floats
    "bytes": base64.b64decode,
}
