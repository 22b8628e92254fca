"""Draw a lineage with letters: first what an artifact was made from, then what was made from it.

    tagger:3  model 54937b9d  accuracy 0.94
    ├─ made by train-small  1qqkyd.train-small  succeeded  lr 0.1
    │  └─ data: ingest:1  value 7f2c5f39
    │     └─ made by ingest  1qqkyd.ingest  succeeded  n 5
    └─ read by serve  1qqkyd.serve  succeeded  (as m)
       └─ answers:1  value 06b19cd2

What was shown already is only named again, with …
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from makeway.lineage.graph import Graph
from makeway.model.lineage import Lineage, Made, Maker

DIGEST_SHOWN = 12

Branch = tuple[str, "Branches"]
Branches = Sequence["Branch"]


def draw(lineage: Lineage) -> str:
    """Draw the whole of it."""
    drawn = _Drawn(lineage)
    branches = (*drawn.before(lineage.root), *drawn.after(lineage.root))
    lines = [drawn.artifact(lineage.root), *_lines(branches, "")]
    if lineage.cut:
        lines.append("there is more: --up and --down say how many steps to follow")
    return "\n".join(lines)


def _lines(branches: Branches, margin: str) -> Iterator[str]:
    for place, (text, below) in enumerate(branches):
        last = place == len(branches) - 1
        yield f"{margin}{'└─' if last else '├─'} {text}"
        yield from _lines(below, f"{margin}{'   ' if last else '│  '}")


class _Drawn:
    """Knows what has been drawn already."""

    def __init__(self, lineage: Lineage) -> None:
        self._graph = Graph(lineage)
        self._seen = {"before": set[str](), "after": set[str]()}

    def artifact(self, digest: str) -> str:
        return artifact_text(self._graph.artifacts.get(digest), digest)

    def before(self, digest: str) -> Branches:
        maker = self._graph.maker(digest)
        if maker is None:
            return ()
        text = f"made by {step_text(maker)}"
        if not self._first("before", maker.id):
            return ((f"{text}  …", ()),)
        inputs = self._graph.read_by(maker.id)
        below = [
            (f"{use.key}: {self.artifact(use.digest)}", self.before(use.digest)) for use in inputs
        ]
        return ((text, below),)

    def after(self, digest: str) -> Branches:
        found: list[Branch] = []
        for use in self._graph.readers.get(digest, ()):
            step = self._graph.steps.get(use.step)
            if step is None:
                continue
            text = f"read by {step_text(step)}  (as {use.key})"
            if not self._first("after", f"{step.id} {digest}"):
                found.append((f"{text}  …", ()))
                continue
            given = [one for one in self._graph.given_by(step.id) if one.digest != digest]
            below = [(self.artifact(one.digest), self.after(one.digest)) for one in given]
            found.append((text, below))
        return found

    def _first(self, way: str, name: str) -> bool:
        first = name not in self._seen[way]
        self._seen[way].add(name)
        return first


def artifact_text(made: Made | None, digest: str) -> str:
    """Name an artifact in a line."""
    if made is None:
        return f"artifact {digest[:DIGEST_SHOWN]}"
    name = f"{made.name}:{made.version}  " if made.name else ""
    state = "" if made.state == "live" else f"  {made.state}"
    return f"{name}{made.kind} {digest[:DIGEST_SHOWN]}{state}{pairs(made.metrics)}"


def step_text(step: Maker) -> str:
    """Name a step in a line."""
    cause = f"  {step.cause}" if step.cause else ""
    name = f"{step.name}  {step.id}" if step.name != step.id else step.id
    return f"{name}  {step.state}{cause}{pairs(step.params)}{pairs(step.metrics)}"


def pairs(values: Mapping[str, object]) -> str:
    """Write names with their values."""
    return "".join(f"  {name} {shown(value)}" for name, value in values.items())


def shown(value: object) -> str:
    """Write one value, shortly."""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = "–" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
