"""Let tests look into the tables with SQL of their own, and put entries there that mean nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from makeway.store import schema
from makeway.store.database import Database
from makeway.store.statement import insert

ADD = insert(schema.event, "seq", "at_ms", "cause", "type", "version", "payload")


def look(database: Database, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """Give the rows of a query, with a value for each `?` in it."""
    for place in range(len(values)):
        query = query.replace("?", f":value{place}", 1)
    given = {f"value{place}": value for place, value in enumerate(values)}
    return [tuple(row) for row in database.rows(sa.text(query), given)]


def add(database: Database, *seqs: int) -> None:
    """Write events with these numbers, within a transaction."""
    database.write(ADD, [(seq, 0, 0, "x", 1, "{}") for seq in seqs])


def seqs(database: Database) -> list[int]:
    """Give the numbers of all events."""
    return [row[0] for row in look(database, "SELECT seq FROM event ORDER BY seq")]
