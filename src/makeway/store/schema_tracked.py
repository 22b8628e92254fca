"""Define the tables of what MLflow's client makes beside the steps: experiments, runs, models, files."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Table,
)

from makeway.store.schema_base import Text, metadata

tracked_experiment = Table(
    "tracked_experiment",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
    Index("tracked_experiment_by_name", "name", unique=True),
)

tracked_run = Table(
    "tracked_run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("experiment", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("job", Text),  # in whose worker it was made
    Column("parent", Text),
    Column("started_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    Index("tracked_run_by_experiment", "experiment", "started_at_ms"),
    Index("tracked_run_by_job", "job"),
)

tracked_model = Table(
    "tracked_model",
    metadata,
    Column("id", Text, primary_key=True),
    Column("experiment", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("run", Text),
    Column("digest", Text),  # of what it is made of, once it is whole
    Column("created_at_ms", BigInteger, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
    Index("tracked_model_by_run", "run"),
    Index("tracked_model_by_experiment", "experiment", "created_at_ms"),
)

tracked_file = Table(
    "tracked_file",
    metadata,
    Column("owner", Text, primary_key=True),  # a job, a tracked run, or a model
    Column("path", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)
