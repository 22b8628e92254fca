"""Show where an artifact comes from and what became of it; and why two of them differ.

One artifact stands in the middle, with one step before it and one after it. `up` and `down` say how
many steps to follow, `open` which piles are unfolded: all of it stands in the address.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from makeway.lineage.graph import Graph
from makeway.lineage.tree import DIGEST_SHOWN, shown
from makeway.model.lineage import Comparison, Lineage, Made, Maker, Use
from makeway.server.pages.found import MEASURED
from makeway.server.pages.lineage_graph import drawn
from makeway.server.pages.visit import Crumb, Face, PageRoute, Visit, Visiting
from makeway.wire.search import LineageWanted, SearchWanted

STEPS_MAX = 20
ROWS_MAX = 200
NEWEST = 12

routes = APIRouter(include_in_schema=False, route_class=PageRoute)


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of lineage; `more_up` and `more_down` say whether it goes on."""

    lineage: Lineage
    more_up: bool
    more_down: bool


class StepRow(msgspec.Struct, frozen=True, kw_only=True):
    """A step with what it read (under which argument) and what it gave."""

    step: Maker
    read: tuple[tuple[str, str, str], ...]
    gave: tuple[tuple[str, str, str], ...]


class Focus(msgspec.Struct, frozen=True, kw_only=True):
    """What the page says of the artifact in the middle."""

    made: Made
    title: str
    maker: Maker | None
    readers: int


@routes.get("/lineage")
def lineage(visit: Visiting, ref: str = "", up: int = 1, down: int = 1, open: str = "") -> Response:  # noqa: A002 - words of the address
    """Give the page; without a `ref`, what there is to begin with."""
    if not ref.strip():
        found = visit.desk.search(SearchWanted(kind="models", limit=NEWEST)).items
        face = Face(title="Lineage", place="Lineage", command="makeway lineage @last", live="")
        return visit.page("lineage_begin.html", face, models=found, measured=MEASURED)
    around = _around(visit, ref.strip(), up, down)
    graph = Graph(around.lineage)
    focus = _focus(graph, around.lineage.root)
    piles = frozenset(open.split(","))
    picture = drawn(around.lineage, piles, lambda pile: _address(ref, up, down, {*piles, pile}))
    return visit.page(
        "lineage.html",
        Face(title=focus.title, place="Lineage", command=_command(ref, up, down),
             crumbs=(Crumb("Lineage", "/lineage"),), live=""),
        focus=focus, around=around, picture=picture, ref=ref,
        links=_links(around, ref, up, down), steps=_steps(graph, around.lineage),
        hidden=max(0, len(around.lineage.steps) - ROWS_MAX),
        artifacts=list(graph.artifacts.values())[:ROWS_MAX], title_of=title_of, measured=MEASURED,
    )  # fmt: skip


@routes.get("/lineage/diff")
def difference(visit: Visiting, a: str = "", b: str = "") -> Response:
    """Say why two artifacts, or two runs, differ."""
    a, b = a.strip(), b.strip()
    found = visit.desk.differences(a, b) if a and b else None
    command = f"makeway lineage --diff {shlex.quote(a or '@last')} {shlex.quote(b or 'NAME:1')}"
    return visit.page(
        "lineage_diff.html",
        Face(title="Why two differ", place="Lineage", command=command,
             crumbs=(Crumb("Lineage", "/lineage"),), live=""),
        a=a, b=b, found=found, short=DIGEST_SHOWN, rows=_rows(found, measured=False),
        measured_rows=_rows(found, measured=True),
    )  # fmt: skip


def title_of(made: Made) -> str:
    """Name an artifact as the command does: its name and version, or else its digest."""
    return f"{made.name}:{made.version}" if made.name else made.digest[:DIGEST_SHOWN]


def _around(visit: Visit, ref: str, up: int, down: int) -> Around:
    """Read both sides, each for itself, so that it is known which of them goes on."""
    before = visit.desk.lineage(LineageWanted(ref=ref, up=up, down=0))
    after = visit.desk.lineage(LineageWanted(ref=before.root, up=0, down=down))
    more_up = before.cut and up < STEPS_MAX and _is_more(visit, before, up + 1, 0)
    more_down = after.cut and down < STEPS_MAX and _is_more(visit, after, 0, down + 1)
    artifacts = {(one.digest, one.kind, one.name): one for one in before.artifacts}
    artifacts |= {(one.digest, one.kind, one.name): one for one in after.artifacts}
    steps = {one.id: one for one in (*before.steps, *after.steps)}
    lineage = Lineage(
        root=before.root,
        artifacts=tuple(artifacts.values()),
        steps=tuple(steps.values()),
        uses=tuple(dict.fromkeys((*before.uses, *after.uses))),
        cut=more_up or more_down,
    )
    return Around(lineage=lineage, more_up=more_up, more_down=more_down)


def _is_more(visit: Visit, side: Lineage, up: int, down: int) -> bool:
    """Say whether one step further there is anything: what was cut may be the other side."""
    further = visit.desk.lineage(LineageWanted(ref=side.root, up=up, down=down))
    return len(further.steps) > len(side.steps)


def _focus(graph: Graph, root: str) -> Focus:
    made = graph.artifacts.get(root) or Made(digest=root, kind="artifact", name="")
    readers = {use.step for use in graph.readers.get(root, ())}
    return Focus(made=made, title=title_of(made), maker=graph.maker(root), readers=len(readers))


def _steps(graph: Graph, lineage: Lineage) -> Sequence[StepRow]:
    def named(uses: Sequence[Use]) -> tuple[tuple[str, str, str], ...]:
        return tuple(
            (use.key, use.digest,
             title_of(graph.artifacts[use.digest]) if use.digest in graph.artifacts
             else use.digest[:DIGEST_SHOWN])
            for use in uses
        )  # fmt: skip

    return [
        StepRow(step=one, read=named(graph.read_by(one.id)), gave=named(graph.given_by(one.id)))
        for one in lineage.steps[:ROWS_MAX]
    ]


# ── the way on ────────────────────────────────────────────────────────────────────────────────────


def _links(around: Around, ref: str, up: int, down: int) -> Sequence[tuple[str, str]]:
    """Give what can be unfolded from here, and folded again."""
    found = []
    if around.more_up:
        found += [("One step further back", _address(ref, up + 1, down)),
                  ("Back to the beginning", _address(ref, STEPS_MAX, down))]  # fmt: skip
    if around.more_down:
        found += [("One step further on", _address(ref, up, down + 1)),
                  ("On to the end", _address(ref, up, STEPS_MAX))]  # fmt: skip
    if (up, down) != (1, 1):
        found.append(("Only its neighbours", _address(ref, 1, 1)))
    return found


def _address(ref: str, up: int, down: int, piles: set[str] | None = None) -> str:
    said = {"ref": ref, "up": up, "down": down}
    opened = ",".join(sorted(one for one in piles or () if one))
    return "/lineage?" + urlencode({**said, "open": opened} if opened else said)


def _command(ref: str, up: int, down: int) -> str:
    return f"makeway lineage {shlex.quote(ref)} --up {up} --down {down}"


# ── differences ───────────────────────────────────────────────────────────────────────────────────


def _rows(found: Comparison | None, *, measured: bool) -> Sequence[tuple[str, str, str, str, str]]:
    """Write differences as the command does; what agents measured stands for itself."""
    return [
        (one.where, one.what, one.name, _side(one.what, one.left), _side(one.what, one.right))
        for one in (() if found is None else found.differences)
        if one.name.startswith(MEASURED) is measured
    ]


def _side(what: str, value: object) -> str:
    text = shown(value)
    return text[:DIGEST_SHOWN] if what in ("input", "code") else text
