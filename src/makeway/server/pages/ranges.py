"""Draw intervals on one scale, and models as points of two measures.

Takes:   plain numbers
Gives:   SVG in which colour never says anything alone: the best are diamonds, the others rings
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec
from markupsafe import Markup, escape

from makeway.server.pages.drawing import joined

RANGE_WIDTH, RANGE_HEIGHT, ROOM = 200, 20, 8
WIDTH, HEIGHT = 440, 240
LEFT, RIGHT, TOP, FOOT = 54, 424, 12, 202
TICKS = 4
DOTS_MAX = 500


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """From which number to which a drawing goes."""

    low: float
    high: float

    def part(self, value: float) -> float:
        """Say where a number stands, 0 to 1."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


class Dot(msgspec.Struct, frozen=True, kw_only=True):
    """One thing by two measures, and where it leads."""

    x: float
    y: float
    path: str
    told: str
    best: bool = False
    chosen: bool = False


def scale_of(values: Sequence[float]) -> Scale:
    """Make a scale on which all of these stand, with some air around them."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    air = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return Scale(low=low - air, high=high + air)


def range_of(scale: Scale, bounds: tuple[float, float, float], *, told: str) -> Markup:
    """Draw an interval with its mean, and where nothing would be."""
    wide, middle = RANGE_WIDTH - 2 * ROOM, RANGE_HEIGHT / 2
    low, mean, high, zero = (ROOM + wide * scale.part(one) for one in (*bounds, 0.0))
    sure = "" if bounds[0] <= 0 <= bounds[2] else " sure"
    return Markup(
        '<svg class="range{}" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        '<line class="zero" x1="{}" x2="{}" y1="0" y2="{}"/>'
        '<path class="reach" d="M{} {}V{}M{} {}H{}M{} {}V{}"/>'
        '<circle cx="{}" cy="{}" r="4"/></svg>'
    ).format(
        sure, RANGE_WIDTH, RANGE_HEIGHT, told, f"{zero:.1f}", f"{zero:.1f}", RANGE_HEIGHT,
        f"{low:.1f}", middle - 4, middle + 4, f"{low:.1f}", middle, f"{high:.1f}",
        f"{high:.1f}", middle - 4, middle + 4, f"{mean:.1f}", middle,
    )  # fmt: skip


def scatter(dots: Sequence[Dot], *, across: str, upward: str) -> Markup:
    """Draw points, the best last so that they lie on the others."""
    some = sorted(dots, key=lambda dot: not dot.best)[:DOTS_MAX]
    x, y = scale_of([dot.x for dot in some]), scale_of([dot.y for dot in some])
    parts = [*_axes(x, y, across, upward)]
    for dot in reversed(some):
        parts += _dot(
            dot, LEFT + (RIGHT - LEFT) * x.part(dot.x), FOOT - (FOOT - TOP) * y.part(dot.y)
        )
    return Markup(
        '<svg class="scatter" viewBox="0 0 {} {}" role="group" aria-label="{} by {}: {} models;'
        ' the table has the same">{}</svg>'
    ).format(WIDTH, HEIGHT, upward, across, len(some), joined(parts))


def _dot(dot: Dot, x: float, y: float) -> Iterator[str]:
    name = " best" if dot.best else ""
    words = dot.told + (", no other outdoes it" if dot.best else "")
    words += ", selected" if dot.chosen else ""
    yield f'<a class="dot{name}" href="{escape(dot.path)}"><title>{escape(words)}</title>'
    if dot.chosen:
        yield f'<circle class="chosen" cx="{x:.1f}" cy="{y:.1f}" r="11"/>'
    if dot.best:
        yield f'<path d="M{x:.1f} {y - 7:.1f}l7 7l-7 7l-7 -7Z"/></a>'
    else:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5"/></a>'


def _axes(x: Scale, y: Scale, across: str, upward: str) -> Iterator[str]:
    for at in range(TICKS + 1):
        part = at / TICKS
        left, top = LEFT + (RIGHT - LEFT) * part, FOOT - (FOOT - TOP) * part
        yield f'<line class="rule" x1="{LEFT}" x2="{RIGHT}" y1="{top:.1f}" y2="{top:.1f}"/>'
        yield (
            f'<text x="{LEFT - 6}" y="{top + 4:.1f}" text-anchor="end">'
            f"{y.low + (y.high - y.low) * part:.3g}</text>"
        )
        yield (
            f'<text x="{left:.1f}" y="{FOOT + 16}" text-anchor="middle">'
            f"{x.low + (x.high - x.low) * part:.3g}</text>"
        )
    yield f'<text x="{RIGHT}" y="{FOOT + 33}" text-anchor="end">{escape(across)} →</text>'
    yield f'<text x="{LEFT}" y="{FOOT + 33}">↑ {escape(upward)}</text>'
