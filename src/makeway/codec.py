"""Write values down as JSON and read them back: the one parser of the log.

An event is stored with the version of its schema. When a stored event no longer reads as its class
says, the class gets an upgrade: a function from the old JSON object to the next one. Then every log
that was ever written stays readable, and the rest of makeway knows the newest form alone.

JSON has no word for a number that is not finite, and a loss may well become one: it is written as
"nan", "inf" or "-inf" wherever a number stands, and read back as a number.

Gives:   encode, decode for any value of the model; encode_event, decode_event; whole entries
Raises:  InvalidInput: what was to be read is not what it should be; `where` leads to the field
Holds:   decode(encode(value)) == value for every event · fields that are not known are passed over
Cost:    3 to 10 µs to write and 6 µs to read an event of usual size
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from makeway.errors import InvalidInput
from makeway.model.event import Entry, Event

Value = TypeVar("Value")
Upgrade = Callable[[dict[str, object]], dict[str, object]]

# By the event's name: the upgrade from version 1 to 2, from 2 to 3, and so on. None is needed yet.
UPGRADES: Mapping[str, tuple[Upgrade, ...]] = {}

ENCODER = msgspec.json.Encoder()
NOT_FINITE = (b'"nan"', b'"inf"', b'"-inf"')


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry as it is written: the event unread, and the version that it was written with."""

    seq: int
    at_ms: int
    cause: int
    event: msgspec.Raw
    version: int = 1


def encode(value: object) -> bytes:
    """Write any value of the model as JSON."""
    try:
        text = ENCODER.encode(value)
        # Only a null can be a number in disguise, so that most values need no second look.
        if b"null" in text and _any_not_finite(plain := msgspec.to_builtins(value)):
            text = ENCODER.encode(_spelled(plain))
    except UnicodeEncodeError as error:
        problem = f"it holds text that is not Unicode: {error.object!r}"
        raise InvalidInput(problem, where=type(value).__name__) from None
    return text


def decode(text: bytes | str, kind: type[Value], where: str = "JSON") -> Value:
    """Read a value of this type; `where` says in an error what was being read."""
    value: Value = _read(text, kind, where)
    return value


def encode_event(event: Event) -> bytes:
    """Write an event; `version_of` goes with it."""
    return encode(event)


def decode_event(text: bytes | str, version: int = 1, where: str = "event") -> Event:
    """Read an event that was written with that version of its schema."""
    # The usual case first: no event has an upgrade, or this one is as new as it can be.
    if version == 1 and not UPGRADES:
        event: Event = _read(text, Event, where)
        return event
    fields = decode(text, dict[str, object], where)
    newest = version_of(str(fields.get("type")))
    if version > newest:
        problem = f"version {version} of {fields.get('type')} is newer than this makeway knows"
        raise InvalidInput(problem, where=where, hint="use the makeway that wrote it")
    for upgrade in UPGRADES.get(str(fields.get("type")), ())[version - 1 :]:
        fields = upgrade(fields)
    upgraded: Event = _read(ENCODER.encode(fields), Event, where)
    return upgraded


def version_of(name: str) -> int:
    """Give the version with which an event of this name is written now."""
    return 1 + len(UPGRADES.get(name, ()))


def encode_entry(entry: Entry) -> bytes:
    """Write one line of the log."""
    line = Line(
        seq=entry.seq,
        at_ms=entry.at_ms,
        cause=entry.cause,
        event=msgspec.Raw(encode_event(entry.event)),
        version=version_of(type(entry.event).__name__),
    )
    return ENCODER.encode(line)


def decode_entry(text: bytes | str, where: str = "entry") -> Entry:
    """Read one line of the log."""
    line = decode(text, Line, where)
    event = decode_event(bytes(line.event), line.version, f"{where} {line.seq}")
    return Entry(seq=line.seq, at_ms=line.at_ms, cause=line.cause, event=event)


@cache
def _decoder(kind: Any, *, strict: bool) -> msgspec.json.Decoder[Any]:  # noqa: ANN401 - a union is no `type`
    return msgspec.json.Decoder(kind, strict=strict)


def _read(text: bytes | str, kind: Any, where: str) -> Any:  # noqa: ANN401 - likewise
    try:
        return _decoder(kind, strict=True).decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        plain = text.encode("utf-8", "replace") if isinstance(text, str) else text
        if any(word in plain for word in NOT_FINITE):
            try:
                return _decoder(kind, strict=False).decode(text)
            except msgspec.DecodeError:
                pass  # something else is wrong with it: that is what the reader wants to hear
        raise _invalid(error, where) from None


def _invalid(error: Exception, where: str) -> InvalidInput:
    problem, _, path = str(error).partition(" - at `$")
    if isinstance(error, RecursionError):
        problem = "it is nested too deeply"
    return InvalidInput(problem, where=where + path.rstrip("`"))


def _any_not_finite(value: object) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(map(_any_not_finite, value.values()))
    return isinstance(value, list | tuple) and any(map(_any_not_finite, value))


def _spelled(value: object) -> object:
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case dict():
            return {key: _spelled(item) for key, item in value.items()}
        case list() | tuple():
            return [_spelled(item) for item in value]
        case _:
            return value
