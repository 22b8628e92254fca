"""Keep the runs, experiments, models and files that MLflow's client makes beside our own jobs.

A job is what makeway runs; a tracked run is only told about: it was made by a program, inside a
worker or somewhere else, and nothing of it is scheduled. What is logged to either goes into the same
tables of series, parameters, tags and artifacts, under the id of the job or of the tracked run.

A file is known by its owner and its path; the content lies among the artifacts. A model is a folder
of files with a name; once it is whole, its list of files is an artifact of its own.

Raises:  NotFound · Conflict: the name of an experiment is taken
Cost:    one short transaction a change
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec
import sqlalchemy as sa

from makeway.errors import Conflict, NotFound
from makeway.store import schema
from makeway.store.database import Database, Row
from makeway.store.statement import Upsert, insert, same, update

ACTIVE, DELETED = "active", "deleted"


class TrackedExperiment(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment that somebody made."""

    id: str
    name: str
    stage: str
    created_at_ms: int
    changed_at_ms: int


class TrackedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was only told about; `job` is in whose worker it was made."""

    id: str
    experiment: str
    name: str
    status: str
    stage: str
    user: str
    job: str | None
    parent: str | None
    started_at_ms: int
    ended_at_ms: int | None


class TrackedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that was logged; `digest` is of the list of its files, once it is whole."""

    id: str
    experiment: str
    name: str
    kind: str
    status: str
    user: str
    run: str | None
    digest: str | None
    created_at_ms: int
    changed_at_ms: int


class TrackedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a run or a model."""

    owner: str
    path: str
    digest: str
    size_bytes: int
    at_ms: int


Known = TypeVar("Known", TrackedExperiment, TrackedRun, TrackedModel, TrackedFile)


def _all(table: sa.Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.c)


EXPERIMENT, RUN = schema.tracked_experiment, schema.tracked_run
MODEL, FILE = schema.tracked_model, schema.tracked_file

MAKE_EXPERIMENT = insert(EXPERIMENT, *_all(EXPERIMENT))
CHANGE_EXPERIMENT = update(EXPERIMENT, same(EXPERIMENT.c.id), "name", "stage", "changed_at_ms")
FIND_EXPERIMENT = sa.select(EXPERIMENT).where(same(EXPERIMENT.c.id))
NAMED_EXPERIMENT = sa.select(EXPERIMENT).where(same(EXPERIMENT.c.name))
EXPERIMENTS = sa.select(EXPERIMENT).order_by(EXPERIMENT.c.created_at_ms.desc(), EXPERIMENT.c.id)

MAKE_RUN = insert(RUN, *_all(RUN))
CHANGE_RUN = update(RUN, same(RUN.c.id), "name", "status", "stage", "ended_at_ms")
FIND_RUN = sa.select(RUN).where(same(RUN.c.id))
RUNS = sa.select(RUN).order_by(RUN.c.started_at_ms.desc(), RUN.c.id.desc())

MAKE_MODEL = insert(MODEL, *_all(MODEL))
CHANGE_MODEL = update(MODEL, same(MODEL.c.id), "name", "status", "digest", "changed_at_ms")
FORGET_MODEL = sa.delete(MODEL).where(same(MODEL.c.id))
FIND_MODEL = sa.select(MODEL).where(same(MODEL.c.id))
MODELS = sa.select(MODEL).order_by(MODEL.c.created_at_ms.desc(), MODEL.c.id.desc())

PUT_FILE = Upsert(FILE, _all(FILE), ("owner", "path"), replace=("digest", "size_bytes", "at_ms"))
FIND_FILE = sa.select(FILE).where(same(FILE.c.owner, FILE.c.path))
FILES = sa.select(FILE).where(same(FILE.c.owner)).order_by(FILE.c.path)
FORGET_FILE = sa.delete(FILE).where(same(FILE.c.owner, FILE.c.path))
HAS_TAG = sa.select(schema.tag.c.value).where(same(schema.tag.c.subject, schema.tag.c.key))
FORGET_TAG = sa.delete(schema.tag).where(same(schema.tag.c.subject, schema.tag.c.key))

JOBS, OUR_RUNS = schema.job.c, schema.run.c
WORKFLOWS = sa.select(OUR_RUNS.workflow, sa.func.min(OUR_RUNS.submitted_at_ms)).group_by(
    OUR_RUNS.workflow
)


# ── experiments ───────────────────────────────────────────────────────────────────────────────────


def make_experiment(database: Database, wanted: TrackedExperiment) -> None:
    """Make an experiment."""
    with database.transaction():
        if database.find(NAMED_EXPERIMENT, (wanted.name,)):
            raise Conflict(f"there is an experiment {wanted.name!r} already", where="name")
        database.write(MAKE_EXPERIMENT, [msgspec.structs.astuple(wanted)])


def change_experiment(database: Database, wanted: TrackedExperiment) -> None:
    """Let an experiment have this name and stage."""
    with database.transaction():
        others = database.find(NAMED_EXPERIMENT, (wanted.name,))
        if any(row[0] != wanted.id for row in others):
            raise Conflict(f"there is an experiment {wanted.name!r} already", where="name")
        row = (wanted.name, wanted.stage, wanted.changed_at_ms, wanted.id)
        database.write(CHANGE_EXPERIMENT, [row])


def find_experiment(database: Database, which: str) -> TrackedExperiment | None:
    """Give the experiment of this id."""
    rows = database.find(FIND_EXPERIMENT, (which,))
    return _read(TrackedExperiment, rows[0]) if rows else None


def find_experiment_named(database: Database, name: str) -> TrackedExperiment | None:
    """Give the experiment of this name."""
    rows = database.find(NAMED_EXPERIMENT, (name,))
    return _read(TrackedExperiment, rows[0]) if rows else None


def list_experiments(database: Database) -> list[TrackedExperiment]:
    """Give every experiment that somebody made, the newest first."""
    return [_read(TrackedExperiment, row) for row in database.rows(EXPERIMENTS)]


def list_workflows(database: Database) -> list[tuple[str, int]]:
    """Give every workflow that was run, and since when."""
    return [(str(row[0]), int(row[1])) for row in database.rows(WORKFLOWS)]


# ── runs ──────────────────────────────────────────────────────────────────────────────────────────


def make_run(database: Database, wanted: TrackedRun) -> None:
    """Make a tracked run."""
    with database.transaction():
        database.write(MAKE_RUN, [msgspec.structs.astuple(wanted)])


def change_run(database: Database, wanted: TrackedRun) -> None:
    """Let a tracked run be as it says."""
    row = (wanted.name, wanted.status, wanted.stage, wanted.ended_at_ms, wanted.id)
    with database.transaction():
        database.write(CHANGE_RUN, [row])


def find_run(database: Database, run: str) -> TrackedRun | None:
    """Give a tracked run."""
    rows = database.find(FIND_RUN, (run,))
    return _read(TrackedRun, rows[0]) if rows else None


def run_of(row: Row) -> TrackedRun:
    """Read a row of a query for tracked runs."""
    return _read(TrackedRun, row)


def forget_tag(database: Database, subject: str, key: str) -> None:
    """Take a tag away."""
    with database.transaction():
        if not database.find(HAS_TAG, (subject, key)):
            raise NotFound(f"there is no tag {key!r}", where=subject)
        database.write(FORGET_TAG, [(subject, key)])


# ── models ────────────────────────────────────────────────────────────────────────────────────────


def make_model(database: Database, wanted: TrackedModel) -> None:
    """Make a model, of which there is no file yet."""
    with database.transaction():
        database.write(MAKE_MODEL, [msgspec.structs.astuple(wanted)])


def change_model(database: Database, wanted: TrackedModel) -> None:
    """Let a model be as it says."""
    row = (wanted.name, wanted.status, wanted.digest, wanted.changed_at_ms, wanted.id)
    with database.transaction():
        database.write(CHANGE_MODEL, [row])


def forget_model(database: Database, model: str) -> None:
    """Take a model out of the list; what it is made of stays among the artifacts."""
    with database.transaction():
        database.write(FORGET_MODEL, [(model,)])


def get_model(database: Database, model: str) -> TrackedModel:
    """Give a model."""
    rows = database.find(FIND_MODEL, (model,))
    if not rows:
        raise NotFound(f"there is no model {model!r}")
    return _read(TrackedModel, rows[0])


def list_models(
    database: Database, *, runs: Sequence[str] = (), experiments: Sequence[str] = ()
) -> list[TrackedModel]:
    """Give the models of these runs, or of these experiments, the newest first."""
    which = MODEL.c.run.in_(runs) if runs else MODEL.c.experiment.in_(experiments)
    return [_read(TrackedModel, row) for row in database.rows(MODELS.where(which))]


# ── files ─────────────────────────────────────────────────────────────────────────────────────────


def put_file(database: Database, file: TrackedFile) -> None:
    """Let a path of a run or a model be this file, whatever it was before."""
    with database.transaction():
        database.write(PUT_FILE, [msgspec.structs.astuple(file)])


def find_file(database: Database, owner: str, path: str) -> TrackedFile | None:
    """Give the file at a path."""
    rows = database.find(FIND_FILE, (owner, path))
    return _read(TrackedFile, rows[0]) if rows else None


def list_files(database: Database, owner: str) -> list[TrackedFile]:
    """Give every file of a run or a model, by path."""
    return [_read(TrackedFile, row) for row in database.find(FILES, (owner,))]


def forget_files(database: Database, owner: str, paths: Sequence[str]) -> None:
    """Take files away; their content stays among the artifacts."""
    with database.transaction():
        database.write(FORGET_FILE, [(owner, path) for path in paths])


def _read(kind: type[Known], row: Row) -> Known:
    return kind(**dict(zip(kind.__struct_fields__, row, strict=True)))
