"""Find what lies in experiments: tracked runs, jobs of a workflow, jobs of none, jobs put there."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from makeway.store import schema
from makeway.store.database import Database
from makeway.store.tracked import RUNS, TrackedRun, run_of

JOB, RUN, TAG = schema.job.c, schema.run.c, schema.tag.c
FOUND = sa.select(
    JOB.id, JOB.name, JOB.user, JOB.phase, JOB.attempts, JOB.run, JOB.submitted_at_ms,
    JOB.started_at_ms, JOB.ended_at_ms,
)  # fmt: skip


class JobFound(msgspec.Struct, frozen=True):
    """What a list shows of a job without reading all of it."""

    id: str
    name: str
    user: str
    phase: str
    attempts: int
    run: str | None
    submitted_at_ms: int
    started_at_ms: int | None
    ended_at_ms: int | None


def tracked_runs_in(database: Database, experiments: Sequence[str]) -> list[TrackedRun]:
    """Give the tracked runs of experiments."""
    which = schema.tracked_run.c.experiment.in_(experiments)
    return [run_of(row) for row in database.rows(RUNS.where(which))]


def jobs_of_workflow(database: Database, workflow: str) -> list[JobFound]:
    """Give the jobs of every run of a workflow."""
    which = JOB.run.in_(sa.select(RUN.id).where(RUN.workflow == workflow))
    return [JobFound(*row) for row in database.rows(FOUND.where(which))]


def jobs_of_none(database: Database) -> list[JobFound]:
    """Give the jobs that belong to no run."""
    return [JobFound(*row) for row in database.rows(FOUND.where(JOB.run.is_(None)))]


def jobs_tagged(database: Database, key: str, values: Sequence[str]) -> list[JobFound]:
    """Give the jobs that have one of these values in a tag."""
    tagged = sa.select(TAG.subject).where(TAG.key == key, TAG.value.in_(values))
    return [JobFound(*row) for row in database.rows(FOUND.where(JOB.id.in_(tagged)))]
