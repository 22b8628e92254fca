"""Show who held how much since an instant, and what the workers of now use of it.

Takes:   an instant in ms
Gives:   one value for each attempt that held anything since then; of the workers of attempts that
         have not ended, the last value of a series
Cost:    linear in the attempts since then
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa

from makeway.codec import decode
from makeway.model.cluster import Placement
from makeway.model.job import WorkerGroup
from makeway.model.resources import NOTHING, Resources
from makeway.store import schema
from makeway.store.database import Database

ATTEMPTS, JOBS, WORKERS = schema.attempt.c, schema.job.c, schema.worker.c
SERIES, STATS = schema.series.c, schema.series_stat.c
SINCE = sa.bindparam("since", type_=sa.BigInteger)
HELD = (
    sa.select(
        ATTEMPTS.job, JOBS.queue, JOBS.spec, ATTEMPTS.placements, ATTEMPTS.started_at_ms,
        ATTEMPTS.ended_at_ms,
    )
    .join_from(schema.attempt, schema.job, JOBS.id == ATTEMPTS.job)
    .where(ATTEMPTS.ended_at_ms.is_(None) | (ATTEMPTS.ended_at_ms >= SINCE))
    .order_by(ATTEMPTS.started_at_ms, ATTEMPTS.job)
)  # fmt: skip
READINGS = (
    sa.select(SERIES.name, WORKERS.node, sa.func.sum(STATS.last))
    .select_from(
        schema.attempt.join(
            schema.worker,
            (ATTEMPTS.job == WORKERS.job) & (ATTEMPTS.number == WORKERS.number),
        )
        .join(
            schema.series,
            (SERIES.job == WORKERS.job)
            & (SERIES.number == WORKERS.number)
            & (SERIES.rank == WORKERS.rank),
        )
        .join(schema.series_stat, STATS.series == SERIES.id)
    )
    .where(ATTEMPTS.ended_at_ms.is_(None), WORKERS.ended_at_ms.is_(None))
    .where(SERIES.name.in_(["system/memory_usage_bytes", "system/cpu_percent"]))
    .group_by(SERIES.name, WORKERS.node)
)


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt held, from when until when (None: it still does)."""

    job: str
    queue: str
    begin_ms: int
    end_ms: int | None
    amount: Resources
    nodes: Mapping[str, Resources]


class _Asked(msgspec.Struct):
    """What is read of a job's spec here."""

    groups: tuple[WorkerGroup, ...] = ()


def held_since(database: Database, since_ms: int) -> list[Held]:
    """Give what was held since then, in the order in which it began."""
    return [
        Held(
            job=job, queue=queue, begin_ms=begin, end_ms=end,
            amount=sum(nodes.values(), NOTHING), nodes=nodes,
        )
        for job, queue, spec, placements, begin, end in database.rows(HELD, {"since": since_ms})
        for nodes in [_by_node(decode(spec, _Asked), decode(placements, tuple[Placement, ...]))]
    ]  # fmt: skip


def used_now(database: Database) -> Mapping[str, Mapping[str, float]]:
    """Give what the workers of now use by node: the last reading of memory and processors."""
    found: dict[str, dict[str, float]] = {}
    for name, node, total in database.rows(READINGS):
        found.setdefault(node, {})[name] = float(total or 0.0)
    return found


def _by_node(asked: _Asked, placements: Sequence[Placement]) -> dict[str, Resources]:
    shapes = {group.name: group.per_worker for group in asked.groups}
    found: dict[str, Resources] = {}
    for one in placements:
        amount = shapes.get(one.group, NOTHING).times(one.count)
        found[one.node] = found.get(one.node, NOTHING) + amount
    return found
