"""Read values of a file that a person wrote, and say of each wrong one where it stands.

A file comes as `Item`s: a value and the line that it stands on; of a mapping, each key has a line
too. Whoever reads asks for what it wants, and one clear error tells what was found instead.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from makeway.errors import InvalidInput
from makeway.model.resources import CPU, GPU, MEMORY, Resources
from makeway.model.units import AMOUNT_MAX, BadAmount, bytes_of, milli_of, ms_of


class Item(msgspec.Struct, frozen=True):
    """A value of the file `file`, at `line`: a scalar, a list of items, or items by key."""

    file: str
    line: int
    value: object

    def wrong(self, problem: str) -> InvalidInput:
        """Make the error that this is wrong."""
        return InvalidInput(problem, where=f"{self.file}:{self.line}")

    def fields(self, known: Sequence[str], what: str) -> dict[str, Item]:
        """Read a mapping that may have these keys."""
        found = self.mapping(what)
        for key, item in found.items():
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
                raise item.wrong(f"{what} has no key {key!r}{hint}")
        return found

    def mapping(self, what: str) -> dict[str, Item]:
        """Read a mapping with any keys."""
        if not isinstance(self.value, dict):
            raise self.wrong(f"{what} must be a mapping, not {self.said()}")
        return self.value

    def items(self, what: str) -> list[Item]:
        """Read a list."""
        if not isinstance(self.value, list):
            raise self.wrong(f"{what} must be a list, not {self.said()}")
        return self.value

    def text(self, what: str) -> str:
        """Read a name or another text; a number is read as it is written."""
        if (
            isinstance(self.value, bool)
            or not isinstance(self.value, str | int)
            or self.value == ""
        ):
            raise self.wrong(f"{what} must be a text, not {self.said()}")
        return str(self.value)

    def flag(self, what: str) -> bool:
        """Read true or false."""
        if not isinstance(self.value, bool):
            raise self.wrong(f"{what} must be true or false, not {self.said()}")
        return self.value

    def whole(self, what: str, least: int = 0) -> int:
        """Read a whole number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            raise self.wrong(f"{what} must be a whole number, not {self.said()}")
        if not least <= self.value <= AMOUNT_MAX:
            raise self.wrong(f"{what} must be at least {least}, not {self.said()}")
        return self.value

    def number(self, what: str, least: float = 0.0) -> float:
        """Read a number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.wrong(f"{what} must be a number, not {self.said()}")
        if not (least <= self.value < math.inf):
            raise self.wrong(f"{what} must be at least {least:g}, not {self.said()}")
        return float(self.value)

    def time_ms(self, what: str) -> int:
        """Read a time: seconds, or `10s 5m 2h`; a minus in front is `since`'s alone."""
        try:
            return ms_of(self.value, what)  # type: ignore[arg-type]  # it refuses all else
        except BadAmount as bad:
            raise self.wrong(f"{what}: {bad.problem}") from None

    def past_ms(self, what: str) -> int:
        """Read an instant that may lie before the beginning: `-300s`."""
        value = self.value
        if isinstance(value, str) and value.startswith("-"):
            return -Item(self.file, self.line, value[1:]).time_ms(what)
        if isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
            return -Item(self.file, self.line, -value).time_ms(what)
        return self.time_ms(what)

    def resource(self, name: str) -> tuple[str, int]:
        """Read an amount of one resource: the model's kind, and whole units of it."""
        try:
            match name:
                case "cpus":
                    return CPU, milli_of(self.value, name)  # type: ignore[arg-type]  # refused
                case "gpus":
                    return GPU, milli_of(self.value, name)  # type: ignore[arg-type]  # refused
                case "memory":
                    return MEMORY, bytes_of(self.value, name)  # type: ignore[arg-type]  # refused
        except BadAmount as bad:
            raise self.wrong(f"{name}: {bad.problem}") from None
        return name, self.whole(name)

    def amounts(self, what: str) -> dict[str, int]:
        """Read amounts by resource; a 0 is kept, since a limit of 0 is one."""
        return dict(item.resource(name) for name, item in self.mapping(what).items())

    def resources(self, what: str) -> Resources:
        """Read what a worker asks for."""
        return Resources.of(self.amounts(what))

    def said(self) -> str:
        """Say what is there."""
        if self.value is None:
            return "nothing"
        if isinstance(self.value, dict | list):
            return "a mapping" if isinstance(self.value, dict) else "a list"
        return repr(self.value)[:60]


def unique(named: Iterator[tuple[str, Item]], what: str) -> None:
    """Refuse a name that is there twice."""
    seen: dict[str, Item] = {}
    for name, item in named:
        if name in seen:
            raise item.wrong(
                f"there are two {what}s called {name!r}; the other is on line {seen[name].line}"
            )
        seen[name] = item


def option(fields: Mapping[str, Item], key: str) -> Item | None:
    """Give a key's item, or None if it is absent or empty."""
    item = fields.get(key)
    return None if item is None or item.value is None else item
