"""Write what the store knows of an attempt as a document of evidence, as anybody could write one.

So an attempt of one's own is judged by the same rules as any other, and can be sent to somebody
else. What only the machines know (their kernels' counters, the ends of the logs) is not in it.

Takes:   the id of a job; which attempt, else the last one
Gives:   plain values, the keys of an evidence document
Raises:  NotFound, where there is no such attempt
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from makeway.errors import NotFound
from makeway.model.job import JobSpec
from makeway.model.resources import CPU, MEMORY
from makeway.store.database import Database
from makeway.store.read import get_job, list_attempts
from makeway.store.rows import AttemptRow, WorkerRow
from makeway.store.series import Series, list_series, read_series

INTENTS = {"preempted": "preempt", "drained": "drain", "shrink": "shrink", "timeout": "timeout",
           "cancel": "cancel", "hang": "stop"}  # fmt: skip
MB = 10**6
# As the rules call it: the name of a series, and by what its values are divided.
NAMES = {"system/memory_usage_bytes": ("memory_mb", MB), "system/cpu_percent": ("cpu_percent", 1)}
POINTS_MAX = 1_000


def document_of(database: Database, job: str, number: int | None = None) -> dict[str, object]:
    """Write one attempt, with those before it as its history."""
    with database.reading():
        spec, attempts = get_job(database, job).spec, list_attempts(database, job)
        attempt = next((one for one in reversed(attempts) if number in (None, one.number)), None)
        if attempt is None:
            what = "no attempt yet" if number is None else f"no attempt {number}"
            raise NotFound(f"{job} has {what}")
        begun_ms = attempt.released_at_ms or attempt.started_at_ms
        samples = dict(_samples(database, attempt, begun_ms))
    workers = [_worker(one, begun_ms) for one in attempt.workers]
    found: dict[str, object] = {
        "step": job,
        "request": _request(spec),
        "workers": workers,
        "nodes": _nodes(attempt.workers),
        "samples": samples,
        "history": [_past(one) for one in attempts if one.number < attempt.number],
    }
    ends = [one.ended_at_ms for one in attempt.workers if one.ended_at_ms is not None]
    latest_ms = attempt.ended_at_ms or max(ends, default=None)
    if latest_ms is not None:
        found["now"] = _seconds(latest_ms, begun_ms)
    if attempt.ended_at_ms is not None and all("error" not in one for one in workers):
        codes = {one.code for one in attempt.workers}
        if codes == {0}:
            found["ended"] = {"at": _seconds(attempt.ended_at_ms, begun_ms), "exit_code": 0}
    intent = INTENTS.get(attempt.stop_cause or "")
    if intent is not None:
        found["intent"] = {"kind": intent}
    return found


def _request(spec: JobSpec) -> dict[str, object]:
    group = spec.groups[0]
    asked = dict(group.per_worker.amounts)
    found: dict[str, object] = {
        "workers": {"min": max(1, group.count_min), "max": max(1, group.count_max)},
        "retries": spec.retries,
        "idempotent": spec.idempotent,
        "cpus": asked.get(CPU, 0) / 1000,
    }
    if asked.get(MEMORY):
        found["memory"] = asked[MEMORY]
    return found


def _worker(row: WorkerRow, begun_ms: int) -> dict[str, object]:
    found: dict[str, object] = {"rank": row.rank, "node": row.node}
    if row.ended_at_ms is not None and row.lost is None:
        ended = {"exit_code": row.code, "signal": row.signal}
        found["ended"] = {"at": _seconds(row.ended_at_ms, begun_ms), **ended}
    error = row.error
    if error is not None:
        found["error"] = {
            "type": error.type,
            "message": error.message,
            "bases": list(error.bases),
            "errno": error.errno,
            "frames": msgspec.to_builtins(error.frames),
            "at": _seconds(error.at_ms, begun_ms) if error.at_ms else None,
        }
    return found


def _nodes(workers: Sequence[WorkerRow]) -> list[dict[str, object]]:
    lost = {one.node for one in workers if one.lost is not None and one.lost.startswith("node ")}
    names = dict.fromkeys(one.node for one in workers)
    return [{"name": name, "alive": False} if name in lost else {"name": name} for name in names]


def _past(attempt: AttemptRow) -> dict[str, object]:
    found: dict[str, object] = {"attempt": attempt.number}
    if attempt.diagnosis is not None:
        found["cause"] = attempt.diagnosis.cause.value
    if len({row.node for row in attempt.workers}) == 1:
        found["node"] = attempt.workers[0].node
    return found


def _samples(
    database: Database, attempt: AttemptRow, begun_ms: int
) -> Iterator[tuple[str, list[list[float]]]]:
    """Give the series of the first rank: what a step reports is reported by that one."""
    for series in list_series(database, attempt.job):
        if series.number == attempt.number and series.rank == 0:
            yield _series(database, series, begun_ms)


def _series(database: Database, series: Series, begun_ms: int) -> tuple[str, list[list[float]]]:
    name, divisor = NAMES.get(series.name, (series.name, 1))
    points = read_series(database, series.id, max_points=POINTS_MAX)
    return name, [[_seconds(one.at_ms, begun_ms), one.value / divisor] for one in points]


def _seconds(at_ms: int, begun_ms: int) -> float:
    return (at_ms - begun_ms) / 1000
