"""Define the tables, once, for SQLite and PostgreSQL alike.

`event` is the truth and only ever grows; each row has a checksum of all that is in it. `run` to
`decision` are views: folded from the events in the transaction that appends them, and to be had
again from the log alone. `token`, `idempotency`, `lease`, `outbox` and `saved_search` are what a service
keeps beside them.
Series are no events: a series has a short number, and a sample is a row of three numbers and a
value under it. Samples of workers that have ended are put together, a thousand in one row of
`sample_chunk`; `stage` of a series says how far that is (0 there may be rows, 1 none, 2 thinned out).

Times are whole ms since 1970 in UTC. JSON is text, and only what is never filtered by is JSON. The
migrations build the same tables step by step; a test holds the two equal.

Cost:    about 25 bytes a sample; importing it 0.2 s of processor time, nearly all for SQLAlchemy
Source:  one number instead of five text columns: MLflow issue 12813, 237 against 29 bytes a row
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    text,
)

from makeway.store.schema_base import Json, Number, Text, metadata
from makeway.store.schema_measured import metric, sample, sample_chunk, series, series_stat
from makeway.store.schema_tracked import (
    tracked_experiment,
    tracked_file,
    tracked_model,
    tracked_run,
)

__all__ = [
    "Number",
    "Text",
    "alembic_version",
    "artifact",
    "artifact_use",
    "attempt",
    "decision",
    "event",
    "execution",
    "execution_edge",
    "idempotency",
    "job",
    "lease",
    "metadata",
    "metric",
    "outbox",
    "param",
    "run",
    "sample",
    "sample_chunk",
    "saved_search",
    "series",
    "series_stat",
    "tag",
    "token",
    "tracked_experiment",
    "tracked_file",
    "tracked_model",
    "tracked_run",
    "worker",
]

# Alembic's own table, as Alembic makes it: it stands apart, and is no part of what we compare.
alembic_version = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)

JOB_OPEN = text("phase IN ('queued', 'running', 'evicting')")
RUN_OPEN = text("phase IN ('running', 'cancelling')")

event = Table(
    "event",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("cause", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("job", Text),
    Column("run", Text),
    Column("payload", Json, nullable=False),
    Column("checksum", BigInteger, nullable=False, server_default="0"),
    Index("event_by_run", "run", "seq"),
    Index("event_by_job", "job", "seq"),
    Index("event_by_type", "type", "at_ms"),
)

run = Table(
    "run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workflow", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("params", Json, nullable=False),
    Column("resumed_from", Text),
    Column("definition", Json, nullable=False),
    Column("submitted_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    Index("run_by_time", "submitted_at_ms", "id"),
    Index("run_open", "submitted_at_ms", "id", sqlite_where=RUN_OPEN, postgresql_where=RUN_OPEN),
)

execution = Table(
    "execution",
    metadata,
    Column("id", Text, primary_key=True),
    Column("run", Text, ForeignKey("run.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("phase", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("output", Json),
    Column("digest", Text),
    Column("metrics", Json),
    Column("cache_key", Text),
    Column("selection", Json),
    Column("started_at_ms", BigInteger),
    Column("ended_at_ms", BigInteger),
    Column("key_parts", Json),
    Index("execution_by_run", "run", "position"),
    Index("execution_by_cache_key", "cache_key"),
    Index("execution_by_key", "key"),
)

execution_edge = Table(
    "execution_edge",
    metadata,
    Column("run", Text, ForeignKey("run.id"), primary_key=True),
    Column("up", Text, primary_key=True),
    Column("down", Text, primary_key=True),
    Index("execution_edge_by_down", "run", "down"),
)

job = Table(
    "job",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("phase", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("wait_reason", Text),
    Column("wait_text", Text),
    Column("wait_detail", Json),
    Column("wait_blocked_by", Json),
    Column("attempts", Integer, nullable=False),
    Column("not_before_ms", BigInteger),
    Column("submitted_at_ms", BigInteger, nullable=False),
    Column("started_at_ms", BigInteger),
    Column("ended_at_ms", BigInteger),
    Column("run", Text),
    Column("spec", Json, nullable=False),
    Column("held", Integer, nullable=False, server_default="0"),
    Column("workers", Integer),
    Index("job_by_time", "submitted_at_ms", "id"),
    Index("job_by_run", "run"),
    Index("job_by_user", "user", "submitted_at_ms"),
    Index("job_by_name", "name", "submitted_at_ms"),
    Index("job_open", "submitted_at_ms", "id", sqlite_where=JOB_OPEN, postgresql_where=JOB_OPEN),
)

attempt = Table(
    "attempt",
    metadata,
    Column("job", Text, ForeignKey("job.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("fence", Integer, nullable=False),
    Column("phase", Text, nullable=False),
    Column("stop_cause", Text),
    Column("cause", Text),
    Column("cause_class", Text),
    Column("confidence", Text),
    Column("text", Text),
    Column("hint", Text),
    Column("fingerprint", Text),
    Column("rank", Integer),
    Column("evidence", Json),
    Column("decision", Json),
    Column("ledger", Text),
    Column("placements", Json, nullable=False),
    Column("started_at_ms", BigInteger, nullable=False),
    Column("released_at_ms", BigInteger),
    Column("ended_at_ms", BigInteger),
    Index("attempt_by_cause", "cause", "ended_at_ms"),
)

worker = Table(
    "worker",
    metadata,
    Column("job", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("rank", Integer, primary_key=True),
    Column("node", Text, nullable=False),
    Column("pid", BigInteger),
    Column("code", Integer),
    Column("signal", Integer),
    Column("lost", Text),
    Column("memory_peak_bytes", BigInteger),
    Column("cpu_ms", BigInteger),
    Column("ready_at_ms", BigInteger),
    Column("started_at_ms", BigInteger),
    Column("ended_at_ms", BigInteger),
    Column("error", Json),
    ForeignKeyConstraint(["job", "number"], ["attempt.job", "attempt.number"]),
)

artifact = Table(
    "artifact",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("codec", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("metrics", Json),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("producer", Text),
    Column("uri", Text),  # where it lies, if not in the store itself
    Column("durability", Text),  # memory, node or durable; nothing: durable
    Column("state", Text),  # live, lost or deleted; nothing: live
    Index("artifact_by_name", "kind", "name", "created_at_ms"),
    Index("artifact_by_producer", "producer"),
)

artifact_use = Table(
    "artifact_use",
    metadata,
    Column("execution", Text, primary_key=True),
    Column("role", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("context", Text),  # what an input was read for: training, validation
    Index("artifact_use_by_digest", "digest", "role", "execution"),
)

param = Table(
    "param",
    metadata,
    Column("execution", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value_type", Text, nullable=False),
    Column("value_text", Text, nullable=False),
    Column("value_num", Double),
    Index("param_by_text", "key", "value_text"),
    Index("param_by_num", "key", "value_num"),
)

tag = Table(
    "tag",
    metadata,
    Column("subject", Text, primary_key=True),  # a job, or a run
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Index("tag_by_value", "key", "value"),
)

decision = Table(
    "decision",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("job", Text, nullable=False),
    Column("workers", Integer),
    Column("beneficiary", Text),
    Column("rule", Text),
    Column("cause", Text),
    Column("text", Text, nullable=False),
    Column("lost_worker_ms", BigInteger, nullable=False),
    Index("decision_by_job", "job", "seq"),
    Index("decision_by_time", "at_ms", "seq"),
)

token = Table(
    "token",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("revoked_at_ms", BigInteger),
    Column("last_used_at_ms", BigInteger),
    Column("queues", Json),
)

saved_search = Table(
    "saved_search",
    metadata,
    Column("user", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("orders", Text, nullable=False),
    Column("saved_at_ms", BigInteger, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("user", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("body_hash", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Index("idempotency_by_time", "created_at_ms"),
)

lease = Table(
    "lease",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("term", BigInteger, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
)

# How far in the log a receiver elsewhere has been told.
outbox = Table(
    "outbox",
    metadata,
    Column("sink", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("problem", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)
