"""Draw the marks of a plot as PNG, with Pillow; twice as large, so that letters stay sharp."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterator, Sequence

from PIL import Image, ImageDraw, ImageFont

from makeway.cli.marks import INK, Box, Line, Mark, Words

SCALE = 2
Point = tuple[float, float]
ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}


def png(marks: Sequence[Mark], size: tuple[int, int]) -> bytes:
    """Draw them all."""
    image = Image.new("RGB", (size[0] * SCALE, size[1] * SCALE), "#FFFFFF")
    draw = ImageDraw.Draw(image)
    for mark in marks:
        match mark:
            case Line(points, colour, width, dash):
                for piece in _pieces(points, dash):
                    draw.line(_scaled(piece), fill=colour, width=round(width * SCALE))
            case Box((x, y, width, height), colour):
                corners = [(x, y), (x + width, y + height)]
                draw.rectangle(_scaled(corners), fill=colour)
            case Words():
                _words(image, draw, mark)
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()


def _words(image: Image.Image, draw: ImageDraw.ImageDraw, words: Words) -> None:
    font = ImageFont.load_default(words.size * SCALE)
    x, y = words.at[0] * SCALE, words.at[1] * SCALE
    if not words.turned:
        draw.text((x, y), words.text, fill=INK, font=font, anchor=ANCHORS[words.anchor])
        return
    wide, high = round(draw.textlength(words.text, font=font)), words.size * SCALE * 3 // 2
    slip = Image.new("RGB", (wide, high), "#FFFFFF")
    ImageDraw.Draw(slip).text((0, words.size * SCALE), words.text, fill=INK, font=font, anchor="ls")
    image.paste(slip.rotate(90, expand=True), (round(x) - words.size * SCALE, round(y) - wide // 2))


def _scaled(points: Sequence[Point]) -> list[Point]:
    return [(x * SCALE, y * SCALE) for x, y in points]


def _pieces(points: Sequence[Point], dash: Sequence[int]) -> Iterator[Sequence[Point]]:
    """Cut a line into its dashes; Pillow draws only whole ones."""
    if not dash:
        yield points
        return
    at, left, piece = 0, float(dash[0]), [points[0]]
    for begin, end in itertools.pairwise(points):
        length, done = math.dist(begin, end), 0.0
        while length - done > left:
            done += left
            cut = (
                begin[0] + (end[0] - begin[0]) * done / length,
                begin[1] + (end[1] - begin[1]) * done / length,
            )
            if at % 2 == 0:
                yield [*piece, cut]
            at += 1
            left, piece = float(dash[at % len(dash)]), [cut]
        left -= length - done
        piece.append(end)
    if at % 2 == 0:
        yield piece
