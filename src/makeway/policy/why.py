"""Answer the user who asks why a job does not run: the reason, who blocks, what would change it.

The answer comes from the policy itself. It decides once more on the snapshot as it is, and then on
copies with one thing changed: fewer workers, a higher class, one running job gone, another queue,
one more node. A change that makes the job start (or be given slots that others are leaving) is
named, the cheapest for the user first. Nothing of this costs anything until somebody asks.

Takes:   snapshot, the id of a waiting job
Gives:   Wait with `unblock` and `starts_at_ms`; `detail["eta"]` says why there is no estimate
Raises:  KeyError if no such job waits
Cost:    one cycle for each change that is tried, a dozen at most
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from makeway.model.cluster import Node, lineage_of, with_parents
from makeway.model.job import Job
from makeway.model.resources import Resources
from makeway.model.wait import Reason, Wait
from makeway.policy.backfill import Backfill
from makeway.policy.cycle import Cycle
from makeway.policy.explain import Explanation, aside
from makeway.policy.find import count_in
from makeway.policy.held import Held
from makeway.policy.ledger import Ledger, usage_of_rows
from makeway.policy.rooms import Rooms
from makeway.policy.say import class_named, count_of
from makeway.policy.schedule import run
from makeway.policy.snapshot import Kind, Running, Snapshot, kind_of

READY = Wait(reason=Reason.NOT_READY, text="it is about to start")

BLOCKERS_MAX = 3
QUEUES_MAX = 3


def why(snapshot: Snapshot, name: str) -> Wait:
    """Explain why a waiting job does not run, and what would start it."""
    for job in snapshot.paused:
        if job.id == name:
            known = job.held is None and not job.awaits
            return replace(aside(job), starts_at_ms=job.not_before_ms if known else None)
    kind, job = _waiting(snapshot, name)
    cycle = run(snapshot)
    if cycle.started(name) is not None:
        return replace(READY, starts_at_ms=snapshot.now_ms)
    wait = Explanation(cycle).of(kind, name)
    if kind in cycle.never:
        return replace(wait, unblock=tuple(_smaller(snapshot, kind, job)))
    at_ms, eta = _eta(cycle, kind, job)
    if wait.reason is Reason.WAITING_FOR_EVICTION:
        return replace(wait, detail={**wait.detail, "eta": "as soon as they have left"})
    return replace(
        wait,
        detail={**wait.detail, "eta": eta},
        starts_at_ms=at_ms,
        unblock=tuple(_changes(snapshot, kind, job, wait)),
    )


def _eta(cycle: Cycle, kind: Kind, job: Job) -> tuple[int | None, str]:
    lane = next((one for one in cycle.blocked if one.kind is kind), None)
    if lane is None:
        return None, "it waits for a rule of its queue, not for room"
    if lane.head.id != job.id:
        ahead = [one.id for one in lane.jobs].index(job.id) - lane.at
        return None, f"{count_of(ahead, 'job')} of the same kind come first"
    if cycle.blocked.index(lane) >= cycle.rules.backfill_depth:
        return None, f"more than {cycle.rules.backfill_depth} jobs are in line before it"
    at_ms = Backfill(cycle).starts(lane).at_ms
    if at_ms is None:
        return None, "nobody has said how long the jobs that are in its way will run"
    return at_ms, "if all that runs ends when it is expected to"


def _changes(snapshot: Snapshot, kind: Kind, job: Job, wait: Wait) -> Iterator[str]:
    """Try the changes, the cheapest first."""
    yield from _smaller(snapshot, kind, job)
    yield from _other_class(snapshot, kind, job)
    for name in wait.blocked_by[:BLOCKERS_MAX]:
        row = snapshot.running.get(name)
        if row is not None and _starts(without(snapshot, row), job.id):
            yield f"wait until {name} ends, or cancel it"
    yield from _other_queue(snapshot, kind, job)
    for node in [*snapshot.draining.values()][:BLOCKERS_MAX]:
        if _starts(with_node(snapshot, node), job.id):
            yield f"undrain {node.name}, if you may"
    if snapshot.nodes:
        node = min(snapshot.nodes.values(), key=lambda one: one.name)
        more = with_node(snapshot, replace(node, name=f"{node.name}+"))
        if _starts(more, job.id):
            yield f"one more node like {node.name}"


def _smaller(snapshot: Snapshot, kind: Kind, job: Job) -> Iterator[str]:
    (group, *others) = kind.groups
    if others or group.count_min < 2:
        return
    empty = {name: node.capacity for name, node in snapshot.nodes.items()}
    bare = replace(snapshot, free=empty, rooms=Rooms(empty), reserved={}, leaving={}, held={})
    most = min(count_in(kind, Ledger(bare)), group.count_min - 1)
    low, high = 0, most  # the largest number that starts; fewer never fit worse
    while low < high:
        middle = (low + high + 1) // 2
        if _starts(changed(snapshot, kind, job, _with_count(job, middle)), job.id):
            low = middle
        else:
            high = middle - 1
    if low:
        yield f"ask for {count_of(low, 'worker')} at the least instead of {group.count_min}"
    elif most:
        yield f"ask for at most {count_of(most, 'worker')}; more than that never fit here"


def _with_count(job: Job, count: int) -> Job:
    (group,) = job.spec.groups
    fewer = replace(group, count_min=count, count_max=max(count, min(group.count_max, count)))
    return replace(job, spec=replace(job.spec, groups=(fewer,)))


def _other_class(snapshot: Snapshot, kind: Kind, job: Job) -> Iterator[str]:
    most = min(
        (
            cap
            for path in lineage_of(kind.queue)
            if (cap := snapshot.queues[path].max_class) is not None
        ),
        default=999,
    )
    for priority in sorted(snapshot.rules.classes.values()):
        if kind.priority < priority <= most:
            urgent = replace(job, spec=replace(job.spec, priority=priority))
            if _starts(changed(snapshot, kind, job, urgent), job.id):
                yield f"submit it in class {class_named(priority, snapshot.rules.classes)}"
                return


def _other_queue(snapshot: Snapshot, kind: Kind, job: Job) -> Iterator[str]:
    parents = {queue.parent for queue in snapshot.queues.values() if queue.path}
    leaves = [path for path in sorted(snapshot.queues) if path and path not in parents]
    for path in [one for one in leaves if one != kind.queue][:QUEUES_MAX]:
        moved = replace(job, spec=replace(job.spec, queue=path))
        if _starts(changed(snapshot, kind, job, moved), job.id):
            yield f"submit it to queue {path}, if you may"
            return


def _starts(snapshot: Snapshot, name: str) -> bool:
    cycle = run(snapshot)
    return cycle.started(name) is not None or cycle.leaving_for(name) is not None


# ── edited copies ─────────────────────────────────────────────────────────────────────────────────


def changed(snapshot: Snapshot, kind: Kind, job: Job, other: Job) -> Snapshot:
    """Show the world with one waiting job asked for differently."""
    lanes: dict[Kind, Sequence[Job]] = dict(snapshot.lanes)
    rest = [one for one in lanes[kind] if one.id != job.id]
    if rest:
        lanes[kind] = rest
    else:
        del lanes[kind]
    lanes[kind_of(other)] = [other]
    queues = {**snapshot.queues, **with_parents(snapshot.queues, other.spec.queue)}
    return replace(snapshot, lanes=lanes, queues=queues, by_id={}, kind_by_id={})


def without(snapshot: Snapshot, row: Running) -> Snapshot:
    """Show the world as if a running job had ended."""
    name, spec = row.job.id, row.job.spec
    shape, free = spec.shape(), dict(snapshot.free)
    for one in row.allocation.placements:
        if one.node in free:
            free[one.node] = free[one.node] + shape[one.group].times(one.count)
    key = (spec.queue, spec.priority)
    held = snapshot.held[key]
    less = {**snapshot.held, key: Held(jobs=held.jobs - 1, usage=held.usage - row.usage)}
    rows = {one: other for one, other in snapshot.running_in[spec.queue].items() if one != name}
    return _rebuilt(
        snapshot,
        free,
        held=less,
        running={one: other for one, other in snapshot.running.items() if one != name},
        running_in={**snapshot.running_in, spec.queue: rows},
        elastic=[one for one in snapshot.elastic if one != name],
        leaving={one: gone for one, gone in snapshot.leaving.items() if one != name},
    )


def with_node(snapshot: Snapshot, node: Node) -> Snapshot:
    """Show the world with one more node that takes work; what runs on it already stays."""
    room = node.capacity
    for row in snapshot.running.values():
        here = tuple(one for one in row.allocation.placements if one.node == node.name)
        room = room - usage_of_rows(row.job, here) if here else room
    return _rebuilt(
        snapshot,
        {**snapshot.free, node.name: room},
        nodes={**snapshot.nodes, node.name: node},
        draining={one: other for one, other in snapshot.draining.items() if one != node.name},
    )


def _rebuilt(snapshot: Snapshot, free: Mapping[str, Resources], **changes: object) -> Snapshot:
    return replace(snapshot, free=free, rooms=Rooms(free), **changes)


def _waiting(snapshot: Snapshot, name: str) -> tuple[Kind, Job]:
    for kind, lane in snapshot.lanes.items():
        for job in lane:
            if job.id == name:
                return kind, job
    raise KeyError(name)
