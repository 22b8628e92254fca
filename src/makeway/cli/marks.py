"""Name what a picture is made of: lines, boxes and words, each at its place in pixels."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

INK = "#222222"


class Line(msgspec.Struct, frozen=True):
    """A line through points."""

    points: Sequence[tuple[float, float]]
    colour: str = INK
    width: float = 1
    dash: Sequence[int] = ()


class Box(msgspec.Struct, frozen=True):
    """A filled box: left, top, width, height."""

    place: tuple[float, float, float, float]
    colour: str


class Words(msgspec.Struct, frozen=True):
    """A text; `anchor` is start, middle or end; turned ones read upwards."""

    at: tuple[float, float]
    text: str
    anchor: str = "start"
    size: int = 12
    turned: bool = False


Mark = Line | Box | Words
