"""Draw small things as SVG: bars of shares, sparklines, the history of an allocation.

No style is written into a page (its policy forbids that), so lengths are attributes of shapes and
colours are classes of the style sheet.

Takes:   plain numbers
Gives:   markup that is safe as it is: every text in it is escaped
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup, escape

HUNDRED = 100.0
SPARK_WIDTH, SPARK_HEIGHT = 96, 20
AREA_WIDTH, AREA_HEIGHT, AREA_FOOT = 960, 180, 20
COLOURS = 6


def bar(held: float, *, due: float | None = None, used: float | None = None, told: str) -> Markup:
    """Draw what is held of a whole, with a tick at what is due and a thin bar of what is used."""
    parts = [_box("ground", 0, 16, 1.0)]
    inside = held if due is None else min(held, due)
    parts.append(_box("held", 2, 12, inside))
    if held > inside:
        parts.append(_box("over", 2, 12, held - inside, inside))
    if used is not None:
        parts.append(_box("used", 6, 4, used))
    if due is not None:
        at = _percent(due)
        parts.append(f'<line class="due" x1="{at}" x2="{at}" y1="0" y2="16"/>')
    return Markup('<svg class="bar" role="img" aria-label="{}">{}</svg>').format(
        told, joined(parts)
    )


def joined(parts: Iterable[str]) -> Markup:
    """Put drawn parts together: what is a text in them was escaped where it was put in."""
    return Markup("".join(parts))  # noqa: S704 - that is what this function is for


def _box(name: str, y: int, height: int, part: float, start: float = 0.0) -> str:
    left = min(1.0, max(0.0, start))
    width = _percent(min(part, 1.0 - left))
    return f'<rect class="{name}" x="{_percent(left)}" y="{y}" width="{width}" height="{height}"/>'


def _percent(part: float) -> str:
    return f"{HUNDRED * min(1.0, max(0.0, part)):.2f}%"


def spark(values: Sequence[float], *, told: str, slow: bool = False) -> Markup:
    """Draw the shape of a series; `told` says the same in words."""
    if not values:
        return Markup("")
    low, high = min(values), max(values)
    wide = max(1, len(values) - 1)
    tall = (high - low) or 1.0
    dots = [
        f"{SPARK_WIDTH * at / wide:.1f} {SPARK_HEIGHT - 1 - (SPARK_HEIGHT - 2) * (one - low) / tall:.1f}"
        for at, one in enumerate(values)
    ]
    if len(dots) == 1:
        dots.append(f"{SPARK_WIDTH} {dots[0].split()[1]}")
    return Markup(
        '<svg class="spark{}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img"'
        ' aria-label="{}"><path d="M{}"/></svg>'
    ).format(" slow" if slow else "", SPARK_WIDTH, SPARK_HEIGHT, told, "L".join(dots))


def stacked(
    layers: Mapping[str, Sequence[float]], *, begin_s: float, end_s: float, whole: float, told: str
) -> Markup:
    """Draw layers on one another over a span of time, with a line at the whole there is."""
    count = max((len(layer) for layer in layers.values()), default=0)
    sums = [sum(layer[at] for layer in layers.values()) for at in range(count)]
    top = max([whole, *sums]) * 1.08 or 1.0
    floor = [0.0] * count
    parts = []
    for place, (name, layer) in enumerate(layers.items()):
        roof = [low + one for low, one in zip(floor, layer, strict=True)]
        shape = "L".join([*_edge(roof, top), *reversed(_edge(floor, top))])
        parts.append(
            f'<path class="c-{place % COLOURS + 1}" d="M{shape}Z"><title>{escape(name)}</title></path>'
        )
        floor = roof
    parts.append(_level("whole", whole, top))
    drawn = Markup('<svg width="100%" height="{1}" viewBox="0 0 {0} {1}"'
                   ' preserveAspectRatio="none">{2}</svg>').format(
        AREA_WIDTH, AREA_HEIGHT - AREA_FOOT, joined(parts)
    )  # fmt: skip
    texts = joined(_axes(begin_s, end_s, whole, top))
    return Markup('<svg class="area" role="img" aria-label="{}">{}{}</svg>').format(
        told, drawn, texts
    )


def _edge(values: Sequence[float], top: float) -> list[str]:
    """Give the corners of a line of steps."""
    wide = AREA_WIDTH / max(1, len(values))
    found = []
    for at, one in enumerate(values):
        y = _height(one, top)
        found += [f"{wide * at:.1f} {y}", f"{wide * (at + 1):.1f} {y}"]
    return found


def _height(value: float, top: float) -> str:
    tall = AREA_HEIGHT - AREA_FOOT
    return f"{tall - tall * value / top:.1f}"


def _level(name: str, value: float, top: float) -> str:
    y = _height(value, top)
    return f'<line class="{name}" x1="0" x2="{AREA_WIDTH}" y1="{y}" y2="{y}"/>'


def _axes(begin_s: float, end_s: float, whole: float, top: float) -> list[str]:
    """Write what the levels mean, and the hours; no text is stretched with the drawing."""
    found = [
        f'<text x="2" y="{_height(value, top)}" dy="-4">{value:g}</text>'
        for value in (whole / 2, whole)
        if whole
    ]
    for part in range(5):
        at_s = begin_s + (end_s - begin_s) * part / 4
        anchor = "start" if part == 0 else "end" if part == 4 else "middle"
        text = time.strftime("%H:%M", time.localtime(at_s))
        found.append(
            f'<text x="{25 * part}%" y="{AREA_HEIGHT - 4}" text-anchor="{anchor}">{text}</text>'
        )
    return found
