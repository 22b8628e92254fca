"""Find the ends of a series where they are not in memory: its oldest sample, its last ones, extremes.

Needed when a sample comes late, and for the first one after a restart; each looks into rows and
chunks alike, and at few of them.
"""

from __future__ import annotations

import sys
from typing import Any

import sqlalchemy as sa

from makeway.store.chunks import CHUNKS, ROWS, SUMMARY, Chunk, Instant, open_chunk
from makeway.store.columns import Columns, joined
from makeway.store.database import Database
from makeway.store.series import SAMPLES, columns_of
from makeway.store.statement import same
from makeway.store.sums import TREND_OF, Recent, Sums

SMALL_MAX = 1e290


def _few(query: sa.Select[Any], count: int) -> sa.Select[Any]:
    """Take the first rows; as text, since every value of a statement is given when it is used."""
    return query.limit(sa.literal_column(str(count))).offset(sa.literal_column("0"))


FIRST = _few(SAMPLES.order_by(ROWS.at_ms, ROWS.step), 1)
FIRST_CHUNK = _few(SUMMARY.order_by(CHUNKS.from_ms, CHUNKS.from_step), 1)
LAST = _few(SAMPLES.order_by(ROWS.at_ms.desc(), ROWS.step.desc()), TREND_OF)
LAST_CHUNKS = _few(SUMMARY.order_by(CHUNKS.from_ms.desc(), CHUNKS.from_step.desc()), TREND_OF)
FINITE = sa.case((sa.func.abs(ROWS.value) <= sys.float_info.max, ROWS.value))
# PostgreSQL refuses to add up what goes beyond all numbers.
SMALL = sa.case((sa.func.abs(ROWS.value) <= SMALL_MAX, ROWS.value))
TOTALS = sa.select(sa.func.min(FINITE), sa.func.max(FINITE), sa.func.sum(SMALL)).where(
    same(ROWS.series)
)
OF_CHUNKS = sa.select(
    sa.func.min(CHUNKS.min), sa.func.max(CHUNKS.max), sa.func.sum(CHUNKS.sum)
).where(same(CHUNKS.series))


def oldest_of(database: Database, series: int) -> Instant | None:
    """Say where a series begins."""
    rows = [*database.find(FIRST, (series,)), *database.find(FIRST_CHUNK, (series,))]
    return min(((row[0], row[1]) for row in rows), default=None)


def recent_of(database: Database, series: int) -> Recent:
    """Give the last samples, as many as a trend is made of."""
    parts: list[Columns] = []
    if rows := database.find(LAST, (series,)):
        parts.append(columns_of(reversed(rows)))
    count = 0
    for row in database.find(LAST_CHUNKS, (series,)):
        chunk = Chunk(*row)
        if count >= TREND_OF:
            break
        parts.append(open_chunk(database, series, chunk))
        count += chunk.n
    found = joined(parts)
    return [*found.at_ms[-TREND_OF:]], [*found.value[-TREND_OF:]]


def count_again(database: Database, series: int, sums: Sums) -> None:
    """Find the least and the largest finite value, and the sum, among all there are."""
    wanted = {"series": series}
    both = [*database.rows(TOTALS, wanted), *database.rows(OF_CHUNKS, wanted)]
    sums.min = min((row[0] for row in both if row[0] is not None), default=None)
    sums.max = max((row[1] for row in both if row[1] is not None), default=None)
    sums.sum = sum(row[2] for row in both if row[2] is not None)
