"""Build worlds for tests: small makers of values, and what a world is after a plan.

A maker names only what matters to the test and takes amounts as people say them (`cpus=0.5`,
`memory="600MiB"`). Whole worlds are better written as text: see tests/tables.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from makeway.model.cluster import (
    ROOT,
    Allocation,
    Node,
    Placement,
    Queue,
    usage_of,
    with_parents,
)
from makeway.model.job import Job, JobSpec, WorkerGroup
from makeway.model.resources import CPU, GPU, MEMORY, Resources
from makeway.policy.held import Held
from makeway.policy.plan import (
    Plan,
    Preempt,
    Promise,
    Reject,
    Release,
    Reserve,
    Resize,
    Start,
)
from makeway.policy.rooms import Rooms
from makeway.policy.snapshot import Kind, Running, Snapshot, kind_key, kind_of

NOW_MS = 1_000_000
SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


# ── makers ────────────────────────────────────────────────────────────────────────────────────────


def amounts(cpus: float = 0, memory: str | int = 0, gpus: float = 0, **others: int) -> Resources:
    """Make a vector: `amounts(cpus=0.5, memory="600MiB", license=2)`."""
    size = memory if isinstance(memory, int) else bytes_of(memory)
    return Resources.of({CPU: round(cpus * 1000), MEMORY: size, GPU: round(gpus * 1000), **others})


def bytes_of(text: str) -> int:
    """Read a size: `600MiB`."""
    found = re.fullmatch(r"([\d.]+)([KMGT]iB|B)", text)
    assert found, f"no size: {text}"
    return round(float(found[1]) * SIZES[found[2]])


def node(name: str, **amount: Any) -> Node:
    """Make a machine: `node("n1", cpus=8, memory="8GiB")`; without amounts it has 4 cpus."""
    return Node(name=name, capacity=amounts(**(amount or {"cpus": 4})))


def group(name: str = "worker", count: int = 1, most: int = 0, **amount: Any) -> WorkerGroup:
    """Make a group of `count` workers, elastic up to `most` if that is more."""
    most = max(count, most)
    return WorkerGroup(name=name, count_min=count, count_max=most, per_worker=amounts(**amount))


def job(
    name: str,
    queue: str = "main",
    *,
    workers: int = 1,
    groups: Sequence[WorkerGroup] = (),
    **known: Any,
) -> Job:
    """Make a queued job of one group, or of `groups`: `job("a", workers=2, cpus=1, priority=100)`.

    Keywords that are no fields of `Job` or `JobSpec` are amounts; without any, 1 cpu a worker.
    """
    fields: dict[str, Any] = {"id": name, "order": 0, "submitted_at_ms": NOW_MS}
    fields |= {key: known.pop(key) for key in [*known] if key in Job.__struct_fields__}
    spec = {key: known.pop(key) for key in [*known] if key in JobSpec.__struct_fields__}
    asked = tuple(groups) or (group(count=workers, **(known or {"cpus": 1})),)
    spec = {"name": name, "user": "ada", "queue": queue, "groups": asked} | spec
    return Job(**fields, spec=JobSpec(**spec))


def running(of: Job, *rows: str, started_at_ms: int = NOW_MS) -> Running:
    """Let a job run: `running(job, "n1", "n2*3")`, with `n2*3:ps` for a group that has a name."""
    placements = []
    for row in rows:
        where, _, name = row.partition(":")
        on, _, count = where.partition("*")
        placements.append(Placement(on, name or of.spec.groups[0].name, int(count or 1)))
    return _running(of, Allocation(tuple(placements)), started_at_ms)


def snapshot_of(
    nodes: Iterable[Node],
    queued: Iterable[Job] = (),
    running: Iterable[Running] = (),
    queues: Iterable[Queue] = (),
    **known: Any,
) -> Snapshot:
    """Put a world together: what is free and held is counted, queues that are missing are made.

    Jobs without an order get the place in which they are given, those that run first. `known` are
    further fields of the snapshot.
    """
    rows, waiting = [*running], [*queued]
    rows = [replace(row, job=_numbered(row.job, place)) for place, row in enumerate(rows, 1)]
    waiting = [_numbered(one, place) for place, one in enumerate(waiting, 1 + len(rows))]
    declared = {queue.path: queue for queue in (Queue(path=ROOT), *queues)}
    for path in [*declared, *(one.spec.queue for one in (*(row.job for row in rows), *waiting))]:
        declared |= with_parents(declared, path)
    by_name = {one.name: one for one in nodes}
    free, held = (
        {name: one.capacity for name, one in by_name.items()},
        dict[tuple[str, int], Held](),
    )
    running_in: dict[str, dict[str, Running]] = {}
    for row in rows:
        _book(row, free, held)
        running_in.setdefault(row.job.spec.queue, {})[row.job.id] = row
    lanes, paused = _lanes(waiting)
    return Snapshot(
        basis=known.pop("basis", 7),
        now_ms=known.pop("now_ms", NOW_MS),
        nodes=by_name,
        free=free,
        queues=declared,
        held=held,
        running={row.job.id: row for row in rows},
        running_in=running_in,
        elastic=[row.job.id for row in rows if row.job.spec.elastic],
        lanes=lanes,
        paused=paused,
        rooms=Rooms(free),
        **known,
    )


def _lanes(waiting: Iterable[Job]) -> tuple[dict[Kind, list[Job]], list[Job]]:
    kinds: dict[object, Kind] = {}
    lanes: dict[Kind, list[Job]] = {}
    paused = []
    for one in sorted(waiting, key=lambda job: (job.order, job.id)):
        if one.not_before_ms > NOW_MS:
            paused.append(one)
        else:
            kind = kinds.setdefault(kind_key(one), kind_of(one))
            lanes.setdefault(kind, []).append(one)
    return lanes, paused


def carried_out(snapshot: Snapshot, plan: Plan) -> Snapshot:
    """Show the world after a plan: what starts runs, victims are gone and wait, refused are gone."""
    waiting = {one.id: one for one in snapshot.waiting()}
    rows, reserved = dict(snapshot.running), dict(snapshot.reserved)
    planned = dict(snapshot.planned)
    for seq, decision in enumerate(plan.decisions, 1 + snapshot.basis):
        match decision:
            case Start():
                one = waiting.pop(decision.job)
                reserved.pop(one.id, None)
                line_seq = planned.pop(one.id, None)
                row = _running(one, decision.allocation, snapshot.now_ms)
                rows[one.id] = replace(row, started_seq=seq, line_seq=line_seq)
            case Reject():
                del waiting[decision.job]
            case Resize():
                row = rows[decision.job]
                resized = _running(row.job, decision.allocation, row.started_at_ms)
                rows[decision.job] = replace(
                    resized,
                    started_seq=row.started_seq,
                    line_seq=row.line_seq,
                    resized_seq=seq,
                )
            case Preempt():
                waiting[decision.job] = rows.pop(decision.job).job
            case Reserve():
                reserved[decision.job] = decision.allocation
                planned.setdefault(decision.job, seq)
            case Release():
                del reserved[decision.job]
            case Promise():
                planned[decision.job] = seq
    return snapshot_of(
        snapshot.nodes.values(), waiting.values(), rows.values(), snapshot.queues.values(),
        rules=snapshot.rules, reserved=reserved, planned=planned, lost=snapshot.lost,
        past=snapshot.past, basis=snapshot.basis + len(plan.decisions),
    )  # fmt: skip


def _running(one: Job, allocation: Allocation, started_at_ms: int) -> Running:
    usage = usage_of(allocation, one.spec.shape())
    return Running(job=one, allocation=allocation, usage=usage, started_at_ms=started_at_ms)


def _numbered(one: Job, place: int) -> Job:
    return one if one.order else replace(one, order=place)


def _book(row: Running, free: dict[str, Resources], held: dict[tuple[str, int], Held]) -> None:
    shape, key = row.job.spec.shape(), (row.job.spec.queue, row.job.spec.priority)
    for placed in row.allocation.placements:
        free[placed.node] = free[placed.node] - shape[placed.group].times(placed.count)
        assert not free[placed.node].negative(), f"{row.job.id} does not fit on {placed.node}"
    before = held.get(key, Held())
    held[key] = Held(jobs=before.jobs + 1, usage=before.usage + row.usage)
