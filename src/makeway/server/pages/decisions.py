"""Show what was decided, by which rule and at what cost: the audit of the cluster.

`against` shows what was decided against somebody: their jobs that made room, shrank, were refused or
stopped. It stands in the address, as all filters do.
"""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import Response

from makeway.errors import InvalidInput
from makeway.server.pages.visit import Face, PageRoute, Visiting
from makeway.store.decisions import DecisionFilter

ROWS = 100
FILTERS = ("since", "kind", "job", "user", "against")
AGAINST = ("preempt", "resize", "reject", "stop")
KINDS = ("start", "resize", "preempt", "reserve", "reject", "retry", "requeue", "stop")
SPANS = {"": None, "1h": 3600, "24h": 86_400, "7d": 7 * 86_400, "30d": 30 * 86_400}

routes = APIRouter(include_in_schema=False, route_class=PageRoute)


@routes.get("/decisions")
def decisions(visit: Visiting, cursor: str = "") -> Response:
    """Give the page."""
    filters = {name: visit.query.get(name, "") for name in FILTERS}
    since, job, against = filters["since"], filters["job"], filters["against"]
    if since not in SPANS:
        raise InvalidInput(f"there is no span {since!r}", where="since", hint=", ".join(SPANS))
    if cursor and not cursor.isdecimal():
        raise InvalidInput("it is not a cursor of this list", where="cursor")
    long_s = SPANS[since]
    rows, names = visit.records.decisions(
        DecisionFilter(
            since_ms=None if long_s is None else visit.records.now_ms() - long_s * 1000,
            job=visit.desk.job(job).id if job else None,
            kind=filters["kind"] or None,
            kinds=AGAINST if against and not filters["kind"] else (),
            user=against or filters["user"] or None,
            limit=ROWS,
            before=int(cursor) if cursor else None,
        )
    )
    said = {name: value for name, value in filters.items() if value}
    command = "makeway decisions" + (f" --since {since}" if since else "")
    return visit.page(
        "decisions.html",
        Face(title="Decisions", place="Decisions", live="" if cursor else "jobs",
             command=command + (f" --job {job}" if job else "")),
        rows=rows, names=names, filters=filters, kinds=KINDS, spans=tuple(SPANS),
        more="/decisions?" + urlencode(said) + ("&" if said else ""),
        next_cursor=str(rows[-1].seq) if len(rows) == ROWS else None,
    )  # fmt: skip
