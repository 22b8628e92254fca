"""Walk a lineage, up and down, and say why two artifacts or two runs differ.

    upstream(lineage, digest)       the artifacts that it was made from, the nearest first
    downstream(lineage, digest)     those that were made from it
    why_differ(lineage, a, b)       what was not the same on the way to two artifacts
    why_runs_differ(lineage, a, b)  what was not the same in two runs

Two artifacts are followed back side by side: their makers, and the inputs of these under the same
key, as long as those differ. So the difference that explains all others comes last, deepest.

Holds:   whatever circles there are, each step and each pair of artifacts is looked at once
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from makeway.model.lineage import Difference, Lineage, Made, Maker, Use

Neighbours = Callable[[str], Iterable[str]]
NO_MAKER = Maker(id="", name="", state="")


class Graph:
    """A lineage that can be asked from either side."""

    def __init__(self, lineage: Lineage) -> None:
        """Take its rows."""
        self.artifacts: dict[str, Made] = {}
        for artifact in lineage.artifacts:  # of one content under several names, the first
            self.artifacts.setdefault(artifact.digest, artifact)
        self.steps = {step.id: step for step in lineage.steps}
        self.inputs: dict[str, list[Use]] = {}
        self.outputs: dict[str, list[Use]] = {}
        self.makers: dict[str, list[str]] = {}
        self.readers: dict[str, list[Use]] = {}
        for use in lineage.uses:
            if use.role == "input":
                self.inputs.setdefault(use.step, []).append(use)
                self.readers.setdefault(use.digest, []).append(use)
            else:
                self.outputs.setdefault(use.step, []).append(use)
                self.makers.setdefault(use.digest, []).append(use.step)

    def maker(self, digest: str) -> Maker | None:
        """Give the step that made an artifact: the first one, or who reused it where none is left."""
        made = self.artifacts.get(digest)
        if made is not None and made.made_by in self.steps:
            return self.steps[made.made_by]
        known = [self.steps[step] for step in self.makers.get(digest, ()) if step in self.steps]
        return min(known, key=lambda one: (one.state == "cached", one.id), default=None)

    def read_by(self, step: str) -> list[Use]:
        """Give what a step read, by the names of its arguments."""
        return sorted(self.inputs.get(step, ()), key=lambda use: (use.key, use.digest))

    def given_by(self, step: str) -> list[Use]:
        """Give what a step made, each artifact once."""
        found = {use.digest: use for use in self.outputs.get(step, ())}
        return sorted(found.values(), key=lambda use: (use.key, use.digest))


def upstream(lineage: Lineage, digest: str) -> list[str]:
    """Give the artifacts that one was made from, the nearest first."""
    graph = Graph(lineage)
    return _walk(digest, lambda one: _before(graph, one))


def downstream(lineage: Lineage, digest: str) -> list[str]:
    """Give the artifacts that were made from one, the nearest first."""
    graph = Graph(lineage)
    return _walk(digest, lambda one: _after(graph, one))


def _before(graph: Graph, digest: str) -> Iterator[str]:
    for step in graph.makers.get(digest, ()):
        yield from (use.digest for use in graph.read_by(step))


def _after(graph: Graph, digest: str) -> Iterator[str]:
    for use in graph.readers.get(digest, ()):
        yield from (given.digest for given in graph.given_by(use.step))


def _walk(start: str, neighbours: Neighbours) -> list[str]:
    seen, waiting = {start: None}, deque([start])
    while waiting:
        for near in neighbours(waiting.popleft()):
            if near not in seen:
                seen[near] = None
                waiting.append(near)
    return list(seen)[1:]


# ── why two differ ────────────────────────────────────────────────────────────────────────────────


def why_differ(lineage: Lineage, left: str, right: str) -> list[Difference]:
    """Say what was not the same on the way to two artifacts, the nearest first."""
    graph, found, seen = Graph(lineage), list[Difference](), set[tuple[str, str]]()
    waiting = deque([(left, right, 0)])
    while waiting:
        one, other, depth = waiting.popleft()
        if one == other or (one, other) in seen:
            continue
        seen.add((one, other))
        makers = graph.maker(one) or NO_MAKER, graph.maker(other) or NO_MAKER
        own = tuple(
            graph.artifacts[d].metrics if d in graph.artifacts else {} for d in (one, other)
        )
        found += _of_steps(graph, makers, depth, own)
        for _, before, after in _inputs(graph, *makers):
            if before is not None and after is not None:
                waiting.append((before, after, depth + 1))
    return found


def why_runs_differ(lineage: Lineage, left: str, right: str) -> list[Difference]:
    """Say what was not the same in two runs, step by step, in the order of the steps."""
    graph = Graph(lineage)
    sides = [
        {step.name: step for step in lineage.steps if step.run == run} for run in (left, right)
    ]
    found: list[Difference] = []
    for name in dict.fromkeys((*sides[0], *sides[1])):
        one, other = sides[0].get(name), sides[1].get(name)
        if one is None or other is None:
            there, missing = ("there", None) if other is None else (None, "there")
            found.append(Difference(what="step", where=name, left=there, right=missing))
        else:
            found += _of_steps(graph, (one, other), 0, ({}, {}))
    return found


def _of_steps(
    graph: Graph,
    steps: tuple[Maker, Maker],
    depth: int,
    own: tuple[Mapping[str, object], ...],
) -> Iterator[Difference]:
    """Compare two steps; `own` are metrics of what they made, which go before those of the step."""
    one, other = steps
    where = (
        one.name if one.name == other.name else f"{one.name or 'nobody'} / {other.name or 'nobody'}"
    )

    def differ(what: str, name: str, left: object, right: object) -> Iterator[Difference]:
        if left != right:
            yield Difference(what=what, where=where, name=name, left=left, right=right, depth=depth)

    if one.name != other.name:
        yield from differ("step", "", one.name or None, other.name or None)
    yield from differ("code", "", one.code or None, other.code or None)
    for name, left, right in _pairs(one.params, other.params):
        yield from differ("param", name, left, right)
    for name, left, right in _inputs(graph, one, other):
        yield from differ("input", name, left, right)
    yield from differ("state", "", one.state or None, other.state or None)
    metrics = ({**one.metrics, **own[0]}, {**other.metrics, **own[1]})
    for name, left, right in _pairs(*metrics):
        yield from differ("metric", name, left, right)


def _inputs(graph: Graph, one: Maker, other: Maker) -> Iterator[tuple[str, str | None, str | None]]:
    sides = [_by_key(graph.read_by(step.id)) for step in (one, other)]
    for key in dict.fromkeys((*sides[0], *sides[1])):
        lefts, rights = sides[0].get(key, []), sides[1].get(key, [])
        for at in range(max(len(lefts), len(rights))):
            yield key, _at(lefts, at), _at(rights, at)


def _by_key(uses: Iterable[Use]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for use in uses:
        found.setdefault(use.key, []).append(use.digest)
    return found


def _at(items: Sequence[str], place: int) -> str | None:
    return items[place] if place < len(items) else None


def _pairs(
    left: Mapping[str, object], right: Mapping[str, object]
) -> Iterator[tuple[str, object, object]]:
    for name in dict.fromkeys((*left, *right)):
        yield name, left.get(name), right.get(name)
