"""Read values that a person wrote, and say of each wrong one where it stands.

A file comes as `Item`s: a value and the line that it stands on; of a mapping, each key has a line
too. The body of a request has no lines: there the place is a path, such as `per_worker.memory`.
Whoever reads asks for what it wants, and one clear error tells what was found instead.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from makeway.errors import InvalidInput
from makeway.model.resources import CPU, GPU, MEMORY, Resources
from makeway.model.units import AMOUNT_MAX, BadAmount, bytes_of, milli_of, ms_of

# Other resources may have any name but these: their amounts would be mistaken for our own.
NO_NAMES = {
    "cpu": "cpus", "gpu": "gpus", "mem": "memory", CPU: "cpus", GPU: "gpus", MEMORY: "memory",
}  # fmt: skip
NUMBER_MAX = 1e9
TEXT_MAX = 200
NAMED_MAX, COMPARED_MAX = 30, 2000


class Item(msgspec.Struct, frozen=True):
    """A value of the file `file`, at `line`: a scalar, a list of items, or items by key.

    line     from 1; 0: what it stands in has no lines, and `path` says where it is
    written  how a number stands there, so that a name like 007 keeps its zeros
    path     keys and places of lists that lead to it, in what has no lines
    """

    file: str
    line: int
    value: object
    written: str = ""
    path: str = ""

    @property
    def where(self) -> str:
        """Say where it stands: `file:line`, or `what: path.to.key` in what has no lines."""
        if self.line:
            return f"{self.file}:{self.line}"
        return ": ".join(part for part in (self.file, self.path) if part)

    def wrong(self, problem: str) -> InvalidInput:
        """Make the error that this is wrong."""
        return InvalidInput(problem, where=self.where)

    def fields(self, known: Sequence[str], what: str) -> dict[str, Item]:
        """Read a mapping that may have these keys."""
        found = self.mapping(what)
        for key, item in found.items():
            if key not in known:
                raise item.wrong(f"{what} has no key {key!r}{instead(key, known)}")
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
        value = self.value
        if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
            raise self.wrong(f"{what} must be a text, not {self.said()}")
        text = self._as_written()
        if not text.isprintable() or len(text) > TEXT_MAX:
            raise self.wrong(f"{what} must be a text of at most {TEXT_MAX} signs on one line")
        return text

    def long_text(self, what: str, most: int) -> str:
        """Read a text of any signs, over any number of lines, of at most `most` bytes."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.wrong(f"{what} must be a text, not {self.said()}")
        text = self._as_written()
        try:
            size_bytes = len(text.encode())
        except UnicodeEncodeError:  # half of a pair of surrogates, which JSON may carry
            raise self.wrong(f"{what} is no text in UTF-8") from None
        if "\0" in text or size_bytes > most:
            raise self.wrong(f"{what} must be a text of at most {most} bytes without a NUL")
        return text

    def one_of(self, known: Sequence[str], what: str) -> str:
        """Read one of a few words."""
        text = self.text(what)
        if text not in known:
            raise self.wrong(f"there is no {what} {text!r}{instead(text, known)}")
        return text

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
            limit = f"at least {least}" if self.value < least else f"at most {AMOUNT_MAX}"
            raise self.wrong(f"{what} must be {limit}, not {self.said()}")
        return self.value

    def number(self, what: str, least: float = 0.0) -> float:
        """Read a number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.wrong(f"{what} must be a number, not {self.said()}")
        if not (least <= self.value <= NUMBER_MAX):
            limit = f"a number from {least:g} to {NUMBER_MAX:g}"
            raise self.wrong(f"{what} must be {limit}, not {self.said()}")
        return float(self.value)

    def time_ms(self, what: str) -> int:
        """Read a time: seconds, or `10s 5m 2h`; a minus in front is `since`'s alone."""
        self._plain(what, "a time")
        try:
            return ms_of(self.value, what)  # type: ignore[arg-type]  # it refuses all else
        except BadAmount as bad:
            raise self.wrong(f"{what}: {bad.problem}") from None

    def span_ms(self, what: str) -> int:
        """Read a span of time that is longer than nothing."""
        span_ms = self.time_ms(what)
        if not span_ms:
            raise self.wrong(f"{what} must be more than 0")
        return span_ms

    def past_ms(self, what: str) -> int:
        """Read an instant that may lie before the beginning: `-300s`."""
        value = self.value
        if isinstance(value, str) and value.startswith("-"):
            return -replace(self, value=value[1:]).time_ms(what)
        if isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
            return -replace(self, value=-value).time_ms(what)
        return self.time_ms(what)

    def resource(self, name: str) -> tuple[str, int]:
        """Read an amount of one resource: the model's kind, and whole units of it."""
        if name in NO_NAMES:
            raise self.wrong(f"there is no resource {name!r}; did you mean {NO_NAMES[name]!r}?")
        self._plain(name, "an amount")
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

    def _as_written(self) -> str:
        try:
            return self.written or str(self.value)
        except ValueError:  # a whole number of thousands of digits, which Python does not write
            raise self.wrong("a number of thousands of digits is no text") from None

    def _plain(self, what: str, wanted: str) -> None:
        if self.value is None or isinstance(self.value, dict | list):
            raise self.wrong(f"{what} must be {wanted}, not {self.said()}")

    def said(self) -> str:
        """Say what is there."""
        if self.value is None:
            return "nothing"
        if isinstance(self.value, dict | list):
            return "a mapping" if isinstance(self.value, dict) else "a list"
        try:
            return repr(self.value)[:60]
        except ValueError:  # a whole number of thousands of digits, which Python does not write
            return "a number of thousands of digits"


def instead(text: str, known: Sequence[str]) -> str:
    """Say which of a few words may have been meant, or which there are."""
    near = difflib.get_close_matches(text, known, n=1) if len(known) <= COMPARED_MAX else ()
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there are {', '.join(known)}" if 0 < len(known) <= NAMED_MAX else ""


def unique(named: Iterator[tuple[str, Item]], what: str) -> None:
    """Refuse a name that is there twice."""
    seen: dict[str, Item] = {}
    for name, item in named:
        note(seen, name, item, what)


def note(seen: dict[str, Item], name: str, item: Item, what: str) -> None:
    """Remember a name, or refuse it if it was `seen` before."""
    if name in seen:
        first = seen[name]
        place = f"on line {first.line}" if first.line else first.path
        raise item.wrong(f"there are two {what}s called {name!r}; the other is {place}")
    seen[name] = item


def option(fields: Mapping[str, Item], key: str) -> Item | None:
    """Give a key's item, or None if it is absent or empty."""
    item = fields.get(key)
    return None if item is None or item.value is None else item


def item_of(value: object, where: str, path: str = "") -> Item:
    """Make items of plain values: the body of a request, options of a command.

    `where` says what they stand in ("" for the body of a request, whose sender knows).
    """
    try:
        return _item(value, where, path)
    except RecursionError:
        raise InvalidInput("it is nested too deeply", where=where) from None


def _item(value: object, where: str, path: str) -> Item:
    inner: object = value
    if isinstance(value, Mapping):
        prefix = f"{path}." if path else ""
        inner = {str(key): _item(one, where, f"{prefix}{key}") for key, one in value.items()}
    elif isinstance(value, list | tuple):
        inner = [_item(one, where, f"{path}[{at}]") for at, one in enumerate(value)]
    return Item(where, 0, inner, path=path)
