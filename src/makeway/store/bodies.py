"""Say what each kind of search looks at: its rows, its attributes, and what belongs to a row.

A body is one table's share of a kind. Runs are rows of `run`, jobs that were brought on their own,
and what only MLflow's client knows (`tracked_run`, whose `made_by` is the step it was made in); steps are rows of `execution`, and those jobs too; models, data sets and artifacts are rows of
`artifact`, with a condition each. What belongs to a row (parameters, metrics, failures) is found by
its `key`: of a run it is what has that run, else what has that step.

A data set is an artifact of that kind, or a value from which a step made a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import sqlalchemy as sa

from makeway.store import schema

Expression = sa.ColumnElement[Any]
Condition = sa.ColumnElement[bool]


class Sort(Enum):
    """What the values of an attribute are, and so what they can be compared with."""

    TEXT = "text"
    STATE = "state"
    NUMBER = "number"
    TIME = "time"


@dataclass(frozen=True)
class Attribute:
    """What is asked for by a name."""

    value: Expression
    sort: Sort = Sort.TEXT


@dataclass(frozen=True, eq=False)
class Body:
    """One table's share of a kind; `key` is what parameters and the like are found by."""

    name: str
    rows: sa.FromClause
    id: Expression
    key: Expression
    by_run: bool
    newest: Expression
    attributes: dict[str, Attribute]
    which: Condition = sa.true()  # noqa: RUF009 - a constant
    itself: tuple[str, ...] = ()  # prefixes that speak of the row, and not of what belongs to it


RUNS, EXECUTIONS, JOBS = schema.run.c, schema.execution.c, schema.job.c
ARTIFACTS, USES = schema.artifact.c, schema.artifact_use.c
NO_TEXT, NO_NUMBER = sa.cast(sa.null(), sa.Text), sa.cast(sa.null(), sa.BigInteger)
# As MLflow names them.
ALIASES = {
    "run_name": "name", "status": "state", "phase": "state", "user_id": "user",
    "start_time": "submitted", "end_time": "ended", "created": "submitted",
    "creation_time": "submitted", "key": "name", "step": "made_by", "producer": "made_by",
}  # fmt: skip


def _took(begin: Expression, end: Expression) -> Attribute:
    return Attribute((end - begin) / 1000.0, Sort.NUMBER)


def _time(value: Expression) -> Attribute:
    return Attribute(value, Sort.TIME)


# Every step, whichever table it is in: what `steps.` speaks of.
STEP = sa.union_all(
    sa.select(EXECUTIONS.id, EXECUTIONS.run, EXECUTIONS.key.label("name"), EXECUTIONS.phase),
    sa.select(JOBS.id, JOBS.id.label("run"), JOBS.name, JOBS.phase).where(JOBS.run.is_(None)),
).subquery("step")

RUN = Body(
    name="run",
    rows=schema.run,
    id=RUNS.id,
    key=RUNS.id,
    by_run=True,
    newest=RUNS.submitted_at_ms,
    attributes={
        "id": Attribute(RUNS.id),
        "run_id": Attribute(RUNS.id),
        "name": Attribute(RUNS.workflow),
        "workflow": Attribute(RUNS.workflow),
        "user": Attribute(RUNS.user),
        "queue": Attribute(RUNS.queue),
        "state": Attribute(RUNS.phase, Sort.STATE),
        "text": Attribute(RUNS.text),
        "resumed_from": Attribute(RUNS.resumed_from),
        "submitted": _time(RUNS.submitted_at_ms),
        "started": _time(RUNS.submitted_at_ms),
        "ended": _time(RUNS.ended_at_ms),
        "duration_s": _took(RUNS.submitted_at_ms, RUNS.ended_at_ms),
    },
)
OWN_JOB = Body(
    name="job",
    rows=schema.job,
    id=JOBS.id,
    key=JOBS.id,
    by_run=False,
    newest=JOBS.submitted_at_ms,
    which=JOBS.run.is_(None),
    attributes={
        "id": Attribute(JOBS.id),
        "run_id": Attribute(JOBS.id),
        "run": Attribute(NO_TEXT),
        "name": Attribute(JOBS.name),
        "workflow": Attribute(NO_TEXT),
        "user": Attribute(JOBS.user),
        "queue": Attribute(JOBS.queue),
        "state": Attribute(JOBS.phase, Sort.STATE),
        "text": Attribute(JOBS.text),
        "resumed_from": Attribute(NO_TEXT),
        "digest": Attribute(NO_TEXT),
        "attempts": Attribute(JOBS.attempts, Sort.NUMBER),
        "submitted": _time(JOBS.submitted_at_ms),
        "started": _time(JOBS.started_at_ms),
        "ended": _time(JOBS.ended_at_ms),
        "duration_s": _took(JOBS.started_at_ms, JOBS.ended_at_ms),
    },
)
STEP_JOB = schema.job.alias("step_job")
STEPS = Body(
    name="execution",
    rows=schema.execution.join(schema.run, RUNS.id == EXECUTIONS.run).outerjoin(
        STEP_JOB, STEP_JOB.c.id == EXECUTIONS.id
    ),
    id=EXECUTIONS.id,
    key=EXECUTIONS.id,
    by_run=False,
    newest=sa.func.coalesce(STEP_JOB.c.submitted_at_ms, RUNS.submitted_at_ms),
    attributes={
        "id": Attribute(EXECUTIONS.id),
        "run": Attribute(EXECUTIONS.run),
        "run_id": Attribute(EXECUTIONS.run),
        "name": Attribute(EXECUTIONS.key),
        "workflow": Attribute(RUNS.workflow),
        "user": Attribute(RUNS.user),
        "queue": Attribute(RUNS.queue),
        "state": Attribute(EXECUTIONS.phase, Sort.STATE),
        "text": Attribute(EXECUTIONS.text),
        "digest": Attribute(EXECUTIONS.digest),
        "attempts": Attribute(sa.func.coalesce(STEP_JOB.c.attempts, 0), Sort.NUMBER),
        "submitted": _time(sa.func.coalesce(STEP_JOB.c.submitted_at_ms, RUNS.submitted_at_ms)),
        "started": _time(EXECUTIONS.started_at_ms),
        "ended": _time(EXECUTIONS.ended_at_ms),
        "duration_s": _took(EXECUTIONS.started_at_ms, EXECUTIONS.ended_at_ms),
    },
)
TRACKED_RUNS = schema.tracked_run.c
TRACKED = Body(
    name="tracked",
    rows=schema.tracked_run,
    id=TRACKED_RUNS.id,
    key=TRACKED_RUNS.id,
    by_run=False,
    newest=TRACKED_RUNS.started_at_ms,
    which=TRACKED_RUNS.stage == "active",
    attributes={
        "id": Attribute(TRACKED_RUNS.id),
        "run_id": Attribute(TRACKED_RUNS.id),
        "name": Attribute(TRACKED_RUNS.name),
        "user": Attribute(TRACKED_RUNS.user),
        "state": Attribute(
            sa.case(
                (TRACKED_RUNS.status == "FINISHED", "succeeded"),
                (TRACKED_RUNS.status == "KILLED", "cancelled"),
                (TRACKED_RUNS.status == "SCHEDULED", "queued"),
                else_=sa.func.lower(TRACKED_RUNS.status),
            ),
            Sort.STATE,
        ),
        "made_by": Attribute(TRACKED_RUNS.job),
        "submitted": _time(TRACKED_RUNS.started_at_ms),
        "started": _time(TRACKED_RUNS.started_at_ms),
        "ended": _time(TRACKED_RUNS.ended_at_ms),
        "duration_s": _took(TRACKED_RUNS.started_at_ms, TRACKED_RUNS.ended_at_ms),
    },
)
MAKER = STEP.alias("maker").c
READ = schema.artifact_use.alias("read").c
MADE = schema.artifact_use.alias("made").c
MODELS = schema.artifact.alias("model").c
BECAME_A_MODEL = sa.and_(
    ARTIFACTS.kind == "value",
    ARTIFACTS.digest.in_(
        sa.select(READ.digest)
        .join_from(READ.digest.table, MADE.digest.table, MADE.execution == READ.execution)
        .join(MODELS.digest.table, (MODELS.digest == MADE.digest) & (MODELS.kind == "model"))
        .where(READ.role == "input", MADE.role == "output")
    ),
)
WHICH: dict[str, Condition] = {
    "models": ARTIFACTS.kind == "model",
    "datasets": sa.or_(ARTIFACTS.kind == "dataset", BECAME_A_MODEL),
    "artifacts": sa.true(),
}


def _of_maker(column: str) -> Expression:
    found = sa.select(MAKER[column]).where(MAKER.id == ARTIFACTS.producer)
    return found.correlate(schema.artifact).scalar_subquery()


# What has no name of its own is called after the step that gave it.
SHOWN_NAME = sa.func.coalesce(sa.func.nullif(ARTIFACTS.name, ""), _of_maker("name"), "")


def _artifacts(kind: str, which: Condition) -> Body:
    return Body(
        name="artifact",
        rows=schema.artifact,
        # One content may be there under several names, and each is found by itself.
        id=ARTIFACTS.digest + "/" + ARTIFACTS.kind + "/" + ARTIFACTS.name,
        key=sa.func.coalesce(ARTIFACTS.producer, ""),
        by_run=False,
        newest=ARTIFACTS.created_at_ms,
        which=which,
        itself=("artifacts", "datasets") if kind == "datasets" else ("artifacts",),
        attributes={
            "id": Attribute(ARTIFACTS.digest),
            "digest": Attribute(ARTIFACTS.digest),
            "name": Attribute(SHOWN_NAME),
            "kind": Attribute(ARTIFACTS.kind),
            "codec": Attribute(ARTIFACTS.codec),
            "size_bytes": Attribute(ARTIFACTS.size_bytes, Sort.NUMBER),
            "uri": Attribute(ARTIFACTS.uri),
            "durability": Attribute(sa.func.coalesce(ARTIFACTS.durability, "durable")),
            "state": Attribute(sa.func.coalesce(ARTIFACTS.state, "live"), Sort.STATE),
            "made_by": Attribute(ARTIFACTS.producer),
            "run": Attribute(_of_maker("run")),
            "run_id": Attribute(_of_maker("run")),
            "submitted": _time(ARTIFACTS.created_at_ms),
        },
    )


BODIES: dict[str, tuple[Body, ...]] = {
    "runs": (RUN, OWN_JOB, TRACKED),
    "steps": (STEPS, OWN_JOB),
    **{kind: (_artifacts(kind, which),) for kind, which in WHICH.items()},
}


def attribute(bodies: tuple[Body, ...], body: Body, name: str) -> Attribute | None:
    """Give the attribute of a body; of what only others of its kind have, it has none at all."""
    name = ALIASES.get(name, name)
    if name in body.attributes:
        return body.attributes[name]
    for other in bodies:
        if name in other.attributes:
            sort = other.attributes[name].sort
            words = sort in (Sort.TEXT, Sort.STATE)
            return Attribute(NO_TEXT if words else NO_NUMBER, sort)
    return None
