"""Read all that other systems are told of an attempt or a run, as it stands in the store.

A message is made when it goes out, and not when the event happens: so one that waits for a receiver
that is away costs nothing, and says what is known by then.

Gives:   Ran for an attempt, with the step and run that it belongs to if there are any
Raises:  NotFound for what is not in the store
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from makeway.model.phase import JobPhase
from makeway.model.record import Cause, CauseClass, Diagnosis
from makeway.store import schema
from makeway.store.bodies import SHOWN_NAME
from makeway.store.database import Database
from makeway.store.read import get_execution, get_job, get_run, list_attempts
from makeway.store.rows import AttemptRow, ExecutionRow, JobRow, RunDetail, WorkerRow

USES, ARTIFACTS, PARAMS = schema.artifact_use.c, schema.artifact.c, schema.param.c
LEFT_OPEN = (CauseClass.PREEMPTED, CauseClass.CANCELLED)  # it was ended, and did not fail


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact that was read or made."""

    name: str
    digest: str
    kind: str
    size_bytes: int


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt, and what it was for. `run` and `step` are there for a step of a workflow."""

    job: JobRow
    attempt: AttemptRow
    run: RunDetail | None = None
    step: ExecutionRow | None = None
    reads: tuple[Data, ...] = ()
    makes: tuple[Data, ...] = ()
    params: dict[str, str] = {}
    metrics: dict[str, float] = {}

    @property
    def name(self) -> str:
        """Name what was run: the same for every run of it."""
        if self.run is None or self.step is None:
            return self.job.spec.name
        return f"{self.run.row.workflow}.{self.step.key}"

    @property
    def outcome(self) -> str:
        """Say how it ended: succeeded, failed, or aborted (it was ended, and did not fail)."""
        return outcome_of(self.attempt.diagnosis)

    @property
    def first_failed(self) -> WorkerRow | None:
        """Give the worker that the diagnosis names."""
        rank = self.attempt.diagnosis.rank if self.attempt.diagnosis else None
        return next((one for one in self.attempt.workers if one.rank == rank), None)


def outcome_of(diagnosis: Diagnosis | None) -> str:
    """Say how an attempt ended, in one word."""
    if diagnosis is None or diagnosis.cause is Cause.NONE:
        return "succeeded"
    return "aborted" if diagnosis.cause_class in LEFT_OPEN else "failed"


def job_outcome(phase: JobPhase) -> str:
    """Say how a job ended, in one word."""
    words = {JobPhase.SUCCEEDED: "succeeded", JobPhase.CANCELLED: "aborted"}
    return words.get(phase, "failed")


def ran(database: Database, job: str, number: int) -> Ran | None:
    """Give an attempt with all that belongs to it; None: it never got as far as the store."""
    with database.reading():
        row = get_job(database, job)
        tries = list_attempts(database, job)
        attempt = next((one for one in tries if one.number == number), None)
        if attempt is None:
            return None
        if row.spec.run is None:
            return Ran(job=row, attempt=attempt, params=_params(database, job))
        step = get_execution(database, job)
        return Ran(
            job=row, attempt=attempt, step=step, run=get_run(database, row.spec.run),
            reads=tuple(_data(database, job, "input")),
            makes=tuple(_data(database, job, "output")),
            params=_params(database, job), metrics=step.metrics,
        )  # fmt: skip


def _data(database: Database, execution: str, role: str) -> Sequence[Data]:
    """Give each artifact once, by the kind that says most of it."""
    columns = (USES.digest, SHOWN_NAME, ARTIFACTS.kind, ARTIFACTS.size_bytes)
    asked = (
        sa.select(*columns)
        .join_from(schema.artifact_use, schema.artifact, ARTIFACTS.digest == USES.digest)
        .where(USES.execution == execution, USES.role == role)
        .order_by(USES.digest, ARTIFACTS.kind != "value", ARTIFACTS.name)
    )
    found = {
        row[0]: Data(digest=row[0], name=row[1], kind=row[2], size_bytes=row[3])
        for row in database.rows(asked)
    }
    return list(found.values())


def _params(database: Database, execution: str) -> dict[str, str]:
    asked = sa.select(PARAMS.key, PARAMS.value_text).where(PARAMS.execution == execution)
    return {row[0]: row[1] for row in database.rows(asked.order_by(PARAMS.key))}
