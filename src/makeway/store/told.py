"""Read what was told of jobs and tracked runs: parameters, tags, last values, inputs.

All of it for many at once, since lists ask for hundreds: one query a table.

Cost:    a few ms for a hundred runs
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import itemgetter

import msgspec
import sqlalchemy as sa

from makeway.store import schema
from makeway.store.database import Database
from makeway.store.series import NO_STEP, WHOLE_MAX, read_columns
from makeway.store.statement import same
from makeway.store.thin import POINTS_MIN

IDS_MAX = 500  # what one query names at once
EARLIEST, LATEST = 1 - WHOLE_MAX, WHOLE_MAX - 1

PARAM, TAG, USE, ARTIFACT = schema.param.c, schema.tag.c, schema.artifact_use.c, schema.artifact.c
SERIES, STAT = schema.series.c, schema.series_stat.c
IDS: sa.BindParameter[str] = sa.bindparam("ids", expanding=True)

PARAMS = sa.select(PARAM.execution, PARAM.key, PARAM.value_text).where(PARAM.execution.in_(IDS))
TAGS = sa.select(TAG.subject, TAG.key, TAG.value).where(TAG.subject.in_(IDS))
LAST = (
    sa.select(
        *(SERIES.job, SERIES.name, STAT.last, STAT.last_step, STAT.last_at_ms),
        *(STAT.first, STAT.min, STAT.max),
    )
    .join_from(schema.series, schema.series_stat)
    .where(SERIES.job.in_(IDS))
    .order_by(SERIES.number, SERIES.rank.desc())
)
INPUTS = (
    sa.select(USE.execution, USE.key, USE.digest, ARTIFACT.codec)
    .join_from(schema.artifact_use, schema.artifact, USE.digest == ARTIFACT.digest)
    .where(USE.execution.in_(IDS), USE.role == "input", ARTIFACT.kind == "dataset")
    .where(USE.key == ARTIFACT.name)
    .order_by(USE.execution, USE.key, USE.digest)
)
NAMED = (
    sa.select(SERIES.id, STAT.n)
    .join_from(schema.series, schema.series_stat)
    .where(same(SERIES.job, SERIES.name))
    .order_by(SERIES.number, SERIES.rank)
)


class Last(msgspec.Struct, frozen=True):
    """The last value of a series, and the first, least and largest; None is a NaN."""

    name: str
    value: float | None
    step: int
    at_ms: int
    first: float | None = None
    min: float | None = None
    max: float | None = None


class Input(msgspec.Struct, frozen=True):
    """A data set that was read, and the artifact that describes it."""

    name: str
    digest: str
    codec: str


class Told(msgspec.Struct, kw_only=True):
    """All that was told of one job or tracked run."""

    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: dict[str, Last] = {}
    inputs: list[Input] = []


def read_told(database: Database, ids: Sequence[str]) -> dict[str, Told]:
    """Give what was told of each of these."""
    found = {one: Told() for one in ids}
    with database.reading():
        for start in range(0, len(ids), IDS_MAX):
            some = {"ids": ids[start : start + IDS_MAX]}
            for owner, key, value in database.rows(PARAMS, some):
                found[owner].params[key] = value
            for owner, key, value in database.rows(TAGS, some):
                found[owner].tags[key] = value
            for owner, name, value, step, *more in database.rows(LAST, some):
                found[owner].metrics[name] = Last(name, value, step or 0, *more)
            for owner, name, digest, codec in database.rows(INPUTS, some):
                found[owner].inputs.append(Input(name, digest, codec))
    return found


def read_history(database: Database, job: str, name: str) -> list[Last]:
    """Give every sample of a name, of all attempts and workers, in order of time."""
    found: list[tuple[int, int, float]] = []
    with database.reading():
        for series, count in database.rows(NAMED, {"job": job, "name": name}):
            whole = read_columns(database, series, EARLIEST, LATEST, max(POINTS_MIN, count))
            found += zip(whole.at_ms, whole.step, whole.value, strict=True)
    found.sort(key=itemgetter(0, 1))
    return [
        Last(name, None if math.isnan(value) else value, 0 if step == NO_STEP else step, at_ms)
        for at_ms, step, value in found
    ]
