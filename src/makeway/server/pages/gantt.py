"""Draw what jobs did over a span of time: one row each, waits thin, runs as wide as their workers.

Nothing in the drawing is stretched with the page: instants are percents of its width, rows have a
fixed height. A preemption is a line from the victim's row to that of the claimant, with its head
there.

Takes:   rows in the order in which they are shown
Gives:   markup; every text in it is escaped
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import msgspec
from markupsafe import Markup, escape

from makeway.server.pages.drawing import joined

ROW, HEAD, BAR = 26, 22, 18
TICKS = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 4 * 3600, 6 * 3600),
    *(12 * 3600, 86_400, 2 * 86_400, 7 * 86_400),
)
TICKS_MAX = 8
DAY_S = 86_400


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a row: `part` of its height, in the colour of its kind, leading somewhere."""

    begin_ms: int
    end_ms: int
    kind: str
    told: str
    part: float = 1.0
    path: str = ""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A row: its pieces, and the numbers of instants at which something is marked."""

    pieces: tuple[Piece, ...]


class Arrow(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody gave room to somebody: from row to row, at an instant."""

    at_ms: int
    start: int
    end: int
    told: str


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown: from when until when, and where now is (None: not in it)."""

    begin_ms: int
    end_ms: int
    now_ms: int | None = None

    def at(self, at_ms: int) -> float:
        """Say where an instant is, as a part of the width."""
        long_ms = max(1, self.end_ms - self.begin_ms)
        return min(1.0, max(0.0, (at_ms - self.begin_ms) / long_ms))


def gantt(lines: Sequence[Line], arrows: Sequence[Arrow], span: Span, told: str) -> Markup:
    """Draw it."""
    height = HEAD + ROW * len(lines)
    parts = [*_ticks(span, height)]
    for place, line in enumerate(lines):
        top = HEAD + ROW * place
        parts.append(f'<line class="rule" x1="0" x2="100%" y1="{top + ROW}" y2="{top + ROW}"/>')
        parts += [_piece(piece, top, span) for piece in line.pieces]
    parts += [_arrow(arrow, span) for arrow in arrows]
    if span.now_ms is not None:
        at = _percent(span.at(span.now_ms))
        parts.append(f'<line class="now" x1="{at}" x2="{at}" y1="{HEAD - 4}" y2="{height}"/>')
    return Markup('<svg class="gantt" height="{}" role="group" aria-label="{}">{}</svg>').format(
        height, told, joined(parts)
    )


def _piece(piece: Piece, top: int, span: Span) -> str:
    begin, end = span.at(piece.begin_ms), span.at(piece.end_ms)
    tall = max(2.0, BAR * piece.part)
    y = top + ROW / 2 + BAR / 2 - tall
    # What is shorter than a pixel is still to be seen.
    shape = (
        f'<rect class="g-{piece.kind}" x="{_percent(begin)}" y="{y:.1f}"'
        f' width="{_percent(max(end - begin, 0.0008))}" height="{tall:.1f}">'
        f"<title>{escape(piece.told)}</title></rect>"
    )
    return f'<a href="{escape(piece.path)}" tabindex="-1">{shape}</a>' if piece.path else shape


def _arrow(arrow: Arrow, span: Span) -> str:
    at = _percent(span.at(arrow.at_ms))
    start, end = (HEAD + ROW * row + ROW / 2 for row in (arrow.start, arrow.end))
    down = end > start
    tip = end - BAR / 2 if down else end + BAR / 2
    head = "M-4 -6L0 0L4 -6" if down else "M-4 6L0 0L4 6"
    return (
        f'<g class="arrow"><title>{escape(arrow.told)}</title>'
        f'<line x1="{at}" x2="{at}" y1="{start:.1f}" y2="{tip:.1f}"/>'
        f'<svg x="{at}" y="{tip:.1f}" overflow="visible"><path d="{head}"/></svg></g>'
    )


def _ticks(span: Span, height: int) -> list[str]:
    """Draw a line and write the time at round instants, at most eight of them."""
    long_s = (span.end_ms - span.begin_ms) / 1000
    step = next((one for one in TICKS if long_s / one <= TICKS_MAX), TICKS[-1])
    local = time.localtime(span.begin_ms / 1000)
    first = (span.begin_ms / 1000 + local.tm_gmtoff) // step * step - local.tm_gmtoff + step
    form = "%H:%M:%S" if step < 60 else "%H:%M" if long_s <= DAY_S else "%d %b %H:%M"
    found = []
    at_s = first
    while at_s * 1000 < span.end_ms:
        part = span.at(round(at_s * 1000))
        text = time.strftime(form, time.localtime(at_s))
        at = _percent(part)
        found.append(f'<line class="tick" x1="{at}" x2="{at}" y1="{HEAD - 4}" y2="{height}"/>')
        if 0.02 < part < 0.98:
            found.append(f'<text x="{at}" y="12" text-anchor="middle">{text}</text>')
        at_s += step
    return found


def _percent(part: float) -> str:
    return f"{100 * part:.3f}%"


def in_lanes(pieces: Mapping[str, Piece]) -> list[Line]:
    """Put pieces that overlap into rows of their own, as few as there must be."""
    lanes: list[list[Piece]] = []
    for piece in sorted(pieces.values(), key=lambda one: (one.begin_ms, one.end_ms)):
        free = next((lane for lane in lanes if lane[-1].end_ms <= piece.begin_ms), None)
        if free is None:
            lanes.append([piece])
        else:
            free.append(piece)
    return [Line(pieces=tuple(lane)) for lane in lanes]
