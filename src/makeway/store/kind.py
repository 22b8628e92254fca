"""Say what the store must know of each kind of database, and nothing else of it.

`sqlite` and `postgres` answer; the statements themselves are the same for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from makeway.errors import Unavailable
from makeway.store.statement import Upsert

Values = tuple[object, ...]

BUSY_MS = 10_000  # so long we wait for others who write


class Kind(Protocol):
    """One place that a store can be in; `where` names it in errors, without any secret."""

    where: str
    begin_reading: str

    def dial(self, *, read_only: bool) -> sa.Connection:
        """Open a connection; without `read_only`, make what it needs."""

    def begin(self, connection: sa.Connection, *, durable: bool) -> None:
        """Begin to write, alone; `durable`: what is committed survives the end of the machine."""

    def roll_back(self, driver: Any) -> None:  # noqa: ANN401 - the driver's own kind
        """End what a driver may still be within."""

    def load(self, connection: sa.Connection, upsert: Upsert, rows: Sequence[Values]) -> bool:
        """Write many rows at once, where that is quicker than one by one; say whether it was."""

    def problem(self, error: DBAPIError) -> Unavailable | None:
        """Say in our own words what the world did to it; None: it is a bug of ours."""

    def lost(self, error: DBAPIError) -> bool:
        """Say whether the connection is of no more use."""

    def no_table(self, error: DBAPIError) -> bool:
        """Say whether a table is not there."""
