"""Search all that is on record: one box, what was found, and by what it can be narrowed.

Everything stands in the address: the query, the kind, the order, the page. A word alone is a search
too: it becomes the condition that asks for names and ids with it, so that the box teaches what it
reads. What is wrong in a query is shown under the place, with the nearest name that there is.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from makeway.errors import InvalidInput
from makeway.lineage.query import nearest
from makeway.server.pages import narrow
from makeway.server.pages.found import Column, Line, columns_of, lines_of
from makeway.server.pages.visit import Face, Form, PageRoute, Visit, Visiting
from makeway.store.facets import Facet
from makeway.store.saved import SavedSearch
from makeway.wire.search import KINDS, Found, SearchWanted

ROWS = 50
WORD = re.compile(r"[\w@][\w.@:/-]*")
TITLES = {
    "runs": "Runs", "steps": "Steps", "models": "Models", "datasets": "Data sets",
    "artifacts": "Artifacts",
}  # fmt: skip
EXAMPLES = (
    ("what failed", "steps", "state = 'failed'"),
    ("what ran out of memory", "steps", "failure.cause = 'OOM_HOST'"),
    ("models with an accuracy", "models", "metrics.accuracy IS NOT NULL"),
)

routes = APIRouter(include_in_schema=False, route_class=PageRoute)


class Wrong(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong in a query: a sentence, the place in it, what to do."""

    text: str
    shown: str
    hint: str


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One page of what was found, as the table shows it."""

    total: int
    columns: Sequence[Column]
    lines: Sequence[Line]
    spark: str
    facets: Sequence[narrow.Choices]
    next_cursor: str | None


@routes.get("/search")
def search(
    visit: Visiting, q: str = "", kind: str = "runs", order: str = "", cursor: str = ""
) -> Response:
    """Give the page."""
    if kind not in KINDS:
        raise InvalidInput(f"there is no kind {kind!r}", where="kind", hint=nearest(kind, KINDS))
    q = q.strip()
    if WORD.fullmatch(q):
        return visit.go(address(narrow.named(q), kind))
    wanted = SearchWanted(
        query=q, kind=kind, order_by=(order,) if order else (), limit=ROWS, cursor=cursor or None
    )
    shown, wrong = None, None
    try:
        shown = _shown(visit, wanted)
    except InvalidInput as error:
        if not error.where.startswith("query"):
            raise
        wrong = _wrong(error)
    response = visit.page(
        "search.html",
        Face(title="Search", place="Search", command=_command(wanted),
             live="" if cursor or wrong else "runs"),
        query=q, kind=kind, order=order, kinds=_kinds(visit, wanted, shown), shown=shown,
        wrong=wrong, saved=_saved(visit), titles=TITLES, address=address, examples=EXAMPLES,
    )  # fmt: skip
    response.status_code = 400 if wrong else 200
    return response


@routes.post("/search/saved")
def save(visit: Visiting, fields: Form) -> Response:
    """Keep a search under a name."""
    wanted = SavedSearch(
        name=fields.get("name", ""), kind=fields.get("kind", "runs"),
        query=fields.get("q", ""), orders=fields.get("order", ""),
        saved_at_ms=visit.records.now_ms(),
    )  # fmt: skip
    visit.records.save_search(wanted)
    return visit.go(address(wanted.query, wanted.kind, wanted.orders))


@routes.post("/search/forget")
def forget(visit: Visiting, fields: Form) -> Response:
    """Forget one that was kept."""
    visit.records.forget_search(fields.get("name", ""))
    return visit.go(
        address(fields.get("q", ""), fields.get("kind", "runs"), fields.get("order", ""))
    )


def address(query: str, kind: str = "runs", order: str = "", cursor: str = "") -> str:
    """Say where a search is."""
    said = {"q": query, "kind": kind, "order": order, "cursor": cursor}
    return "/search?" + urlencode({name: value for name, value in said.items() if value})


def _shown(visit: Visit, wanted: SearchWanted) -> Shown:
    found = visit.desk.search(wanted)
    order = wanted.order_by[0] if wanted.order_by else ""
    columns = columns_of(found.items, wanted.query, order)
    metric = next((one.name for one in columns if one.prefix == "metrics"), "")
    shapes: Mapping[str, Sequence[float]] = {}
    if metric and wanted.kind in ("runs", "steps"):
        ids = [one.id for one in found.items]
        shapes = visit.records.sparks(ids, metric, by_run=wanted.kind == "runs")
    facets: Sequence[Facet] = visit.records.facets(wanted.query, wanted.kind)
    return Shown(
        total=found.total,
        columns=columns,
        lines=lines_of(found.items, columns, shapes),
        spark=metric if shapes else "",
        facets=narrow.choices(facets, wanted.query),
        next_cursor=found.next_cursor,
    )


def _kinds(
    visit: Visit, wanted: SearchWanted, shown: Shown | None
) -> Sequence[tuple[str, int | None]]:
    """Count what the same query finds of each kind; None: it does not speak of those."""
    return [(kind, _count(visit, wanted, kind, shown)) for kind in KINDS]


def _count(visit: Visit, wanted: SearchWanted, kind: str, shown: Shown | None) -> int | None:
    if kind == wanted.kind:
        return None if shown is None else shown.total
    if shown is None:
        return None
    try:
        found: Found = visit.desk.search(SearchWanted(query=wanted.query, kind=kind, limit=1))
    except InvalidInput:
        return None
    return found.total


def _wrong(error: InvalidInput) -> Wrong:
    text, _, shown = error.problem.partition("\n")
    return Wrong(text=text, shown=shown, hint=error.hint)


def _saved(visit: Visit) -> Sequence[SavedSearch]:
    return visit.records.saved_searches()


def _command(wanted: SearchWanted) -> str:
    words = ["makeway", "search"]
    if wanted.query:
        words.append(shlex.quote(wanted.query))
    if wanted.kind != "runs":
        words += ["--kind", wanted.kind]
    for order in wanted.order_by:
        words += ["--order-by", shlex.quote(order)]
    return " ".join(words)
