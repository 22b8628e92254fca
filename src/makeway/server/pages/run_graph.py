"""Draw the graph of a run: every step of the definition, with its state, folded where it is broad.

Steps that come from the same and lead to the same are a fan-out; above thirty they become one box
that counts them, until somebody opens it. What a failure holds up is drawn with broken lines.

Takes:   the steps of a run; which fan-outs are open
Gives:   an inline SVG whose boxes are links
Cost:    1 000 steps with 2 000 lines are laid out in 0.3 s; the layout is kept, states are not
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec
from markupsafe import Markup, escape

from makeway.server.pages import words
from makeway.server.pages.drawing import joined
from makeway.server.pages.graph import HEIGHT, WIDTH, Layout, curves, laid_out
from makeway.store.rows import ExecutionRow

FOLDED_ABOVE = 30
LETTERS_MAX = 24
ORDER = (words.BAD, words.RUN, words.WAIT, words.GOOD, words.OFF)


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """A node of the drawing: one step, or a fan-out that is folded."""

    name: str
    title: str
    sub: str
    state: str
    path: str
    told: str
    count: int = 1


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """The drawing, and the same in words for whoever does not see it."""

    picture: Markup
    folded: int


def graph_of(run: str, steps: Sequence[ExecutionRow], opened: Collection[str]) -> Graph:
    """Draw the steps of a run."""
    stands = _standing_for(steps, opened)
    by_key = {step.key: step for step in steps}
    members: dict[str, list[ExecutionRow]] = {}
    for step in steps:
        members.setdefault(stands[step.key], []).append(step)
    boxes = {name: _box(run, name, some) for name, some in members.items()}
    held = held_up(steps)
    pairs, broken = set(), set()
    for step in steps:
        for up in step.after:
            if up in by_key:
                pair = (stands[up], stands[step.key])
                pairs.add(pair)
                if step.key in held and (up in held or by_key[up].phase.value == "failed"):
                    broken.add(pair)
    layout = _layout(tuple(boxes), tuple(sorted(pairs)))
    return Graph(picture=_drawn(layout, boxes, broken), folded=len(steps) - len(boxes))


@functools.lru_cache(maxsize=16)
def _layout(names: tuple[str, ...], pairs: tuple[tuple[str, str], ...]) -> Layout:
    """Lay out once what is drawn anew whenever a state changes."""
    return laid_out(names, pairs)


def held_up(steps: Sequence[ExecutionRow]) -> Mapping[str, str]:
    """Say which steps cannot go on because of a failure, and because of which one."""
    found: dict[str, str] = {}
    phases = {step.key: step.phase.value for step in steps}
    for step in steps:  # those before a step come before it
        if step.phase.good or phases[step.key] in ("failed", "running", "starting"):
            continue
        for up in step.after:
            cause = found.get(up) or (up if phases.get(up) == "failed" else None)
            if cause is not None:
                found[step.key] = cause
                break
    return found


def _standing_for(steps: Sequence[ExecutionRow], opened: Collection[str]) -> dict[str, str]:
    """Say by which box each step is drawn: its own, or that of a fan-out."""
    downs: dict[str, list[str]] = {}
    for step in steps:
        for up in step.after:
            downs.setdefault(up, []).append(step.key)
    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for step in steps:
        sides = (step.after, tuple(sorted(downs.get(step.key, ()))))
        if any(sides):
            alike.setdefault(sides, []).append(step.key)
    stands = {step.key: step.key for step in steps}
    for keys in alike.values():
        if len(keys) > FOLDED_ABOVE and keys[0] not in opened:
            stands.update((key, keys[0]) for key in keys)
    return stands


def _box(run: str, name: str, some: Sequence[ExecutionRow]) -> Box:
    if len(some) == 1:
        (step,) = some
        parts = [words.word(step.phase.value)]
        if step.started_at_ms is not None:
            parts.append(words.lasting_ms(step.started_at_ms, step.ended_at_ms))
        if step.attempts > 1:
            parts.append(f"attempt {step.attempts}")
        state = step.phase.value
        told = step.text or (step.wait.text if step.wait is not None else "")
        return Box(name=name, title=step.key, sub=" · ".join(parts), state=state,
                   path=f"/steps/{step.id}", told=told)  # fmt: skip
    counts = Counter(step.phase.value for step in some)
    worst = min(counts, key=lambda phase: ORDER.index(words.kind_of(phase)))
    told = ", ".join(f"{count} {words.word(phase)}" for phase, count in counts.most_common())
    return Box(name=name, title=f"{common(some)} ×{len(some)}", sub=told, state=worst,
               path=f"/runs/{run}?open={name}#graph", told=f"{told}; open to see each",
               count=len(some))  # fmt: skip


def common(some: Sequence[ExecutionRow]) -> str:
    """Give what the names of a fan-out have in common."""
    first, last = min(step.key for step in some), max(step.key for step in some)
    same = 0
    while same < min(len(first), len(last)) and first[same] == last[same]:
        same += 1
    return first[:same].rstrip("-_[0123456789") or first


def _drawn(layout: Layout, boxes: Mapping[str, Box], broken: Collection[tuple[str, str]]) -> Markup:
    parts = [*_lines(layout, broken)]
    for name, box in boxes.items():
        x, y = layout.places[name]
        parts += _node(box, x, y)
    return Markup(
        '<svg class="dag" width="{0:.0f}" height="{1:.0f}" viewBox="0 0 {0:.0f} {1:.0f}"'
        ' role="group" aria-label="Graph of the run: {2} boxes; the table below has the same">{3}'
        "</svg>"
    ).format(layout.width, layout.height, len(boxes), joined(parts))


def _lines(layout: Layout, broken: Collection[tuple[str, str]]) -> Iterator[str]:
    for pair, way in curves(layout):
        held = " held" if pair in broken else ""
        yield f'<path class="edge{held}" d="{way}"/>'


def _node(box: Box, x: float, y: float) -> Iterator[str]:
    kind = words.kind_of(box.state)
    # Its name begins with what is seen of it, so that it can be said to whoever listens to a voice.
    name = f"{box.title} {box.sub}" + (f". {box.told}" if box.told else "")
    yield f'<a class="n-{kind}" href="{escape(box.path)}">'
    yield f"<title>{escape(name)}</title>"
    if box.count > 1:  # a pile
        yield f'<rect x="{x + 5:.0f}" y="{y + 5:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
    yield f'<rect x="{x:.0f}" y="{y:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
    yield (
        f'<path class="mark" transform="translate({x + 10:.0f} {y + 16:.0f})"'
        f' d="{words.icon_of(box.state)}"/>'
    )
    yield f'<text class="title" x="{x + 34:.0f}" y="{y + 20:.0f}">{escape(_short(box.title))}</text>'
    yield f'<text class="sub" x="{x + 34:.0f}" y="{y + 37:.0f}">{escape(_short(box.sub, 27))}</text></a>'


def _short(text: str, most: int = LETTERS_MAX) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
