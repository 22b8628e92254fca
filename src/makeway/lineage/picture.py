"""Draw a lineage as a picture: artifacts and steps in layers from left to right, as SVG.

What comes from something stands right of it. Within a layer the order follows that of what they come
from, which keeps most lines from crossing. Circles are broken where they close.

Takes:   a lineage
Gives:   the text of an SVG file that needs nothing else
Cost:    linear in steps, artifacts and uses
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterator, Mapping, Sequence
from html import escape

import msgspec

from makeway.lineage.graph import Graph
from makeway.lineage.tree import DIGEST_SHOWN, pairs
from makeway.model.lineage import Lineage, Made

WIDTH, HEIGHT, GAP_X, GAP_Y, EDGE = 180, 46, 56, 14, 16
FILL = {"model": "#dcecff", "dataset": "#e2f3dc", "step": "#ffffff", "root": "#ffe9b3"}
OTHER = "#f1f1f1"


class _Box(msgspec.Struct, frozen=True):
    """A node of the picture and where it stands."""

    id: str
    kind: str
    lines: Sequence[str]
    x: int
    y: int


def picture(lineage: Lineage) -> str:
    """Draw it."""
    graph = Graph(lineage)
    edges = sorted({_edge(use.step, use.digest, use.role) for use in lineage.uses})
    names = dict.fromkeys((lineage.root, *(name for edge in edges for name in edge)))
    layers = _layers(list(names), edges)
    boxes = {box.id: box for box in _boxes(graph, layers, edges, lineage.root)}
    width = EDGE * 2 + len(layers) * (WIDTH + GAP_X) - GAP_X
    height = EDGE * 2 + max(map(len, layers)) * (HEIGHT + GAP_Y) - GAP_Y
    body = [*_lines(boxes, edges), *(line for box in boxes.values() for line in _drawn(box))]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' width="{width}" height="{height}" font-family="sans-serif" font-size="12">'
    )
    return "\n".join([head, *body, "</svg>", ""])


def _edge(step: str, digest: str, role: str) -> tuple[str, str]:
    return (digest, step) if role == "input" else (step, digest)


def _layers(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Put each right of all that it comes from."""
    before: dict[str, set[str]] = {name: set() for name in names}
    for left, right in edges:
        before[right].add(left)
    while True:
        try:
            order = list(graphlib.TopologicalSorter(before).static_order())
            break
        except graphlib.CycleError as error:
            left, right = error.args[1][0], error.args[1][1]
            before[right].discard(left)
    depth: dict[str, int] = {}
    for name in order:
        depth[name] = 1 + max((depth[left] for left in before[name]), default=-1)
    layers: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for name in names:
        layers[depth[name]].append(name)
    return layers


def _boxes(
    graph: Graph, layers: Sequence[list[str]], edges: Sequence[tuple[str, str]], root: str
) -> Iterator[_Box]:
    lefts: dict[str, list[str]] = {}
    for left, right in edges:
        lefts.setdefault(right, []).append(left)
    place: dict[str, float] = {}
    for column, layer in enumerate(layers):
        middle = {
            name: sum(known) / len(known) if (known := _known(place, lefts, name)) else 0.0
            for name in layer
        }
        layer.sort(key=lambda name: (middle[name], name))
        for row, name in enumerate(layer):
            place[name] = row
            x, y = EDGE + column * (WIDTH + GAP_X), EDGE + row * (HEIGHT + GAP_Y)
            kind, lines = _told(graph, name)
            yield _Box(name, "root" if name == root else kind, lines, x, y)


def _known(place: Mapping[str, float], lefts: Mapping[str, list[str]], name: str) -> list[float]:
    return [place[left] for left in lefts.get(name, ()) if left in place]


def _told(graph: Graph, name: str) -> tuple[str, Sequence[str]]:
    if name in graph.steps:
        step = graph.steps[name]
        return "step", (step.name, f"{step.state}{pairs(step.params)}")
    made = graph.artifacts.get(name)
    if made is None:
        return "artifact", (name[:DIGEST_SHOWN], "")
    return made.kind, (_title(made), f"{made.kind}{pairs(made.metrics)}")


def _title(made: Made) -> str:
    short = made.digest[:8]
    return f"{made.name}:{made.version}  {short}" if made.name else short


def _lines(boxes: Mapping[str, _Box], edges: Sequence[tuple[str, str]]) -> Iterator[str]:
    for left, right in edges:
        one, other = boxes[left], boxes[right]
        x, y = one.x + WIDTH, one.y + HEIGHT // 2
        to_x, to_y = other.x, other.y + HEIGHT // 2
        bend = GAP_X // 2
        yield (
            f'<path d="M{x} {y}C{x + bend} {y} {to_x - bend} {to_y} {to_x} {to_y}"'
            ' fill="none" stroke="#888"/>'
        )


def _drawn(box: _Box) -> Iterator[str]:
    round_by = 10 if box.kind == "step" else 2
    yield (
        f'<g><title>{escape(box.id)}</title><rect x="{box.x}" y="{box.y}" width="{WIDTH}"'
        f' height="{HEIGHT}" rx="{round_by}" fill="{FILL.get(box.kind, OTHER)}" stroke="#555"/>'
    )
    for at, line in enumerate(box.lines):
        style = ' font-weight="bold"' if at == 0 else ' fill="#444"'
        text = line if len(line) <= 26 else f"{line[:25]}…"
        yield f'<text x="{box.x + 8}" y="{box.y + 18 + 17 * at}"{style}>{escape(text)}</text>'
    yield "</g>"
