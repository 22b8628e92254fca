"""Build worlds for tests: small makers of values, and a parser of text tables.

A maker names only what matters to the test and takes amounts as people say them (`cpus=0.5`,
`memory="600MiB"`). A table is a title, a drawing of the queue tree, and rows:

    the lighter group waits
                 lab/2      other            <- name/weight; a name belongs to the one above it that
           vision  speech                       is nearest; queues are called by their last name
    nodes    n1..n3 gpu 8 | n4 cpu 4
    running  a vision n1 n2*2 gpu 1 | b speech n3            <- without amounts: the whole node
    queued   c speech gang 2 gpu 1 prio high | d vision cpu 1 backoff 20s
             e other ps: cpu 1 + trainer: gang 2 gpu 1       <- several groups
    expect   start c on n2 n3 | hold d Backoff | reject e NoNodeFits
    says     d: attempt 0 did not succeed                    <- the text begins so

Rows are joined where they go on in the next line; items are parted by `|` or a new line; a range of
names stands for as many equal items. Jobs are submitted in the order in which they are written. The
row `expect` has every decision, in the plan's order; `by a b` behind a hold is compared if given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from makeway.model.cluster import ROOT, Allocation, Node, Placement, Queue, usage_of, with_parents
from makeway.model.job import CLASSES, Job, JobSpec, WorkerGroup
from makeway.model.resources import CPU, GPU, MEMORY, NOTHING, Resources
from makeway.policy.plan import Decided, Hold, Plan, Reject, Start
from makeway.policy.snapshot import Running, Snapshot

NOW_MS = 1_000_000
SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
KINDS = {"cpu": "cpus", "mem": "memory", "gpu": "gpus"}
ROWS = ("nodes", "running", "queued", "expect", "says", "share", "due", "usage", "demand")


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
) -> Snapshot:
    """Put a world together: what is free and held is counted, queues that are missing are made.

    Jobs without an order get the place in which they are given, those that run first.
    """
    rows, waiting = [*running], [*queued]
    rows = [replace(row, job=_numbered(row.job, place)) for place, row in enumerate(rows, 1)]
    waiting = [_numbered(one, place) for place, one in enumerate(waiting, 1 + len(rows))]
    known = {queue.path: queue for queue in (Queue(path=ROOT), *queues)}
    for path in [*known, *(one.spec.queue for one in (*(row.job for row in rows), *waiting))]:
        known |= with_parents(known, path)
    by_name = {one.name: one for one in nodes}
    free, held = {name: one.capacity for name, one in by_name.items()}, dict[str, Resources]()
    for row in rows:
        _book(row, free, held)
    return Snapshot(
        basis=7,
        now_ms=NOW_MS,
        nodes=by_name,
        free=free,
        queues=known,
        held=held,
        running={row.job.id: row for row in rows},
        waiting=sorted(waiting, key=lambda one: (one.order, one.id)),
    )


def carried_out(snapshot: Snapshot, plan: Plan) -> Snapshot:
    """Show the world after a plan: what was started runs, what was rejected is gone."""
    waiting = {one.id: one for one in snapshot.waiting}
    free, held, rows = dict(snapshot.free), dict(snapshot.held), dict(snapshot.running)
    for decision in plan.decisions:
        if not isinstance(decision, Hold):
            one = waiting.pop(decision.job)
        if isinstance(decision, Start):
            rows[one.id] = _running(one, decision.allocation, snapshot.now_ms)
            _book(rows[one.id], free, held)
    left = [*waiting.values()]
    return replace(snapshot, free=free, held=held, running=rows, waiting=left, basis=8)


def _running(of: Job, allocation: Allocation, at_ms: int) -> Running:
    usage = usage_of(allocation, of.spec.shape())
    return Running(job=of, allocation=allocation, usage=usage, started_at_ms=at_ms)


def _numbered(one: Job, place: int) -> Job:
    return one if one.order else replace(one, order=place)


def _book(row: Running, free: dict[str, Resources], held: dict[str, Resources]) -> None:
    shape, queue = row.job.spec.shape(), row.job.spec.queue
    for placed in row.allocation.placements:
        free[placed.node] = free[placed.node] - shape[placed.group].times(placed.count)
        assert not free[placed.node].negative(), f"{row.job.id} does not fit on {placed.node}"
    held[queue] = held.get(queue, NOTHING) + row.usage


# ── text tables ───────────────────────────────────────────────────────────────────────────────────


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed table: the world, the full path of each queue's short name, the rows of results."""

    title: str
    snapshot: Snapshot
    paths: Mapping[str, str]
    rows: Mapping[str, Sequence[str]]


def table(text: str) -> Table:
    """Parse one table; the module says how it looks."""
    title, *lines = [line for line in text.splitlines() if line.strip()]
    rows: dict[str, list[str]] = {}
    drawing: list[str] = []
    for line in lines:
        word, _, rest = line.strip().partition(" ")
        if word in ROWS:
            rows.setdefault(word, []).append(rest)
        elif rows:
            rows[[*rows][-1]].append(line)
        else:
            drawing.append(line)
    items = {row: _items(found) for row, found in rows.items()}
    queues = {queue.path.rpartition("/")[2]: queue for queue in _drawn(drawing)}
    paths = {name: queue.path for name, queue in queues.items()}
    nodes = [_node(item) for item in items.get("nodes", ())]
    snapshot = snapshot_of(
        nodes,
        [_job(item.split(), paths) for item in items.get("queued", ())],
        [_row(item, paths, nodes) for item in items.get("running", ())],
        queues.values(),
    )
    return Table(title=title.strip(), snapshot=snapshot, paths=paths, rows=items)


def decided(plan: Plan) -> list[str]:
    """Write a plan as the row `expect` has it."""
    return [_written(decision) for decision in plan.decisions]


def check(text: str, policy: Callable[[Snapshot], Plan]) -> None:
    """Let a policy decide on a table, and then again with nothing new: only the waits stay."""
    case = table(text)
    plan = policy(case.snapshot)
    wanted = case.rows.get("expect", [])
    found = decided(plan)
    for place, (want, one) in enumerate(zip(wanted, found, strict=False)):
        if " by " not in want:
            found[place] = one.partition(" by ")[0]
    assert found == wanted, f"{case.title}: found {found}"
    texts = {one.job: one.wait.text for one in plan.decisions if not isinstance(one, Start)}
    for said in case.rows.get("says", ()):
        name, _, start = said.partition(": ")
        assert texts[name].startswith(start), f"{case.title}: {texts[name]}"
    assert_settled(policy, case.snapshot, plan)


def assert_settled(policy: Callable[[Snapshot], Plan], snapshot: Snapshot, plan: Plan) -> None:
    """Carry a plan out and ask again: the same waits, and nothing else."""
    again = policy(carried_out(snapshot, plan))
    assert again.decisions == tuple(one for one in plan.decisions if isinstance(one, Hold))


def _written(decision: Decided) -> str:
    if isinstance(decision, Start):
        rows = decision.allocation.placements
        return f"start {decision.job} on {' '.join(_place(row) for row in rows)}"
    kind = "reject" if isinstance(decision, Reject) else "hold"
    by = f" by {' '.join(decision.wait.blocked_by)}" if decision.wait.blocked_by else ""
    return f"{kind} {decision.job} {decision.wait.reason}{by}"


def _place(row: Placement) -> str:
    count = f"*{row.count}" if row.count > 1 else ""
    return f"{row.node}{count}" + ("" if row.group == "worker" else f":{row.group}")


def _items(lines: Iterable[str]) -> list[str]:
    parts = (part.strip() for line in lines for part in line.split("|"))
    return [one for part in parts if part for one in _ranged(part)]


def _ranged(item: str) -> Iterator[str]:
    found = re.match(r"([a-z]+)(\d+)\.\.\1(\d+)( .*|$)", item)
    if not found:
        yield " ".join(item.split())
        return
    for number in range(int(found[2]), int(found[3]) + 1):
        yield f"{found[1]}{number}{found[4]}"


def _drawn(lines: Iterable[str]) -> Iterator[Queue]:
    above: list[tuple[float, str]] = []
    for line in lines:
        here = []
        for found in re.finditer(r"\S+", line):
            name, _, weight = found[0].partition("/")
            middle = (found.start() + found.end()) / 2
            parent = min(above, key=lambda one: abs(one[0] - middle))[1] if above else ""
            path = f"{parent}/{name}" if parent else name
            here.append((middle, path))
            yield Queue(path=path, weight=float(weight or 1))
        above = here


def _node(item: str) -> Node:
    name, *words = item.split()
    return Node(name=name, capacity=_vector(words))


def _row(item: str, paths: Mapping[str, str], nodes: Sequence[Node]) -> Running:
    name, queue, *words = item.split()
    whole = {one.name: one.capacity for one in nodes}
    on = [word for word in words if re.split(r"[*:]", word)[0] in whole]
    rest = [word for word in words if word not in on]
    one = _job([name, queue, *rest], paths)
    if not any(part.per_worker for part in one.spec.groups):
        full = (WorkerGroup(per_worker=whole[on[0]]),)
        one = replace(one, spec=replace(one.spec, groups=full))
    return running(one, *on)


def _job(words: Sequence[str], paths: Mapping[str, str]) -> Job:
    name, queue, *rest = words
    known: dict[str, Any] = {}
    groups = []
    for part in " ".join(rest).split(" + "):
        title, colon, inner = part.rpartition(": ")
        pairs = dict(zip(*[iter(inner.split())] * 2, strict=True))
        if "prio" in pairs:
            prio = pairs.pop("prio")
            known["priority"] = CLASSES[prio] if prio in CLASSES else int(prio)
        if "backoff" in pairs:
            known["not_before_ms"] = NOW_MS + int(pairs.pop("backoff").rstrip("s")) * 1000
        count, most = int(pairs.pop("gang", 1)), int(pairs.pop("max", 0))
        vector = _vector([word for pair in pairs.items() for word in pair])
        shape = WorkerGroup(count_min=count, count_max=max(count, most), per_worker=vector)
        groups.append(replace(shape, name=title) if colon else shape)
    return job(name, paths.get(queue, queue), groups=groups, **known)


def _vector(words: Sequence[str]) -> Resources:
    amount: dict[str, Any] = {}
    for kind, number in zip(words[::2], words[1::2], strict=True):
        amount[KINDS.get(kind, kind)] = number if kind == "mem" else float(number)
    others = {kind: int(amount.pop(kind)) for kind in [*amount] if kind not in KINDS.values()}
    return amounts(**amount, **others)
