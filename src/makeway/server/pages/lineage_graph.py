"""Draw a lineage: artifacts and steps as two kinds of box, the focus marked, each box a link.

What is equally far from the focus, of the same sort and of a like name, is one pile above thirty.

Takes:   a lineage; which piles are open; where a pile is opened
Gives:   an inline SVG
Cost:    as the layout: linear in boxes and lines
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from urllib.parse import quote, urlencode

import msgspec
from markupsafe import Markup, escape

from makeway.lineage.graph import Graph
from makeway.lineage.tree import DIGEST_SHOWN, pairs
from makeway.model.lineage import Lineage
from makeway.server.pages import words
from makeway.server.pages.drawing import joined
from makeway.server.pages.graph import HEIGHT, WIDTH, Layout, curves, laid_out

FOLDED_ABOVE = 30
TITLE_LETTERS, SUB_LETTERS = 25, 30
NUMBERED = re.compile(r"[-_.]?\d+$")
STEP = "step"


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """A node of the drawing: an artifact, a step, or a pile of either."""

    sort: str
    title: str
    sub: str
    path: str
    state: str = ""
    count: int = 1
    focus: bool = False


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """The picture, and how many boxes stand folded in piles."""

    picture: Markup
    folded: int


def drawn(lineage: Lineage, opened: Collection[str], where: Callable[[str], str]) -> Drawing:
    """Draw it."""
    lines = {
        (use.digest, use.step) if use.role == "input" else (use.step, use.digest)
        for use in lineage.uses
    }
    names = list(dict.fromkeys((lineage.root, *sorted({name for pair in lines for name in pair}))))
    graph = Graph(lineage)
    boxes = {name: _box(graph, name, focus=name == lineage.root) for name in names}
    stands = _standing_for(lineage.root, boxes, lines, opened)
    counts: dict[str, int] = {}
    for name in names:
        counts[stands[name]] = counts.get(stands[name], 0) + 1
    shown = {
        name: boxes[name] if count == 1 else _pile(boxes[name], count, where(name))
        for name, count in counts.items()
    }
    layout = laid_out(list(shown), [(stands[one], stands[other]) for one, other in lines])
    return Drawing(picture=_picture(layout, shown), folded=len(boxes) - len(shown))


def _box(graph: Graph, name: str, *, focus: bool) -> Box:
    if name in graph.steps:
        step = graph.steps[name]
        state = words.word(step.state)
        return Box(sort=STEP, title=step.name, sub=f"{state}{pairs(step.params)}",
                   path=f"/steps/{quote(step.id, safe='')}", state=step.state)  # fmt: skip
    made = graph.artifacts.get(name)
    path = "/lineage?" + urlencode({"ref": name})
    if made is None:
        return Box(sort="artifact", title=name[:DIGEST_SHOWN], sub="artifact", path=path)
    title = f"{made.name}:{made.version}" if made.name else made.digest[:DIGEST_SHOWN]
    return Box(sort=made.kind, title=title, sub=f"{made.kind}{pairs(made.metrics)}", path=path,
               focus=focus)  # fmt: skip


def _pile(box: Box, count: int, path: str) -> Box:
    what = "steps" if box.sort == STEP else f"of kind {box.sort}"
    title = f"{_stem(box)} ×{count}"
    return Box(sort=box.sort, title=title, sub=f"{count} {what}: open", path=path, count=count)


def _stem(box: Box) -> str:
    return NUMBERED.sub("", box.title.partition(":")[0]) or box.sort


def _standing_for(
    root: str,
    boxes: Mapping[str, Box],
    lines: Collection[tuple[str, str]],
    opened: Collection[str],
) -> dict[str, str]:
    """Say by which box each is drawn: its own, or that of a pile."""
    far = _distances(root, lines)
    alike: dict[tuple[int, str, str], list[str]] = {}
    for name, box in boxes.items():
        if name != root:
            alike.setdefault((far.get(name, 0), box.sort, _stem(box)), []).append(name)
    stands = {name: name for name in boxes}
    for names in alike.values():
        if len(names) > FOLDED_ABOVE and names[0] not in opened:
            stands.update((name, names[0]) for name in names)
    return stands


def _distances(root: str, lines: Collection[tuple[str, str]]) -> dict[str, int]:
    """Count the lines from the focus, with their sign: less than 0 is what came before."""
    after: dict[str, list[str]] = {}
    before: dict[str, list[str]] = {}
    for one, other in lines:
        after.setdefault(one, []).append(other)
        before.setdefault(other, []).append(one)
    found = {root: 0}
    for near, by in ((before, -1), (after, 1)):
        waiting = deque([root])
        while waiting:
            name = waiting.popleft()
            for other in near.get(name, ()):
                if other not in found:
                    found[other] = found[name] + by
                    waiting.append(other)
    return found


def _picture(layout: Layout, boxes: Mapping[str, Box]) -> Markup:
    parts = [f'<path class="edge" d="{way}"/>' for _, way in curves(layout)]
    for name, box in boxes.items():
        parts += _node(box, *layout.places[name])
    return Markup(
        '<svg class="dag lineage" width="{0:.0f}" height="{1:.0f}" viewBox="0 0 {0:.0f} {1:.0f}"'
        ' role="group" aria-label="Lineage: {2} boxes; the tables below have the same">{3}</svg>'
    ).format(layout.width, layout.height, len(boxes), joined(parts))


def _node(box: Box, x: float, y: float) -> Iterator[str]:
    sort = "step" if box.sort == STEP else "made"
    kind = f" n-{words.kind_of(box.state)}" if box.state else ""
    here = " focus" if box.focus else ""
    current = ' aria-current="true"' if box.focus else ""
    yield f'<a class="l-{sort}{kind}{here}" href="{escape(box.path)}"{current}>'
    yield f"<title>{escape(f'{box.title} {box.sub}')}</title>"
    round_by = HEIGHT // 2 if box.sort == STEP else 3
    size = f'width="{WIDTH}" height="{HEIGHT}" rx="{round_by}"'
    if box.count > 1:
        yield f'<rect x="{x + 5:.0f}" y="{y + 5:.0f}" {size}/>'
    yield f'<rect x="{x:.0f}" y="{y:.0f}" {size}/>'
    left = x + (20 if box.sort == STEP else 12)
    yield _text("title", left, y + 20, box.title, TITLE_LETTERS)
    yield f"{_text('sub', left, y + 37, box.sub, SUB_LETTERS)}</a>"


def _text(name: str, x: float, y: float, text: str, most: int) -> str:
    short = text if len(text) <= most else f"{text[: most - 1]}…"
    return f'<text class="{name}" x="{x:.0f}" y="{y:.0f}">{escape(short)}</text>'
