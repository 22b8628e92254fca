"""Read a mapping whose keys are known into a value: a table says which key is read how.

Every key may be absent, or there may be nothing at it; the value's own default then stands. A key
that is not in the table is refused with the nearest that is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, NamedTuple, TypeVar

from makeway.intake.located import Item

Made = TypeVar("Made")
Reader = Callable[[Item, str], object]
TEXT_BYTES_MAX = 65_536


class Shape(NamedTuple, Generic[Made]):
    """What a mapping is called, what is made of it, and each key's field and reader."""

    what: str
    make: Callable[..., Made]
    keys: Mapping[str, tuple[str, Reader]]

    def read(self, item: Item, _key: str = "") -> Made:
        """Read one mapping."""
        known: dict[str, object] = {}
        for key, one in item.fields(tuple(self.keys), self.what).items():
            if one.value is not None:
                field, reader = self.keys[key]
                known[field] = reader(one, key)
        return self.make(**known)

    def each(self, item: Item, key: str) -> tuple[Made, ...]:
        """Read a list of such mappings."""
        return tuple(self.read(one) for one in item.items(key))


def free_text(item: Item, key: str) -> str:
    """Read a text of any signs and lines."""
    return item.long_text(key, TEXT_BYTES_MAX)


def texts(item: Item, key: str) -> tuple[str, ...]:
    """Read a list of texts; one text stands for its lines."""
    if isinstance(item.value, str):
        return tuple(free_text(item, key).splitlines())
    return tuple(free_text(one, key) for one in item.items(key))


def seconds(item: Item, key: str) -> float:
    """Read a time; it may lie before the beginning."""
    return item.past_ms(key) / 1000


def span(item: Item, key: str) -> float:
    """Read a length of time."""
    return item.time_ms(key) / 1000


def size(item: Item, _key: str) -> int:
    """Read a number of bytes."""
    return item.resource("memory")[1]


def count(item: Item, key: str) -> int:
    """Read a whole number from 0."""
    return item.whole(key)


def any_whole(item: Item, key: str) -> int:
    """Read a whole number that may be less than 0, as an exit code may."""
    return item.whole(key, -(2**31))


def number(item: Item, key: str) -> float:
    """Read a number from 0."""
    return item.number(key)


def any_number(item: Item, key: str) -> float:
    """Read a number that may be less than 0."""
    return item.number(key, -1e9)


def flag(item: Item, key: str) -> bool:
    """Read true or false."""
    return item.flag(key)


def word(*known: str) -> Reader:
    """Make a reader of one of a few words."""
    return lambda item, key: item.one_of(known, key)


def rank_of(item: Item, key: str) -> int:
    """Read the rank that a key is: ranks are written as texts there."""
    if not key.isdecimal() or len(key) > 9:
        raise item.wrong(f"{key!r} is no rank; ranks are 0, 1, 2, …")
    return int(key)
