"""Make the log, the views folded from it, artifacts with their uses, and the series.

A migration stays as it was written: it takes nothing from the schema of today, which may move on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Kind = sa.types.TypeEngine[Any]

# On PostgreSQL text sorts by its bytes, as it does on SQLite: ids and keys mean no language.
Text: Kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Int: Kind = sa.Integer()
Big: Kind = sa.BigInteger()
Real: Kind = sa.Double()
Number: Kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _log()
    _runs()
    _jobs()
    _artifacts()
    _series()


def _log() -> None:
    op.create_table(
        "event",
        sa.Column("seq", Number, primary_key=True, autoincrement=False),
        *_always(Big, "at_ms", "cause"),
        *_always(Text, "type"),
        *_always(Int, "version"),
        *_maybe(Text, "job", "run"),
        *_always(Text, "payload"),
    )
    op.create_index("event_by_run", "event", ["run", "seq"])
    op.create_index("event_by_job", "event", ["job", "seq"])
    op.create_index("event_by_type", "event", ["type", "at_ms"])


def _runs() -> None:
    op.create_table(
        "run",
        *_key(Text, "id"),
        *_always(Text, "workflow", "user", "queue", "phase", "text", "params"),
        *_maybe(Text, "resumed_from"),
        *_always(Text, "definition"),
        *_always(Big, "submitted_at_ms"),
        *_maybe(Big, "ended_at_ms"),
    )
    op.create_index("run_by_time", "run", ["submitted_at_ms", "id"])
    _index_open("run", "phase IN ('running', 'cancelling')")
    op.create_table(
        "execution",
        *_key(Text, "id"),
        sa.Column("run", Text, sa.ForeignKey("run.id"), nullable=False),
        *_always(Text, "key"),
        *_always(Int, "position"),
        *_always(Text, "phase", "text"),
        *_maybe(Text, "output", "digest", "metrics", "cache_key", "selection"),
        *_maybe(Big, "started_at_ms", "ended_at_ms"),
    )
    op.create_index("execution_by_run", "execution", ["run", "position"])
    op.create_index("execution_by_cache_key", "execution", ["cache_key"])
    op.create_index("execution_by_key", "execution", ["key"])
    op.create_table(
        "execution_edge",
        sa.Column("run", Text, sa.ForeignKey("run.id"), primary_key=True),
        *_key(Text, "up", "down"),
    )
    op.create_index("execution_edge_by_down", "execution_edge", ["run", "down"])


def _jobs() -> None:
    op.create_table(
        "job",
        *_key(Text, "id"),
        *_always(Text, "name", "user", "queue"),
        *_always(Int, "priority"),
        *_always(Text, "phase", "text"),
        *_maybe(Text, "wait_reason", "wait_text", "wait_detail", "wait_blocked_by"),
        *_always(Int, "attempts"),
        *_maybe(Big, "not_before_ms"),
        *_always(Big, "submitted_at_ms"),
        *_maybe(Big, "started_at_ms", "ended_at_ms"),
        *_maybe(Text, "run"),
        *_always(Text, "spec"),
    )
    op.create_index("job_by_time", "job", ["submitted_at_ms", "id"])
    op.create_index("job_by_run", "job", ["run"])
    _index_open("job", "phase IN ('queued', 'running', 'evicting')")
    op.create_table(
        "attempt",
        sa.Column("job", Text, sa.ForeignKey("job.id"), primary_key=True),
        *_key(Int, "number"),
        *_always(Int, "fence"),
        *_always(Text, "phase"),
        *_maybe(Text, "stop_cause", "cause", "cause_class", "confidence", "text", "hint"),
        *_maybe(Text, "fingerprint"),
        *_maybe(Int, "rank"),
        *_maybe(Text, "evidence", "decision", "ledger"),
        *_always(Text, "placements"),
        *_always(Big, "started_at_ms"),
        *_maybe(Big, "released_at_ms", "ended_at_ms"),
    )
    op.create_index("attempt_by_cause", "attempt", ["cause", "ended_at_ms"])
    op.create_table(
        "worker",
        *_key(Text, "job"),
        *_key(Int, "number", "rank"),
        *_always(Text, "node"),
        *_maybe(Big, "pid"),
        *_maybe(Int, "code", "signal"),
        *_maybe(Text, "lost"),
        *_maybe(Big, "memory_peak_bytes", "cpu_ms", "ready_at_ms", "started_at_ms", "ended_at_ms"),
        *_maybe(Text, "error"),
        sa.ForeignKeyConstraint(["job", "number"], ["attempt.job", "attempt.number"]),
    )


def _artifacts() -> None:
    op.create_table(
        "artifact",
        *_key(Text, "digest", "kind", "name"),
        *_always(Text, "codec"),
        *_always(Big, "size_bytes"),
        *_maybe(Text, "metrics"),
        *_always(Big, "created_at_ms"),
        *_maybe(Text, "producer"),
    )
    op.create_index("artifact_by_name", "artifact", ["kind", "name", "created_at_ms"])
    op.create_index("artifact_by_producer", "artifact", ["producer"])
    op.create_table("artifact_use", *_key(Text, "execution", "role", "key", "digest"))
    op.create_index("artifact_use_by_digest", "artifact_use", ["digest", "role", "execution"])
    op.create_table(
        "param",
        *_key(Text, "execution", "key"),
        *_always(Text, "value_type", "value_text"),
        *_maybe(Real, "value_num"),
    )
    op.create_index("param_by_text", "param", ["key", "value_text"])
    op.create_index("param_by_num", "param", ["key", "value_num"])


def _series() -> None:
    op.create_table(
        "series",
        sa.Column("id", Number, primary_key=True),
        *_always(Text, "job"),
        *_always(Int, "number", "rank"),
        *_always(Text, "name"),
    )
    op.create_index("series_by_worker", "series", ["job", "number", "rank", "name"], unique=True)
    op.create_index("series_by_name", "series", ["name"])
    op.create_table(
        "sample",
        sa.Column("series", Number, sa.ForeignKey("series.id"), primary_key=True),
        *_key(Big, "at_ms", "step"),
        *_maybe(Real, "value"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "series_stat",
        sa.Column(
            "series", Number, sa.ForeignKey("series.id"), primary_key=True, autoincrement=False
        ),
        *_always(Big, "n"),
        *_maybe(Real, "first", "last", "min", "max"),
        *_maybe(Big, "last_step"),
        *_always(Big, "last_at_ms"),
    )


def _index_open(table: str, unfinished: str) -> None:
    """Index the few rows that are not final by the time of their submission."""
    condition = sa.text(unfinished)
    op.create_index(
        f"{table}_open",
        table,
        ["submitted_at_ms", "id"],
        sqlite_where=condition,
        postgresql_where=condition,
    )


def _key(kind: Kind, *names: str) -> Iterator[sa.Column[Any]]:
    return (sa.Column(name, kind, primary_key=True) for name in names)


def _always(kind: Kind, *names: str) -> Iterator[sa.Column[Any]]:
    return (sa.Column(name, kind, nullable=False) for name in names)


def _maybe(kind: Kind, *names: str) -> Iterator[sa.Column[Any]]:
    return (sa.Column(name, kind, nullable=True) for name in names)
