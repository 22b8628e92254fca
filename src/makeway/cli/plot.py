"""Draw how policies compare: how soon jobs were done, as a curve for each, and the means as bars.

A picture is a list of marks (lines, boxes, words), which is written as SVG by hand, or as PNG with
Pillow, which `pip install 'makeway[plot]'` brings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import msgspec

from makeway.cli.marks import INK, Box, Line, Mark, Words
from makeway.errors import InvalidInput, Unavailable

# Okabe and Ito's colours: they stay apart for colour-blind eyes; the dashes do so on grey paper.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ((), (9, 4), (3, 3), (12, 4, 3, 4), (6, 2), (2, 5), ())
TICKS_S = (
    (0.001, "1 ms"), (0.01, "10 ms"), (0.1, "0.1 s"), (1, "1 s"), (10, "10 s"), (60, "1 min"),
    (600, "10 min"), (3600, "1 h"), (6 * 3600, "6 h"), (86400, "1 d"), (7 * 86400, "7 d"),
    (30 * 86400, "30 d"), (365 * 86400, "1 y"), (3650 * 86400, "10 y"),
)  # fmt: skip
FAINT = "#DDDDDD"
WIDTH, HEIGHT = 960, 420
LEFT, TOP, BOTTOM = 70, 50, 350
CURVE_RIGHT, BARS_LEFT, BARS_RIGHT = 520, 660, 900
POINTS = 240


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """One policy: its completion times in ascending order, and their mean; in seconds."""

    name: str
    completions_s: Sequence[float]
    mean_s: float


def write(path: str, title: str, curves: Sequence[Curve], bound_s: float | None) -> None:
    """Write a picture; the end of the file's name says which kind."""
    marks = [*picture(title, [one for one in curves if one.completions_s], bound_s)]
    match Path(path).suffix.lower():
        case ".svg":
            _save(path, svg(marks).encode())
        case ".png":
            _png(path, marks)
        case _:
            raise InvalidInput("a plot is written as .svg or .png", where=path)


def picture(title: str, curves: Sequence[Curve], bound_s: float | None) -> Iterator[Mark]:
    """Lay out both parts and the legend."""
    yield Words((LEFT, 28), title, size=15)
    if not curves:
        yield Words((LEFT, 80), "no job has ended well")
        return
    yield from _curves(curves)
    yield from _bars(curves, bound_s)


# ── the two parts ─────────────────────────────────────────────────────────────────────────────────


def _curves(curves: Sequence[Curve]) -> Iterator[Mark]:
    low = max(0.001, min(one.completions_s[0] for one in curves))
    high = max([2 * low, *(one.completions_s[-1] for one in curves)])

    def across(seconds: float) -> float:
        part = math.log(max(low, seconds) / low) / math.log(high / low)
        return LEFT + part * (CURVE_RIGHT - LEFT)

    last = -math.inf
    for seconds, text in TICKS_S:
        x = across(seconds)
        if low <= seconds <= high and x - last > 36:
            last = x
            yield Line([(x, TOP), (x, BOTTOM)], FAINT)
            yield Words((x, BOTTOM + 18), text, "middle")
    for per_cent in range(0, 101, 25):
        y = _up(per_cent / 100)
        yield Line([(LEFT, y), (CURVE_RIGHT, y)], FAINT)
        yield Words((LEFT - 8, y + 4), f"{per_cent} %", "end")
    yield Line([(LEFT, TOP), (LEFT, BOTTOM), (CURVE_RIGHT, BOTTOM)])
    yield Words(((LEFT + CURVE_RIGHT) / 2, BOTTOM + 40), "from submission to end", "middle")
    yield Words((18, (TOP + BOTTOM) / 2), "of the jobs are done", "middle", turned=True)
    for number, one in enumerate(curves):
        count = len(one.completions_s)
        picked = sorted({round(part * (count - 1) / POINTS) for part in range(POINTS + 1)})
        points = [(across(one.completions_s[0]), _up(0))]
        points += [(across(one.completions_s[at]), _up((at + 1) / count)) for at in picked]
        yield Line(points, _colour(number), 2, DASHES[number % len(DASHES)])


def _bars(curves: Sequence[Curve], bound_s: float | None) -> Iterator[Mark]:
    """Draw the means, which are the legend too."""
    most = max([bound_s or 0.0, *(one.mean_s for one in curves)]) or 1.0
    step = (BOTTOM - TOP) / max(4, len(curves))
    scale = (BARS_RIGHT - BARS_LEFT) * 0.8 / most
    for number, one in enumerate(curves):
        y = TOP + number * step
        middle = y + step / 2
        key = [(BARS_LEFT - 112, middle), (BARS_LEFT - 78, middle)]
        yield Line(key, _colour(number), 2, DASHES[number % len(DASHES)])
        yield Words((BARS_LEFT - 72, middle + 4), one.name)
        yield Box((BARS_LEFT, y + step * 0.2, one.mean_s * scale, step * 0.6), _colour(number))
        yield Words((BARS_LEFT + one.mean_s * scale + 6, middle + 4), span(one.mean_s))
    yield Line([(BARS_LEFT, TOP), (BARS_LEFT, BOTTOM)])
    yield Words(
        ((BARS_LEFT + BARS_RIGHT) / 2, BOTTOM + 40), "mean, from submission to end", "middle"
    )
    if bound_s is not None:
        x = BARS_LEFT + bound_s * scale
        yield Line([(x, TOP - 4), (x, BOTTOM + 4)], INK, 1, (4, 3))
        yield Words((x, BOTTOM + 18), f"no policy can be below {span(bound_s)}", "middle")


def _up(part: float) -> float:
    return BOTTOM - part * (BOTTOM - TOP)


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def span(seconds: float) -> str:
    """Write how long something takes, in the largest unit that it fills."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


# ── how marks are written ─────────────────────────────────────────────────────────────────────────


def svg(marks: Sequence[Mark]) -> str:
    """Write marks as SVG."""
    sizes = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    look = f'font-family="Helvetica, Arial, sans-serif" fill="{INK}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {sizes} {look}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#FFFFFF"/>',
        *map(_tag, marks),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _tag(mark: Mark) -> str:
    match mark:
        case Line(points, colour, width, dash):
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            dashed = f' stroke-dasharray="{",".join(map(str, dash))}"' if dash else ""
            return (
                f'<polyline points="{path}" fill="none" stroke="{colour}" '
                f'stroke-width="{width:g}"{dashed}/>'
            )
        case Box((x, y, width, height), colour):
            return (
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
                f'fill="{colour}"/>'
            )
        case Words((x, y), text, anchor, size, turned):
            turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
            return (
                f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" '
                f'text-anchor="{anchor}"{turn}>{escape(text)}</text>'
            )


def _png(path: str, marks: Sequence[Mark]) -> None:
    try:
        from makeway.cli.plot_png import png
    except ImportError:
        raise Unavailable(
            "a PNG is drawn with Pillow, which is not installed",
            where=path,
            hint="pip install 'makeway[plot]', or write an .svg, which needs nothing",
        ) from None
    _save(path, png(marks, (WIDTH, HEIGHT)))


def _save(path: str, content: bytes) -> None:
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise InvalidInput(f"the plot cannot be written: {error}", where=path) from None
