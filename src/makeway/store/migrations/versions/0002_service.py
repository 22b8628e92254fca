"""Add what a shared service keeps: tokens, keys, decisions, tags, a lease, chunks, metrics; sums.

Every entry that is there gets its checksum now. What is damaged already is not found by it; what
becomes damaged from here on is. The decisions are those that the entries tell of.
"""

from __future__ import annotations

import json
import math
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from makeway.store.produced import typed

revision = "0002"
down_revision = "0001"

PAGE = 1_000

Kind = sa.types.TypeEngine[Any]
Fact = dict[str, Any]  # an event as it is stored

Text: Kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Int: Kind = sa.Integer()
Big: Kind = sa.BigInteger()
Real: Kind = sa.Double()
Number: Kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("event", sa.Column("checksum", Big, nullable=False, server_default="0"))
    _sum_up()
    op.add_column("job", sa.Column("held", Int, nullable=False, server_default="0"))
    op.add_column("job", sa.Column("workers", Int))
    op.create_index("job_by_user", "job", ["user", "submitted_at_ms"])
    op.create_index("job_by_name", "job", ["name", "submitted_at_ms"])
    _count_workers()
    for name in ("uri", "durability", "state"):
        op.add_column("artifact", sa.Column(name, Text))
    op.add_column("execution", sa.Column("key_parts", Text))
    _service()
    _tracked()
    _decide()
    _series()
    _search()


def _sum_up() -> None:
    names = ("seq", "at_ms", "cause", "type", "version", "job", "run", "payload")
    event = sa.table("event", *map(sa.column, (*names, "checksum")))
    row = sa.select(*(event.c[name] for name in names)).order_by(event.c.seq).limit(PAGE)
    change = (
        sa.update(event)
        .values(checksum=sa.bindparam("sum"))
        .where(event.c.seq == sa.bindparam("entry"))
    )
    connection, after = op.get_bind(), 0
    while page := connection.execute(row.where(event.c.seq > after)).all():
        connection.execute(change, [{"entry": one[0], "sum": _checksum(one)} for one in page])
        after = page[-1][0]


def _checksum(row: Any) -> int:  # noqa: ANN401 - a row
    return zlib.crc32("\n".join("" if one is None else str(one) for one in row).encode())


def _count_workers() -> None:
    """Say of what runs how many workers it has been given."""
    attempt = sa.table("attempt", *map(sa.column, ("job", "number", "phase", "placements")))
    job = sa.table("job", *map(sa.column, ("id", "attempts", "workers")))
    living = sa.select(attempt.c.job, attempt.c.placements).where(attempt.c.phase != "ended")
    change = sa.update(job).values(workers=sa.bindparam("n")).where(job.c.id == sa.bindparam("of"))
    connection = op.get_bind()
    for name, placements in connection.execute(living).all():
        count = sum(one["count"] for one in json.loads(placements))
        connection.execute(change, {"of": name, "n": count})


def _decide() -> None:
    names = ("seq", "at_ms", "kind", "job", "workers", "beneficiary", "rule", "cause", "text")
    decision = sa.table("decision", *map(sa.column, (*names, "lost_worker_ms")))
    event = sa.table("event", *map(sa.column, ("seq", "at_ms", "type", "payload")))
    told = sa.select(*event.c).where(event.c.type.in_(TOLD)).order_by(event.c.seq).limit(PAGE)
    connection, after = op.get_bind(), 0
    while page := connection.execute(told.where(event.c.seq > after)).all():
        for seq, at_ms, kind, payload in page:
            if row := TOLD[kind](json.loads(payload)):
                empty = {"text": "", "lost_worker_ms": 0}
                values = empty | row | {"seq": seq, "at_ms": at_ms}
                connection.execute(sa.insert(decision).values(**values))
        after = page[-1][0]


def _held(fact: Fact, kind: str) -> Fact:
    workers = sum(one["count"] for one in fact["allocation"]["placements"])
    return {"kind": kind, "job": fact["job"], "workers": workers}


def _resized(fact: Fact) -> Fact:
    return _held(fact, "resize") | {name: fact.get(name) for name in ("beneficiary", "rule")}


def _stopped(fact: Fact) -> Fact:
    kind = "preempt" if fact["cause"] == "preempted" else "stop"
    others = ("job", "beneficiary", "rule", "cause")
    lost = {"text": fact.get("text", ""), "lost_worker_ms": fact.get("lost_worker_ms", 0)}
    return {"kind": kind, **{name: fact.get(name) for name in others}, **lost}


def _reserved(fact: Fact) -> Fact:
    victims = ", ".join(fact.get("victims", ()))
    text = f"when these have left: {victims}" if victims else ""
    return _held(fact, "reserve") | {"rule": fact.get("rule"), "text": text}


def _rejected(fact: Fact) -> Fact:
    wait = fact["wait"]
    return {"kind": "reject", "job": fact["job"], "cause": wait["reason"], "text": wait["text"]}


def _requeued(fact: Fact) -> Fact:
    again = fact["decision"].get("ledger") is not None
    return _concluded(fact, "retry" if again else "requeue")


def _concluded(fact: Fact, kind: str) -> Fact:
    said = fact["decision"]
    row = {"kind": kind, "job": fact["job"], "cause": said["cause"], "text": said["text"]}
    return row | {"rule": said.get("rule") or None}


TOLD: dict[str, Callable[[Fact], Fact | None]] = {
    "AttemptStarted": lambda fact: _held(fact, "start"),
    "AttemptResized": _resized,
    "AttemptStopped": _stopped,
    "SlotsReserved": _reserved,
    "JobRejected": _rejected,
    "JobRequeued": _requeued,
    "JobFinished": lambda fact: _concluded(fact, "stop") if fact.get("decision") else None,
}


def _service() -> None:
    op.create_table(
        "token",
        *_key(Text, "id"),
        *_always(Text, "user", "name", "hash", "scopes"),
        *_always(Big, "created_at_ms"),
        *_maybe(Big, "expires_at_ms", "revoked_at_ms", "last_used_at_ms"),
        *_maybe(Text, "queues"),
    )
    op.create_table(
        "saved_search",
        *_key(Text, "user", "name"),
        *_always(Text, "kind", "query", "orders"),
        *_always(Big, "saved_at_ms"),
    )
    op.create_table("tag", *_key(Text, "subject", "key"), *_always(Text, "value"))
    op.create_index("tag_by_value", "tag", ["key", "value"])
    op.create_table(
        "idempotency",
        *_key(Text, "user", "key"),
        *_always(Text, "subject", "body_hash"),
        *_always(Big, "created_at_ms"),
    )
    op.create_index("idempotency_by_time", "idempotency", ["created_at_ms"])
    op.create_table(
        "decision",
        sa.Column("seq", Number, primary_key=True, autoincrement=False),
        *_always(Big, "at_ms"),
        *_always(Text, "kind", "job"),
        *_maybe(Int, "workers"),
        *_maybe(Text, "beneficiary", "rule", "cause"),
        *_always(Text, "text"),
        *_always(Big, "lost_worker_ms"),
    )
    op.create_index("decision_by_job", "decision", ["job", "seq"])
    op.create_index("decision_by_time", "decision", ["at_ms", "seq"])
    op.create_table(
        "lease",
        sa.Column("id", Int, primary_key=True, autoincrement=False),
        *_always(Big, "term"),
        *_always(Text, "host"),
        *_always(Big, "pid", "since_ms"),
    )
    op.create_table(
        "outbox",
        *_key(Text, "sink"),
        *_always(Big, "seq", "refused"),
        *_always(Text, "problem"),
        *_always(Big, "at_ms"),
    )


def _series() -> None:
    op.add_column("series", sa.Column("kind", Text, nullable=False, server_default="user"))
    op.add_column("series", sa.Column("unit", Text))
    op.add_column("series", sa.Column("stage", Int, nullable=False, server_default="0"))
    loose = sa.text("stage = 0")
    op.create_index("series_loose", "series", ["id"], sqlite_where=loose, postgresql_where=loose)
    op.add_column("series_stat", sa.Column("finite", Big, nullable=False, server_default="0"))
    op.add_column("series_stat", sa.Column("sum", Real, nullable=False, server_default="0"))
    op.add_column("series_stat", sa.Column("trend", Real))
    op.create_table(
        "sample_chunk",
        sa.Column("series", Number, sa.ForeignKey("series.id"), primary_key=True),
        *_key(Big, "from_ms", "from_step"),
        *_always(Big, "to_ms", "to_step"),
        *_always(Int, "n"),
        *_maybe(Real, "min", "max"),
        *_always(Real, "sum"),
        *_maybe(Big, "low_ms", "low_step", "high_ms", "high_step"),
        *_always(sa.LargeBinary(), "data"),
    )
    names = ("id", "name", "kind", "series", "value", "finite", "sum")
    series, sample, stat = (
        sa.table(table, *map(sa.column, names)) for table in ("series", "sample", "series_stat")
    )
    system = sa.update(series).where(series.c.name.like("system/%")).values(kind="system")
    op.get_bind().execute(system)
    finite = sa.and_(
        sample.c.series == stat.c.series, sa.func.abs(sample.c.value) <= sys.float_info.max
    )
    count = sa.select(sa.func.count()).select_from(sample).where(finite)
    total = sa.select(sa.func.coalesce(sa.func.sum(sample.c.value), 0)).where(finite)
    sums = {"finite": count.scalar_subquery(), "sum": total.scalar_subquery()}
    op.get_bind().execute(sa.update(stat).values(sums))


def _tracked() -> None:
    op.create_table(
        "tracked_experiment",
        *_key(Text, "id"),
        *_always(Text, "name", "stage"),
        *_always(Big, "created_at_ms", "changed_at_ms"),
    )
    op.create_index("tracked_experiment_by_name", "tracked_experiment", ["name"], unique=True)
    op.create_table(
        "tracked_run",
        *_key(Text, "id"),
        *_always(Text, "experiment", "name", "status", "stage", "user"),
        *_maybe(Text, "job", "parent"),
        *_always(Big, "started_at_ms"),
        *_maybe(Big, "ended_at_ms"),
    )
    columns = ["experiment", "started_at_ms"]
    op.create_index("tracked_run_by_experiment", "tracked_run", columns)
    op.create_index("tracked_run_by_job", "tracked_run", ["job"])
    op.create_table(
        "tracked_model",
        *_key(Text, "id"),
        *_always(Text, "experiment", "name", "kind", "status", "user"),
        *_maybe(Text, "run", "digest"),
        *_always(Big, "created_at_ms", "changed_at_ms"),
    )
    op.create_index("tracked_model_by_run", "tracked_model", ["run"])
    columns = ["experiment", "created_at_ms"]
    op.create_index("tracked_model_by_experiment", "tracked_model", columns)
    op.create_table(
        "tracked_file",
        *_key(Text, "owner", "path"),
        *_always(Text, "digest"),
        *_always(Big, "size_bytes", "at_ms"),
    )


def _search() -> None:
    op.add_column("artifact_use", sa.Column("context", Text))
    op.create_table(
        "metric",
        *_key(Text, "subject", "name"),
        *_always(Text, "run"),
        *_always(Int, "number"),
        *_always(Big, "n"),
        *_maybe(sa.Double(), "first", "last", "min", "max", "mean"),
        sqlite_with_rowid=False,
    )
    for name, columns in METRIC_INDEXES.items():
        op.create_index(name, "metric", columns)
    _tell_params()
    _tell_metrics()


METRIC_INDEXES = {
    "metric_by_run": ["run", "name", "last"],
    "metric_by_last": ["name", "last", "run"],
    "metric_by_max": ["name", "max", "run"],
    "metric_by_min": ["name", "min", "run"],
}


def _tell_params() -> None:
    """Let the parameters of runs stand where those of steps do."""
    run = sa.table("run", *map(sa.column, ("id", "params")))
    names = ("execution", "key", "value_type", "value_text", "value_num")
    param = sa.table("param", *map(sa.column, names))
    connection = op.get_bind()
    for name, params in connection.execute(sa.select(run.c.id, run.c.params)).all():
        for key, value in json.loads(params).items():
            row = dict(zip(names, (name, key, *typed(value)), strict=True))
            connection.execute(sa.insert(param).values(row))


def _tell_metrics() -> None:
    """Let searches find what steps reported, and what series came to in their latest attempt."""
    names = ("subject", "name", "run", "number", "n", "first", "last", "min", "max")
    all_names = (*names, "mean")
    metric = sa.table("metric", *map(sa.column, all_names))
    series = sa.table("series", *map(sa.column, ("id", "job", "number", "rank", "name")))
    stat = sa.table("series_stat", *map(sa.column, ("series", *names[4:], "finite", "sum")))
    job = sa.table("job", *map(sa.column, ("id", "run", "attempts")))
    mean = stat.c.sum / sa.func.nullif(stat.c.finite, 0)
    sums = (*(stat.c[name] for name in names[4:]), mean)
    of, at = series.c, sa.func.coalesce(job.c.run, series.c.job)
    told = (
        sa.select(of.job, of.name, at, of.number, *sums)
        .join_from(series, stat, stat.c.series == of.id)
        .join(job, (job.c.id == of.job) & (job.c.attempts == of.number))
        .where(of.rank == 0)
    )
    connection = op.get_bind()
    connection.execute(sa.insert(metric).from_select(all_names, told))
    execution = sa.table("execution", *map(sa.column, ("id", "run", "metrics")))
    said = sa.select(*execution.c).where(execution.c.metrics.is_not(None))
    there = {tuple(row) for row in connection.execute(sa.select(metric.c.subject, metric.c.name))}
    artifact = sa.table("artifact", *map(sa.column, ("digest", "metrics")))
    given = sa.select(artifact.c.digest, sa.literal(""), artifact.c.metrics)
    found = [*connection.execute(said), *connection.execute(given)]
    for subject, run, metrics in found:
        for name, value in json.loads(metrics or "{}").items():
            if (subject, name) not in there and value is not None:
                there.add((subject, name))
                number = float(value)  # one that is not finite stands there as a text
                known = None if math.isnan(number) else number
                finite = known if math.isfinite(number) else None
                row = (subject, name, run, 0, 1, known, known, finite, finite, finite)
                connection.execute(sa.insert(metric).values(dict(zip(all_names, row, strict=True))))


def _key(kind: Kind, *names: str) -> Iterator[sa.Column[Any]]:
    return (sa.Column(name, kind, primary_key=True) for name in names)


def _always(kind: Kind, *names: str) -> Iterator[sa.Column[Any]]:
    return (sa.Column(name, kind, nullable=False) for name in names)


def _maybe(kind: Kind, *names: str) -> Iterator[sa.Column[Any]]:
    return (sa.Column(name, kind, nullable=True) for name in names)
