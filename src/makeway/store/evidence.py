"""Write what the store knows of an attempt as a document of evidence, as anybody could write one.

So an attempt of one's own is judged by the same rules as any other, and can be sent to somebody
else. What the controller saw right before it believed the end stands in the log; of an attempt that
nobody looked at, the series are read as it would have done.

Takes:   the id of a job; which attempt, else the last one
Gives:   plain values, the keys of an evidence document
Raises:  NotFound, where there is no such attempt
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from makeway.codec import decode_event
from makeway.errors import NotFound
from makeway.intake.written import rule_plain
from makeway.model import event as ev
from makeway.model.incident import Past, Seen, Track
from makeway.model.job import JobSpec
from makeway.model.record import Exit
from makeway.model.resources import CPU, MEMORY
from makeway.store.database import Database
from makeway.store.log import ENTRIES, EVENTS
from makeway.store.read import get_job, list_attempts
from makeway.store.rows import AttemptRow, WorkerRow
from makeway.store.seen import Wanted, seen_of
from makeway.store.statement import same

INTENTS = {"preempted": "preempt", "drained": "drain", "restarted": "drain", "shrink": "shrink",
           "timeout": "timeout", "cancel": "cancel", "hang": "stop", "yielded": "preempt",
           "hopeless": "stop"}  # fmt: skip
TOLD = ("AttemptSeen", "AttemptEnded", "WorkerExited", "JobRequeued")
OF_JOB = ENTRIES.where(same(EVENTS.job), EVENTS.type.in_(TOLD))


class _Logged(msgspec.Struct):
    """What the log says of the attempts of a job; by number, and by fence."""

    seen: dict[int, Seen] = msgspec.field(default_factory=dict)
    past: dict[int, Past] = msgspec.field(default_factory=dict)
    exits: dict[int, list[Exit]] = msgspec.field(default_factory=dict)
    ledgers: list[tuple[int, str, tuple[int, int | None]]] = msgspec.field(default_factory=list)


def document_of(database: Database, job: str, number: int | None = None) -> dict[str, object]:
    """Write one attempt, with those before it as its history."""
    with database.reading():
        spec, attempts = get_job(database, job).spec, list_attempts(database, job)
        attempt = next((one for one in reversed(attempts) if number in (None, one.number)), None)
        if attempt is None:
            what = "no attempt yet" if number is None else f"no attempt {number}"
            raise NotFound(f"{job} has {what}")
        begun_ms = attempt.released_at_ms or attempt.started_at_ms
        logged = _logged(database, job)
        seen = logged.seen.get(attempt.number)
        if seen is None:
            wanted = Wanted(job=job, number=attempt.number, begun_ms=begun_ms)
            seen = seen_of(database, wanted)
    exits = logged.exits.get(attempt.fence, [])
    found: dict[str, object] = {
        "step": job,
        "request": _request(spec, logged.past.get(attempt.number)),
        "workers": [_worker(one, begun_ms) for one in attempt.workers],
        "nodes": _nodes(attempt.workers),
        "samples": _samples(seen),
        "history": [
            _past(one, logged.past.get(one.number))
            for one in attempts
            if one.number < attempt.number
        ],
        **dict(_seen(seen)),
        **dict(_ended(attempt, exits, begun_ms)),
    }
    ledgers = {name: list(after) for at, name, after in logged.ledgers if at < attempt.number}
    if ledgers:
        found["ledgers"] = ledgers
    if spec.on_failure:
        found["on_failure"] = [rule_plain(rule) for rule in spec.on_failure]
    if spec.goal is not None:
        found["goal"] = {
            key: value for key, value in msgspec.to_builtins(spec.goal).items() if value is not None
        }
    return found


def _logged(database: Database, job: str) -> _Logged:
    found, number = _Logged(), 0
    for row in database.rows(OF_JOB, {"job": job}):
        event = decode_event(row[7], row[4], f"event {row[0]}")
        match event:
            case ev.AttemptSeen(number=at, seen=seen):
                found.seen[at] = seen
            case ev.WorkerExited(fence=fence, exit=end):
                found.exits.setdefault(fence, []).append(end)
            case ev.AttemptEnded(number=number, past=past):
                if past is not None:
                    found.past[number] = past
            case ev.JobRequeued(decision=decision):
                if decision.ledger is not None and decision.ledger_after is not None:
                    found.ledgers.append((number, decision.ledger, decision.ledger_after))
            case _:
                pass
    return found


# ── the attempt ───────────────────────────────────────────────────────────────────────────────────


def _request(spec: JobSpec, past: Past | None) -> dict[str, object]:
    group = spec.groups[0]
    asked = dict(group.per_worker.amounts)
    found: dict[str, object] = {
        "workers": {"min": max(1, group.count_min), "max": max(1, group.count_max)},
        "retries": spec.retries or None,
        "idempotent": spec.idempotent,
        "cpus": asked.get(CPU, 0) / 1000,
        "max_memory": spec.max_memory_bytes,
        "min_rate": spec.min_rate,
        "on_hopeless": spec.on_hopeless.value,
    }
    # What it had then; more may be asked for by now.
    memory = past.memory_bytes if past is not None else asked.get(MEMORY)
    if memory:
        found["memory"] = memory
    return {key: value for key, value in found.items() if value is not None}


def _ended(
    attempt: AttemptRow, exits: Sequence[Exit], begun_ms: int
) -> Iterator[tuple[str, object]]:
    ends = [one.ended_at_ms for one in attempt.workers if one.ended_at_ms is not None]
    latest_ms = attempt.ended_at_ms or max(ends, default=None)
    if latest_ms is not None:
        yield "now", _seconds(latest_ms, begun_ms)
    if attempt.ended_at_ms is not None and {one.code for one in attempt.workers} == {0}:
        yield "ended", {"at": _seconds(attempt.ended_at_ms, begun_ms), "exit_code": 0}
    intent = INTENTS.get(attempt.stop_cause or "")
    if intent is None and any(end.over_memory for end in exits):
        intent = "memory_guard"
    if intent is not None:
        yield "intent", {"kind": intent}
    kills = sum(end.oom_kills for end in exits)
    peak = max((end.memory_peak_bytes for end in exits), default=0)
    elsewhere = max((0 if end.over_memory else end.host_oom_kills for end in exits), default=0)
    if kills or peak or elsewhere:
        counted: dict[str, object] = {"oom_kill": kills, "cgroup": True} if kills else {}
        if elsewhere:
            counted["host_oom_kill"] = elsewhere
        yield "kernel", {**counted, "memory_peak": peak} if peak else counted


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
            "errno": error.errno if error.errno is None or error.errno >= 0 else None,
            "frames": msgspec.to_builtins(error.frames),
            "at": _seconds(error.at_ms, begun_ms) if error.at_ms else None,
        }
    return found


def _nodes(workers: Sequence[WorkerRow]) -> list[dict[str, object]]:
    lost = {one.node for one in workers if one.lost is not None and one.lost.startswith("node ")}
    names = dict.fromkeys(one.node for one in workers)
    return [{"name": name, "alive": False} if name in lost else {"name": name} for name in names]


def _past(attempt: AttemptRow, past: Past | None) -> dict[str, object]:
    found: dict[str, object] = {"attempt": attempt.number}
    if attempt.diagnosis is not None:
        found["cause"] = attempt.diagnosis.cause.value
        found["fingerprint"] = attempt.diagnosis.fingerprint
    if len({row.node for row in attempt.workers}) == 1:
        found["node"] = attempt.workers[0].node
    if past is not None:
        more = {"progress": past.progress, "checkpoint": past.checkpoint, "node": past.node,
                "memory": past.memory_bytes}  # fmt: skip
        found |= {key: value for key, value in more.items() if value is not None}
    return found


# ── what was seen ─────────────────────────────────────────────────────────────────────────────────


def _samples(seen: Seen) -> dict[str, object]:
    found: dict[str, object] = {name: _points(track) for name, track in seen.samples.items()}
    if seen.available:
        found["data_available"] = {
            name: [[at_s, bool(value)] for at_s, value in track]
            for name, track in seen.available.items()
        }
    return found


def _points(track: Track) -> list[list[object]]:
    return [[at_s, "nan" if value is None else value] for at_s, value in track]


def _seen(seen: Seen) -> Iterator[tuple[str, object]]:
    if seen.worker_samples:
        yield (
            "worker_samples",
            {
                str(rank): {name: _points(track) for name, track in known.items()}
                for rank, known in seen.worker_samples.items()
            },
        )
    if seen.log:
        yield "log", list(seen.log)
    if seen.inputs:
        yield "inputs", [_known(msgspec.to_builtins(one)) for one in seen.inputs]
    disk, saved, past = seen.disk, seen.checkpoint, seen.past_runs
    parts: dict[str, Mapping[str, object]] = {
        "disk": {"bytes_free": disk.bytes_free, "inodes_free": disk.inodes_free,
                 "shm_free": disk.shm_free_bytes},
        "checkpoint": {"progress": saved.progress, "at": saved.at_s},
        "past_runs": {"p90": past.p90_s, "memory_p95": past.memory_p95_bytes},
    }  # fmt: skip
    for key, part in parts.items():
        if known := _known(part):
            yield key, known


def _known(part: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in part.items() if value is not None}


def _seconds(at_ms: int, begun_ms: int) -> float:
    return (at_ms - begun_ms) / 1000
