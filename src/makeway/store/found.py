"""Read what is shown of each thing that a search found, for one page of ids at a time.

One query for the rows, then one for each kind of what belongs to them: parameters, tags, metrics,
data sets, the last failure. Of a run it is that of all its steps; where several steps have a metric
or a parameter of one name, the last step of the workflow has the last word, and the run itself
after it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from makeway.lineage.query import Name
from makeway.store import schema
from makeway.store.bodies import BODIES, NO_NUMBER, NO_TEXT, WHICH, Body
from makeway.store.conditions import USED_AS
from makeway.store.database import Database
from makeway.wire.search import DatasetRef, FoundItem

TEXTS = ("id", "name", "run", "state", "user", "queue", "text", "made_by")
NUMBERS = ("submitted", "started", "ended", "size_bytes")
EXECUTIONS, ATTEMPTS, METRICS = schema.execution.c, schema.attempt.c, schema.metric.c
PARAMS, TAGS, USES = schema.param.c, schema.tag.c, schema.artifact_use.c
SINGULAR = {"models": "model", "datasets": "dataset", "artifacts": "artifact", "steps": "step"}


class _Subject(NamedTuple):
    """What a row's parameters and the like stand under: the row itself, or its steps."""

    id: str
    row: str
    position: int


def items(
    database: Database, kind: str, found: Sequence[tuple[int, str]], columns: Sequence[Name]
) -> tuple[FoundItem, ...]:
    """Read items; each is given as the place of its body, and its id there, in order."""
    read: dict[tuple[int, str], FoundItem] = {}
    for place, body in enumerate(BODIES[kind]):
        wanted = [row for at, row in found if at == place]
        if wanted:
            told = _Told(database, body, wanted, columns)
            name = SINGULAR.get(kind) or body.name
            read |= {(place, row): item for row, item in told.items(name)}
    return tuple(read[one] for one in found if one in read)


class _Told:
    """Gathers what belongs to the rows of one body."""

    def __init__(
        self, database: Database, body: Body, rows: Sequence[str], columns: Sequence[Name]
    ) -> None:
        self._database, self._body, self._columns = database, body, columns
        texts = (_value(body, name, NO_TEXT) for name in TEXTS)
        numbers = (_value(body, name, NO_NUMBER) for name in NUMBERS)
        asked = sa.select(body.id, body.key, *texts, *numbers).select_from(body.rows)
        self._rows = database.rows(asked.where(body.which, body.id.in_(rows)))
        self._subjects = list(self._steps())
        self._rows_of: dict[str, list[str]] = {}
        for subject in sorted(self._subjects, key=lambda one: one.position):
            self._rows_of.setdefault(subject.id, []).append(subject.row)

    def items(self, kind: str) -> Iterable[tuple[str, FoundItem]]:
        params, tags, metrics = self._params(), self._tags(), self._metrics()
        datasets, causes = self._datasets(), self._causes()
        for row in self._rows:
            one = row[0]
            _, name, run, state, user, queue, text, made_by = row[2:10]
            submitted, started, ended, size = row[10:]
            yield one, FoundItem(
                kind=kind, id=row[2], name=name or "", run=run, state=state or "", user=user,
                queue=queue, text=text or "", made_by=made_by, size_bytes=size,
                submitted_s=_s(submitted), started_s=_s(started), ended_s=_s(ended),
                cause=causes.get(one), metrics=metrics.get(one, {}), params=params.get(one, {}),
                tags=tags.get(one, {}), datasets=tuple(datasets.get(one, {}).values()),
            )  # fmt: skip

    def _steps(self) -> Iterable[_Subject]:
        yield from (_Subject(row[1], row[0], 1 << 30) for row in self._rows)
        if self._body.by_run:
            runs = [row[0] for row in self._rows]
            steps = sa.select(EXECUTIONS.id, EXECUTIONS.run, EXECUTIONS.position)
            for step in self._database.rows(steps.where(EXECUTIONS.run.in_(runs))):
                yield _Subject(*step)

    def _each(self, subject: Any, *columns: Any, which: Any = None, source: Any = None) -> Any:  # noqa: ANN401 - statements
        """Give what belongs to each row, the last word last."""
        ids = list(self._rows_of)
        place = {name: at for at, name in enumerate(ids)}
        asked = sa.select(subject, *columns).where(subject.in_(ids))
        if source is not None:
            asked = asked.select_from(source)
        if which is not None:
            asked = asked.where(which)
        for found in sorted(self._database.rows(asked), key=lambda row: place[row[0]]):
            for row in self._rows_of[found[0]]:
                yield row, found[1:]

    def _wanted(self, prefix: str, column: Any) -> Any:  # noqa: ANN401 - a condition
        if not self._columns:
            return None
        return column.in_([one.name for one in self._columns if one.prefix == prefix])

    def _params(self) -> dict[str, dict[str, object]]:
        found: dict[str, dict[str, object]] = {}
        columns = (PARAMS.key, PARAMS.value_type, PARAMS.value_text)
        which = self._wanted("params", PARAMS.key)
        for row, (key, sort, text) in self._each(PARAMS.execution, *columns, which=which):
            found.setdefault(row, {})[key] = _typed(sort, text)
        return found

    def _tags(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        which = self._wanted("tags", TAGS.key)
        for row, (key, value) in self._each(TAGS.subject, TAGS.key, TAGS.value, which=which):
            found.setdefault(row, {})[key] = value
        return found

    def _metrics(self) -> dict[str, dict[str, float | None]]:
        found: dict[str, dict[str, float | None]] = {}
        which = self._wanted("metrics", METRICS.name)
        names = (METRICS.name, METRICS.last)
        for row, (name, value) in self._each(METRICS.subject, *names, which=which):
            found.setdefault(row, {})[name] = value
        if self._body.name == "artifact":
            own = sa.select(METRICS.subject, *names)
            digests: dict[str, list[str]] = {row[2]: [] for row in self._rows}
            for row in self._rows:
                digests[row[2]].append(row[0])
            own = own.where(METRICS.subject.in_(list(digests)))
            for digest, name, value in self._database.rows(
                own if which is None else own.where(which)
            ):
                for row in digests[digest]:
                    found.setdefault(row, {})[name] = value
        return found

    def _datasets(self) -> dict[str, dict[str, DatasetRef]]:
        found: dict[str, dict[str, DatasetRef]] = {}
        artifact = schema.artifact
        which = sa.and_(USES.role == "input", WHICH["datasets"])
        source = sa.join(schema.artifact_use, artifact, artifact.c.digest == USES.digest)
        columns = (USED_AS, artifact.c.digest)
        if self._columns and all(one.prefix != "datasets" for one in self._columns):
            return found
        for row, (name, digest) in self._each(USES.execution, *columns, which=which, source=source):
            found.setdefault(row, {})[digest] = DatasetRef(name=name, digest=digest)
        return found

    def _causes(self) -> dict[str, str]:
        which = ATTEMPTS.cause.is_not(None) & (ATTEMPTS.cause != "NONE")
        told = self._each(ATTEMPTS.job, ATTEMPTS.number, ATTEMPTS.cause, which=which)
        return {row: cause for row, (_, cause) in sorted(told, key=lambda one: one[1][0])}


def _value(body: Body, name: str, nothing: Any) -> Any:  # noqa: ANN401 - an expression
    return body.attributes[name].value if name in body.attributes else nothing


def _s(at_ms: int | None) -> float | None:
    return None if at_ms is None else at_ms / 1000


def _typed(sort: str, text: str) -> object:
    try:
        match sort:
            case "bool":
                return text == "true"
            case "int":
                return int(text)
            case "float":
                return float(text)
            case "json":
                return json.loads(text)
    except ValueError:  # it was cut
        pass
    return text
