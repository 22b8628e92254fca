"""Count what was found by what it has in common: by state, by name, by user, by cause, by data set.

    facets(database, parse("metrics.accuracy > 0.9"), "runs", text)

Each value comes with the condition that asks for it, so that a search can be narrowed by it.

Takes:   a search that has been read, and the text that it was read from
Cost:    one query for each facet; of 10,000 runs all of them in 35 ms
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
import sqlalchemy as sa

from makeway.lineage.query import Query
from makeway.store import schema
from makeway.store.bodies import BODIES, STEP, WHICH, Body, Condition
from makeway.store.conditions import USED_AS, Reading
from makeway.store.database import Database, Row

VALUES_MAX = 8
ATTRIBUTES = {
    "runs": ("state", "name", "user", "queue"),
    "steps": ("state", "workflow", "name", "user", "queue"),
    "models": ("name", "state"),
    "datasets": ("kind", "name", "state"),
    "artifacts": ("kind", "name", "state"),
}
CAUSE, DATASET = "failure.cause", "datasets.name"
ATTEMPTS, EXECUTIONS, USES = schema.attempt.c, schema.execution.c, schema.artifact_use.c


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a facet, how many have it, and the condition that asks for those."""

    text: str
    count: int
    condition: str


class Facet(msgspec.Struct, frozen=True, kw_only=True):
    """What found things have in common; `more` counts values that are left out."""

    name: str
    values: tuple[Value, ...]
    more: int = 0


def facets(database: Database, query: Query | None, kind: str, text: str) -> Sequence[Facet]:
    """Count, for each facet of a kind, its most frequent values; one with no value is left out."""
    bodies = BODIES[kind]
    found: dict[str, Counter[str]] = {}
    with database.reading():
        for body in bodies:
            which = sa.and_(body.which, Reading(bodies, body, text).condition(query))
            for name, rows in _counted(database, kind, body, which):
                counts = found.setdefault(name, Counter())
                for value, count in rows:
                    if value:
                        counts[value] += count
    return [_facet(name, counts) for name, counts in found.items() if counts]


def condition(name: str, value: str) -> str:
    """Write the condition that asks for a value."""
    quoted = value.replace("'", "''")
    return f"{name} = '{quoted}'"


def _facet(name: str, counts: Counter[str]) -> Facet:
    ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    values = tuple(
        Value(text=value, count=count, condition=condition(name, value))
        for value, count in ranked[:VALUES_MAX]
    )
    return Facet(name=name, values=values, more=max(0, len(ranked) - VALUES_MAX))


def _counted(
    database: Database, kind: str, body: Body, which: Condition
) -> Iterator[tuple[str, Sequence[Row]]]:
    for name in ATTRIBUTES[kind]:
        if name in body.attributes:
            value = body.attributes[name].value.label("value")
            each = sa.select(body.id.label("row"), value).select_from(body.rows).where(which)
            yield name, database.rows(_by_value(each))
    keys = sa.select(body.key).select_from(body.rows).where(which)
    yield CAUSE, database.rows(_causes(body, keys))
    if kind not in ("datasets", "artifacts"):
        yield DATASET, database.rows(_datasets(body, keys))


def _causes(body: Body, keys: sa.Select[tuple[str]]) -> sa.Select[tuple[str, int]]:
    """Count rows by why they failed: one that failed in two ways counts for each."""
    row = STEP.c.run if body.by_run else STEP.c.id
    each = (
        sa.select(row.label("row"), ATTEMPTS.cause.label("value"))
        .join_from(schema.attempt, STEP, STEP.c.id == ATTEMPTS.job)
        .where(ATTEMPTS.cause.is_not(None), ATTEMPTS.cause != "NONE", row.in_(keys))
    )
    return _by_value(each.distinct())


def _datasets(body: Body, keys: sa.Select[tuple[str]]) -> sa.Select[tuple[str, int]]:
    row = EXECUTIONS.run if body.by_run else USES.execution
    both = sa.join(schema.artifact_use, schema.artifact, schema.artifact.c.digest == USES.digest)
    if body.by_run:
        both = both.join(schema.execution, EXECUTIONS.id == USES.execution)
    each = sa.select(row.label("row"), USED_AS.label("value")).select_from(both)
    return _by_value(each.where(USES.role == "input", WHICH["datasets"], row.in_(keys)).distinct())


def _by_value(each: sa.Select[tuple[str, str]]) -> sa.Select[tuple[str, int]]:
    """Count rows by value; PostgreSQL knows an expression again only by its name."""
    found = each.subquery()
    return sa.select(found.c.value, sa.func.count()).group_by(found.c.value)
