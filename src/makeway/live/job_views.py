"""Put together what is told of a job: from the store's rows, and what it holds at this moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from makeway.answers.waits import written
from makeway.model.cluster import Placement
from makeway.model.job import JobSpec
from makeway.model.record import Cause, Symptom
from makeway.model.wait import Wait
from makeway.policy.say import class_named
from makeway.store.rows import AttemptRow, JobRow, WorkerRow
from makeway.wire.amounts import amounts
from makeway.wire.jobs import AttemptView, GroupView, JobView, SymptomView, WorkerView
from makeway.wire.placed import placed

ENDS = {Cause.NONE: "succeeded", Cause.PREEMPTED: "preempted", Cause.CANCELLED: "cancelled"}


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """What is believed of an open job now: what it holds, why it waits, its place, its trouble."""

    rows: Sequence[Placement] = ()
    wait: Wait | None = None
    position: int | None = None
    held: bool = False
    symptom: Symptom | None = None


NOTHING = Now()


def job_view(
    row: JobRow, classes: Mapping[str, int], now: Now = NOTHING, tries: Sequence[AttemptRow] = ()
) -> JobView:
    """Tell of one job; `tries` are its attempts where they are asked for."""
    spec = row.spec
    wait = now.wait or row.wait
    return JobView(
        id=row.id, name=spec.name, user=spec.user, queue=spec.queue,
        job_class=class_named(spec.priority, classes), priority=spec.priority,
        phase=row.phase.value, held=now.held, text=row.text,
        wait=None if wait is None else written(wait), symptom=_symptom(now.symptom),
        workers=sum(one.count for one in now.rows), placement=placed(now.rows, spec.groups),
        groups=groups_of(spec), attempt=row.attempts,
        preemptions=sum(one.stop_cause == "preempted" for one in tries),
        position=now.position, command=spec.program.argv, directory=spec.program.directory,
        run=spec.run, after=tuple(after.job for after in spec.after),
        time_limit_s=seconds(spec.time_limit_ms), submitted_s=row.submitted_at_ms / 1000,
        started_s=seconds(row.started_at_ms), ended_s=seconds(row.ended_at_ms),
        attempts=tuple(_attempt(one, spec) for one in tries),
    )  # fmt: skip


def groups_of(spec: JobSpec) -> tuple[GroupView, ...]:
    """Tell how many workers are asked for, and what each takes."""
    return tuple(
        GroupView(
            name=group.name,
            min=group.count_min,
            max=group.count_max,
            per_worker=amounts(group.per_worker),
        )
        for group in spec.groups
    )


def seconds(at_ms: int | None) -> float | None:
    """Write ms as seconds."""
    return None if at_ms is None else at_ms / 1000


def _symptom(seen: Symptom | None) -> SymptomView | None:
    if seen is None:
        return None
    return SymptomView(
        name=seen.name,
        text=seen.text,
        since_s=seen.since_ms / 1000,
        ranks=seen.ranks,
        evidence=tuple(one.text for one in seen.evidence),
    )


def _attempt(row: AttemptRow, spec: JobSpec) -> AttemptView:
    found, decision = row.diagnosis, row.decision
    end = None if found is None else ENDS.get(found.cause, found.cause.value)
    return AttemptView(
        number=row.number, phase=row.phase.value, started_s=row.started_at_ms / 1000,
        ended_s=seconds(row.ended_at_ms), end=end, text="" if found is None else found.text,
        hint="" if found is None else found.hint,
        decision="" if decision is None else decision.text,
        placement=placed(row.placements, spec.groups),
        workers=tuple(_worker(one) for one in row.workers),
    )  # fmt: skip


def _worker(row: WorkerRow) -> WorkerView:
    return WorkerView(
        rank=row.rank, node=row.node, pid=row.pid, exit_code=row.code, signal=row.signal,
        lost=row.lost, memory_peak=row.memory_peak_bytes, cpu_s=seconds(row.cpu_ms),
        started_s=seconds(row.started_at_ms), ended_s=seconds(row.ended_at_ms),
    )  # fmt: skip
