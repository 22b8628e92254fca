"""Keep how far in the log each receiver elsewhere has been told.

The log itself is the outbox: what is to be told is in it already, written in one transaction with
the change that it is about. So only a place is kept, and nothing is written twice.

Holds:   a receiver that is new has no place: whoever tells it decides where it begins
Cost:    one row a receiver, written after what was told
"""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from makeway.store import schema
from makeway.store.database import Database
from makeway.store.statement import Upsert


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """How far a receiver has been told: up to and with the entry `seq`.

    refused  messages that it would not take, and never will
    problem  why it cannot be told more right now; empty: it can
    """

    sink: str
    seq: int
    refused: int = 0
    problem: str = ""
    at_ms: int = 0


PLACES = schema.outbox.c
FIELDS = ("seq", "refused", "problem", "at_ms")
ALL = sa.select(PLACES.sink, *(PLACES[name] for name in FIELDS)).order_by(PLACES.sink)
KEEP = Upsert(schema.outbox, ("sink", *FIELDS), ("sink",), replace=FIELDS)


def places(database: Database) -> dict[str, Place]:
    """Give the place of every receiver that was ever told anything."""
    return {
        row[0]: Place(sink=row[0], seq=row[1], refused=row[2], problem=row[3], at_ms=row[4])
        for row in database.rows(ALL)
    }


def keep_place(database: Database, place: Place) -> None:
    """Write down how far a receiver has been told."""
    values = (place.sink, place.seq, place.refused, place.problem, place.at_ms)
    with database.transaction(durable=False):
        database.write(KEEP, [values])
