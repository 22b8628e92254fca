"""Find what earlier runs have left behind: outputs by their key, and what their keys are made of.

An output stands in for a step only if it is there and is what it was: its bytes are compared with
its digest, once for each file that is found, unless it is so large that only its size is.

Cost:    a key 60 µs and, the first time, the reading of its output: 0.5 s for 64 MiB and more 20 µs;
         `has` 10 µs
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import sqlalchemy as sa

from makeway.codec import decode
from makeway.errors import NotFound, Unavailable
from makeway.model.phase import ExecutionPhase
from makeway.model.record import Output
from makeway.model.workflow import Reusable, Workflow, step_key, turn_of
from makeway.store import schema
from makeway.store.blobs import Blobs
from makeway.store.database import Database, Row
from makeway.store.statement import same

COMPARED_BYTES_MAX = 64 << 20
FOUND_MAX = 20  # so many outputs of one key are looked at for one that is whole
ENTRIES_MAX = 200

RUNS, EXECUTIONS = schema.run.c, schema.execution.c
MADE = EXECUTIONS.phase == ExecutionPhase.SUCCEEDED.value
BY_KEY = (
    sa.select(EXECUTIONS.run, EXECUTIONS.output, EXECUTIONS.metrics, EXECUTIONS.ended_at_ms)
    .where(same(EXECUTIONS.cache_key), MADE)
    .order_by(EXECUTIONS.ended_at_ms.desc(), EXECUTIONS.id.desc())
    .limit(FOUND_MAX)
)
STEPS = sa.select(
    EXECUTIONS.id, EXECUTIONS.run, EXECUTIONS.key, EXECUTIONS.phase, EXECUTIONS.text,
    EXECUTIONS.cache_key, EXECUTIONS.key_parts, EXECUTIONS.output, EXECUTIONS.metrics,
    EXECUTIONS.ended_at_ms,
)  # fmt: skip
OF_RUN = STEPS.where(same(EXECUTIONS.run)).order_by(EXECUTIONS.position, EXECUTIONS.id)
THE_STEP = STEPS.where(same(EXECUTIONS.id))
ENTRIES = (
    STEPS.where(same(EXECUTIONS.key), MADE, EXECUTIONS.key_parts.is_not(None))
    .order_by(EXECUTIONS.ended_at_ms.desc(), EXECUTIONS.id.desc())
    .limit(ENTRIES_MAX)
)
COMPUTING = (
    sa.select(EXECUTIONS.id)
    .where(same(EXECUTIONS.key), EXECUTIONS.ended_at_ms.is_(None))
    .where(EXECUTIONS.cache_key.is_not(None))
    .order_by(EXECUTIONS.id)
)
DEFINITION = sa.select(RUNS.definition).where(same(RUNS.id))


class EarlierStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step of an earlier run: what became of it, and what its key was made of."""

    id: str
    run: str
    key: str
    phase: ExecutionPhase
    text: str
    cache_key: str
    key_parts: dict[str, str]
    output: Output | None
    metrics: dict[str, float]
    ended_at_ms: int | None

    @property
    def reusable(self) -> Reusable:
        """Give what a later run may take over."""
        return Reusable(
            cache_key=self.cache_key, output=self.output, metrics=self.metrics, run=self.run
        )


class EarlierOutputs:
    """What the runs of one store have left behind; see `workflows.cache.Kept`."""

    def __init__(self, database: Database, folder: Path) -> None:
        """Take the log's database, and the folder in which the artifacts lie."""
        self._database, self._blobs = database, Blobs(folder)
        self._compared: dict[str, tuple[int, int, int]] = {}

    def find(self, cache_key: str, since_ms: int | None) -> Reusable | None:
        """Give the newest whole output of this key; None also if the store cannot be asked."""
        try:
            rows = self._database.rows(BY_KEY, {"cache_key": cache_key})
        except Unavailable:
            return None
        for run, text, metrics, ended_at_ms in rows:
            if since_ms is not None and (ended_at_ms or 0) < since_ms:
                return None
            output = None if text is None else decode(text, Output, f"output of run {run}")
            if output is None or self.there(output):
                measured = {} if metrics is None else decode(metrics, dict[str, float], "metrics")
                return Reusable(cache_key=cache_key, output=output, metrics=measured, run=run)
        return None

    def there(self, output: Output) -> bool:
        """Say whether an output is there, and is what it was."""
        try:
            found = self._blobs.path(output.digest).stat()
            if found.st_size != output.size_bytes:
                return False
            seen = (found.st_ino, found.st_size, found.st_mtime_ns)
            if found.st_size <= COMPARED_BYTES_MAX and self._compared.get(output.digest) != seen:
                self._blobs.verify(output.digest)
                self._compared[output.digest] = seen
        except (OSError, NotFound, Unavailable):
            return False
        return True

    def has(self, output: Output) -> bool:
        """Say whether an output is there in its full length; nothing of it is read."""
        try:
            return self._blobs.path(output.digest).stat().st_size == output.size_bytes
        except OSError:
            return False

    def truth(self, output: Output) -> bool | None:
        """Say whether an output is true as Python sees it; None if it is no plain value."""
        if output.codec != "json" or output.size_bytes > COMPARED_BYTES_MAX:
            return None
        try:
            return bool(msgspec.json.decode(self._blobs.read_verified(output.digest)))
        except (NotFound, Unavailable, msgspec.DecodeError):
            return None


def steps_of(database: Database, run: str) -> dict[str, EarlierStep]:
    """Give the steps of a run by their keys, in the order of the workflow; the latest of each."""
    steps = [_step(row) for row in database.rows(OF_RUN, {"run": run})]
    return {step_key(step.key): step for step in sorted(steps, key=lambda one: turn_of(one.key))}


def step_of(database: Database, execution: str) -> EarlierStep:
    """Give one step of a run."""
    rows = database.rows(THE_STEP, {"id": execution})
    if not rows:
        raise NotFound(f"there is no step {execution!r}")
    return _step(rows[0])


def entries_of(database: Database, key: str) -> list[EarlierStep]:
    """Give the steps of this name that were computed, the newest first."""
    return [_step(row) for row in database.rows(ENTRIES, {"key": key})]


def others_computing(database: Database, step: EarlierStep) -> list[str]:
    """Name the steps of this name, in other runs, that are being computed."""
    found = [row[0] for row in database.rows(COMPUTING, {"key": step.key})]
    return [execution for execution in found if execution != step.id]


def definition_of(database: Database, run: str) -> Workflow:
    """Give the workflow of a run."""
    [(text,)] = database.rows(DEFINITION, {"id": run})
    return decode(text, Workflow, f"definition of run {run}")


def code_of(workflow: Workflow, parts: Mapping[str, str]) -> Mapping[str, str]:
    """Say what the code is made of that the parts of a key name."""
    return workflow.code.get(parts.get("code", ""), {})


def _step(row: Row) -> EarlierStep:
    execution, run, key, phase, text, cache_key, parts, output, metrics, ended_at_ms = row
    where = f"step {execution}"
    return EarlierStep(
        id=execution, run=run, key=key, phase=ExecutionPhase(phase), text=text,
        cache_key=cache_key or "",
        key_parts={} if parts is None else decode(parts, dict[str, str], where),
        output=None if output is None else decode(output, Output, where),
        metrics={} if metrics is None else decode(metrics, dict[str, float], where),
        ended_at_ms=ended_at_ms,
    )  # fmt: skip
