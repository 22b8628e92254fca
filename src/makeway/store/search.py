"""Find runs, steps, models, data sets and artifacts by what is known of them.

    found = search(database, parse("metrics.accuracy > 0.9 AND params.lr < 0.1"), "runs",
                   order_by=["metrics.accuracy DESC"], limit=20)

Ids are found first, in order, a page at a time; what is shown of them is then read for the page
alone. A page goes on behind the last row of the one before, whatever has come since. What has no
value for an order comes last; what is equal is ordered by its id, newest first.

Raises:  InvalidInput, with a caret where a name or a value is wrong
Cost:    of 10,000 runs with ten metrics each, a page of 100 by a metric 17 ms: bench/search.py
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypedDict, Unpack

import sqlalchemy as sa

from makeway.errors import InvalidInput
from makeway.lineage.query import Name, Query, compares, nearest, parse, parse_name, wrong
from makeway.store import schema
from makeway.store.bodies import ALIASES, BODIES, Body, Condition, Expression, attribute
from makeway.store.conditions import Reading, assert_bounded
from makeway.store.database import Database, Row
from makeway.store.found import items
from makeway.wire.page import PAGE, PAGE_MAX
from makeway.wire.search import KINDS, Found, SearchWanted

METRICS, PARAMS, TAGS = schema.metric.c, schema.param.c, schema.tag.c
EXECUTIONS = schema.execution.c
RECORDED = {"metrics": METRICS.name, "params": PARAMS.key, "tags": TAGS.key}
SHOWN_NAMES = 1_000


@dataclass(frozen=True)
class Asked:
    """A search that has been read: what is wanted, in which order, and how much of it."""

    query: Query | None
    text: str
    orders: Sequence[Order]
    limit: int
    after: Sequence[Any] | None


@dataclass(frozen=True)
class Order:
    """A name that rows are ordered by; None stands for the time they came."""

    name: Name | None
    down: bool
    text: str = ""


@dataclass(frozen=True)
class Term:
    """One value that rows are ordered by; what has none comes last, either way."""

    value: Expression
    down: bool
    always: bool = False


class How(TypedDict, total=False):
    """How much of a search is wanted, and in which order; `text` is what it was read from."""

    order_by: Sequence[str]
    limit: int
    cursor: str | None
    text: str
    columns: Sequence[str]


NEWEST = (Order(None, down=True),)


def search(
    database: Database,
    query: Query | None,
    kind: str,
    **how: Unpack[How],
) -> Found:
    """Find a page of what fulfils a search, in the order that is asked for."""
    limit, cursor, text = how.get("limit", PAGE), how.get("cursor"), how.get("text", "")
    order_by = how.get("order_by", ())
    if kind not in KINDS:
        raise InvalidInput(f"there is no kind {kind!r}", where="kind", hint=nearest(kind, KINDS))
    if not 1 <= limit <= PAGE_MAX:
        raise InvalidInput(f"{limit} is not between 1 and {PAGE_MAX}", where="limit")
    orders = tuple(map(_order, order_by)) or NEWEST
    shown = [parse_name(one) for one in how.get("columns", ())]
    mark = _mark(repr(query), kind, *order_by)
    after = None if cursor is None else _after(cursor, mark)
    assert_bounded(query, text)
    asked = Asked(query, text, orders, limit, after)
    with database.reading():
        _assert_recorded(database, query, text)
        pages = [_page(database, body, BODIES[kind], asked) for body in BODIES[kind]]
        rows = [(place, row) for place, page in enumerate(pages) for row in page.rows]
        rows = _in_order(rows, pages[0].terms)
        found = items(database, kind, [(place, row[0]) for place, row in rows[:limit]], shown)
    more = _cursor(mark, rows[limit - 1][1]) if len(rows) > limit else None
    return Found(items=found, next_cursor=more, total=sum(page.total for page in pages))


def find(database: Database, wanted: SearchWanted) -> Found:
    """Read a search and find a page of what fulfils it."""
    return search(
        database, parse(wanted.query), wanted.kind, order_by=wanted.order_by, limit=wanted.limit,
        cursor=wanted.cursor, text=wanted.query, columns=wanted.columns,
    )  # fmt: skip


# ── one table's share ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Page:
    """The rows of one body: id, then the value of each term; and how many there are in all."""

    rows: Sequence[Row]
    terms: Sequence[Term]
    total: int


def _page(database: Database, body: Body, bodies: tuple[Body, ...], asked: Asked) -> Page:
    which = sa.and_(body.which, Reading(bodies, body, asked.text).condition(asked.query))
    terms = [term for order in asked.orders for term in _terms(body, bodies, order)]
    terms.append(Term(body.id, down=True, always=True))
    counted = sa.select(sa.func.count()).select_from(body.rows).where(which)
    [(total,)] = database.rows(counted)
    if not total:
        return Page([], terms, 0)
    values = [term.value.label(f"term_{place}") for place, term in enumerate(terms)]
    wanted = sa.select(body.id.label("found"), *values).select_from(body.rows).where(which)
    if asked.after is not None:
        wanted = wanted.where(_behind(terms, asked.after))
    for label, term in zip(values, terms, strict=True):
        way = label.desc() if term.down else label.asc()
        wanted = wanted.order_by(way if term.always else way.nulls_last())
    return Page(database.rows(wanted.limit(asked.limit + 1)), terms, total)


def _behind(terms: Sequence[Term], after: Sequence[Any]) -> Condition:
    """Ask for what comes behind a row with these values, in the order of the terms."""
    if len(after) != len(terms):
        raise _no_cursor()
    ways: list[Condition] = []
    same: list[Condition] = []
    for term, value in zip(terms, after, strict=True):
        if value is None:
            same.append(term.value.is_(None))
            continue
        sort = sa.Text if isinstance(value, str) else sa.Double
        known = sa.literal(value, sort)
        later = term.value < known if term.down else term.value > known
        if not term.always:
            later = sa.or_(later, term.value.is_(None))
        ways.append(sa.and_(*same, later))
        same.append(term.value == known)
    return sa.or_(*ways)


def _in_order(rows: list[tuple[int, Row]], terms: Sequence[Term]) -> list[tuple[int, Row]]:
    """Bring the rows of several tables into one order, which each of them has already."""
    if len({place for place, _ in rows}) < 2:
        return rows
    for at in range(len(terms), 0, -1):
        down = terms[at - 1].down
        rows.sort(key=partial(_rank, at, down=down), reverse=down)
    return rows


def _rank(at: int, one: tuple[int, Row], *, down: bool) -> tuple[bool, Any]:
    """Give what a row is sorted by; what has no value is the last, whichever way it goes."""
    value = one[1][at]
    return (value is None) is not down, "" if value is None else value


# ── orders ────────────────────────────────────────────────────────────────────────────────────────


def _order(text: str) -> Order:
    found = re.fullmatch(r"(.*?)(?:\s+(asc|desc))?\s*", text, re.IGNORECASE | re.DOTALL)
    assert found is not None, "it matches anything"
    name = parse_name(found[1])
    return Order(name, down=(found[2] or "").lower() == "desc", text=text)


def _terms(body: Body, bodies: tuple[Body, ...], order: Order) -> Iterator[Term]:
    name, down = order.name, order.down
    if name is None:
        yield Term(body.newest, down=down, always=True)
        return
    match name.prefix:
        case "attributes":
            found = attribute(bodies, body, name.name)
            if found is None:
                known = sorted({*ALIASES, *(key for one in bodies for key in one.attributes)})
                problem = f"there is no attribute {name.name!r}"
                raise wrong(order.text, name.at, problem, nearest(name.name, known))
            yield Term(found.value, down=down)
        case "metrics":
            yield Term(_metric(body, name, down=down), down=down)
        case "params":
            for value in (PARAMS.value_num, PARAMS.value_text):
                yield Term(_best(body, value, PARAMS.execution, name.name, down=down), down=down)
        case "tags":
            yield Term(_best(body, TAGS.value, TAGS.subject, name.name, down=down), down=down)
        case _:
            problem = f"{name.prefix} give no order"
            hint = "attributes, metrics, params and tags do"
            raise wrong(order.text, name.at, problem, hint)


def _metric(body: Body, name: Name, *, down: bool) -> Expression:
    value = METRICS[name.aggregate or "last"]
    which = METRICS.name == name.name
    if body.by_run:
        of_run = sa.select(_most(value, down=down)).where(METRICS.run == body.key, which)
        return of_run.correlate_except(schema.metric).scalar_subquery()
    of_step = sa.select(value).where(METRICS.subject == body.key, which)
    found = of_step.correlate_except(schema.metric).scalar_subquery()
    if body.name != "artifact":
        return found
    digest = body.attributes["digest"].value
    own = sa.select(value).where(METRICS.subject == digest, which)
    return sa.func.coalesce(own.correlate_except(schema.metric).scalar_subquery(), found)


def _best(
    body: Body, value: Expression, subject: Expression, name: str, *, down: bool
) -> Expression:
    key = subject.table.c.key
    own = sa.select(value).where(subject == body.key, key == name)
    found = own.correlate_except(subject.table).scalar_subquery()
    if not body.by_run:
        return found
    # What a run was given itself goes before what its steps were.
    either_of = (schema.execution, subject.table)
    either = sa.join(schema.execution, subject.table, EXECUTIONS.id == subject)
    of_steps = (
        sa.select(_most(value, down=down))
        .select_from(either)
        # Not by the index on keys, in which every run is: the text is put together first.
        .where(EXECUTIONS.run == body.key, key + "" == name)
    )
    return sa.func.coalesce(found, of_steps.correlate_except(*either_of).scalar_subquery())


def _most(value: Expression, *, down: bool) -> Expression:
    return sa.func.max(value) if down else sa.func.min(value)


# ── names that nobody recorded ────────────────────────────────────────────────────────────────────


def _assert_recorded(database: Database, query: Query | None, text: str) -> None:
    """Refuse names that were never recorded, if any were: most often they are slips."""
    for one in compares(query):
        column = RECORDED.get(one.prefix)
        if column is None or one.operator == "NULL":
            continue
        if database.rows(sa.select(sa.literal(1)).where(column == one.name).limit(1)):
            continue
        every = sa.select(column).distinct().order_by(column).limit(SHOWN_NAMES)
        known = [row[0] for row in database.rows(every)]
        if known:
            singular = one.prefix.removesuffix("s")
            problem = f"no {singular} {one.name!r} was ever recorded"
            raise wrong(text, one.at, problem, nearest(one.name, known))


# ── cursors ───────────────────────────────────────────────────────────────────────────────────────


def _mark(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=6).hexdigest()


def _cursor(mark: str, row: Row) -> str:
    values = json.dumps([mark, *row[1:]], separators=(",", ":"))
    return base64.urlsafe_b64encode(values.encode()).decode().rstrip("=")


def _after(cursor: str, mark: str) -> Sequence[Any]:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except ValueError:
        raise _no_cursor() from None
    if not isinstance(found, list) or not found or found[0] != mark:
        problem = "this cursor is of another search"
        raise InvalidInput(problem, where="cursor", hint="begin again without it")
    return found[1:]


def _no_cursor() -> InvalidInput:
    hint = "take it from `next_cursor` as it is"
    return InvalidInput("this is no cursor", where="cursor", hint=hint)
