"""Keep the searches that somebody wants to have again, each under a name of their own.

Takes:   whose, a name, and what is searched for; a name that is there already is given anew
Raises:  InvalidInput: no name, too long a name or query, or more than a person can look through
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from makeway.errors import InvalidInput
from makeway.store import schema
from makeway.store.database import Database
from makeway.store.statement import Upsert, same

NAME_CHARACTERS_MAX = 80
QUERY_CHARACTERS_MAX = 2_000
SEARCHES_MAX = 100

SAVED = schema.saved_search.c
COLUMNS = ("user", "name", "kind", "query", "orders", "saved_at_ms")
KEEP = Upsert(
    schema.saved_search, COLUMNS, key=("user", "name"),
    replace=("kind", "query", "orders", "saved_at_ms"),
)  # fmt: skip
LIST = sa.select(*(SAVED[name] for name in COLUMNS[1:])).where(same(SAVED.user))
FORGET = sa.delete(schema.saved_search).where(same(SAVED.user, SAVED.name))


class SavedSearch(msgspec.Struct, frozen=True, kw_only=True):
    """A search that is kept; `orders` is what comes first, empty for the newest."""

    name: str
    kind: str
    query: str
    orders: str = ""
    saved_at_ms: int = 0


def saved_searches(database: Database, user: str) -> Sequence[SavedSearch]:
    """List those of one person, by name."""
    rows = database.rows(LIST.order_by(SAVED.name), {"user": user})
    return [
        SavedSearch(name=row[0], kind=row[1], query=row[2], orders=row[3], saved_at_ms=row[4])
        for row in rows
    ]


def save_search(database: Database, user: str, wanted: SavedSearch) -> None:
    """Keep one."""
    name = wanted.name.strip()
    if not name:
        raise InvalidInput("a search is kept under a name", where="name")
    if len(name) > NAME_CHARACTERS_MAX:
        raise InvalidInput(f"it has more than {NAME_CHARACTERS_MAX} characters", where="name")
    if len(wanted.query) + len(wanted.orders) > QUERY_CHARACTERS_MAX:
        raise InvalidInput(f"it has more than {QUERY_CHARACTERS_MAX} characters", where="query")
    names = [one.name for one in saved_searches(database, user)]
    if name not in names and len(names) >= SEARCHES_MAX:
        problem = f"{SEARCHES_MAX} searches are kept already"
        raise InvalidInput(problem, where="name", hint="forget one of them first")
    row = (user, name, wanted.kind, wanted.query, wanted.orders, wanted.saved_at_ms)
    with database.transaction():
        database.write(KEEP, [row])


def forget_search(database: Database, user: str, name: str) -> None:
    """Forget one; what is not there is forgotten already."""
    with database.transaction():
        database.write(FORGET, [(user, name)])
