"""Say why a job does not run, in one sentence with the numbers and with who stands in the way.

Three kinds of "no", and the most specific that is true wins. *Never*: the empty cluster has no room
for it. *Behind*: another waiting job is alike and comes first, for its class or because its queue
has less, so that any room that comes free is that job's; of several that are alike only the first
is told about room. *Room*: enough is free in all but not in one place (Fragmented), or for a part of
the gang alone (GangIncomplete), or not even that (InsufficientFree).

A sentence is made from what will be free once the plan is carried out, and from who waits, never
from what happened in this cycle: the next cycle, with nothing new, says the same again.

Takes:   shape   what is asked for; ledger: the cluster after all starts of the cycle
Gives:   Wait, one object for all jobs to which it applies; amounts in its `detail` are the model's
         integers by kind, those in its text are for people
Cost:    O(nodes) for each shape, never O(running): those who stand in the way are looked for among
         the first few that run
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from makeway.model.cluster import Queue, lineage_of
from makeway.model.job import CLASSES, Job, WorkerGroup
from makeway.model.resources import CPU, GPU, MEMORY, Resources
from makeway.model.wait import Reason, Wait
from makeway.policy.ledger import Ledger, own_part
from makeway.policy.order import Ask, level_with, submission
from makeway.policy.place import Nodes, Shape, most_workers

# So many jobs are named as standing in the way, and so many are looked at to find them.
NAMED_MAX = 5
LOOKED_AT_MAX = 100

CLASS_NAMES = {number: name for name, number in CLASSES.items()}
# Who asked for 600MB reads "600 MB", who asked for 512MiB "512 MiB".
DECIMAL = (("GB", 10**9), ("MB", 10**6))
BINARY = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def backoff(job: Job) -> Wait:
    """Explain a job that is to be tried again, but not yet."""
    return Wait(
        reason=Reason.BACKOFF,
        text=f"attempt {job.attempts} did not succeed; the next one may start after a pause",
        detail={"until_ms": job.not_before_ms, "attempts": job.attempts},
    )


def no_node_fits(shape: Shape, nodes: Nodes) -> Wait:
    """Explain a job that even the empty cluster has no room for."""
    largest: dict[str, int] = {}
    for node in nodes.values():
        for kind, amount in node.capacity.amounts.items():
            largest[kind] = max(largest.get(kind, 0), amount)
    most = Resources.of(largest)
    need = {kind: max(group.per_worker[kind] for group in shape.groups) for kind in shape.need}
    over = [kind for kind in need if need[kind] > most[kind]]
    if over:
        why = f"the largest node has {_list(quantity(kind, most[kind]) for kind in over)}"
    elif shape.workers == 1:
        why = "no node has all of that"
    else:
        room = most_workers(shape, {name: node.capacity for name, node in nodes.items()}, nodes)
        why = f"the whole cluster, when it is empty, has room for {room} of the {shape.workers}"
    return Wait(
        reason=Reason.NO_NODE_FITS,
        text=f"{needs(shape.groups)}; {why}",
        detail={"need": need, "largest": {kind: most[kind] for kind in need}},
    )


def no_room(shape: Shape, ledger: Ledger) -> Wait:
    """Explain a job that is next, but for which there is no room now."""
    free, asked = ledger.free_total, needs(shape.groups)
    detail: dict[str, object] = {
        "need": dict(shape.need.amounts),
        "free": {kind: free[kind] for kind in shape.need},
    }
    if not ledger.nodes:
        text = f"{asked}; no node has joined yet"
        return Wait(reason=Reason.INSUFFICIENT_FREE, text=text, detail=detail)
    short = [kind for kind in shape.need if shape.need[kind] > free[kind]]
    workers, text = shape.workers, f"{asked}; {_are_free(short or shape.need, free)}"
    have = most_workers(shape, ledger.free, ledger.nodes) if workers > 1 or not short else 0
    reason = Reason.INSUFFICIENT_FREE
    if not short:
        reason = Reason.FRAGMENTED
        where = f"room for {have} of {workers}" if workers > 1 else "no node has all of that"
        text = f"{text}, but spread over the nodes: {where}"
        detail["room_for"] = have
    elif have:
        reason = Reason.GANG_INCOMPLETE
        text = f"{text}: room for {have} of {workers}"
        detail = {"have": have, "need": workers, "free": detail["free"]}
    by = _in_the_way(short or shape.need, ledger)
    return Wait(reason=reason, text=text, detail=detail, blocked_by=by)


def reserved(shape: Shape, head: Ask) -> Wait:
    """Explain a job that may not pass one that was submitted before it."""
    return Wait(
        reason=Reason.RESERVED_FOR_OTHER,
        text=f"{needs(shape.groups)}; {head.job.id} was submitted before it and comes first",
        blocked_by=(head.job.id,),
    )


def fair_waits(asks: Iterable[Ask], ledger: Ledger) -> Iterator[tuple[Ask, Wait]]:
    """Explain all who wait under fair share; the asks come by submission."""
    alike: dict[Shape, list[Ask]] = {}
    for ask in asks:
        alike.setdefault(ask.shape, []).append(ask)
    for shape, equals in alike.items():
        first, room = _first(equals, ledger), no_room(shape, ledger)
        known: dict[tuple[int, str], Wait] = {}
        for ask in equals:
            spec = ask.job.spec
            same_class = spec.priority == first.job.spec.priority
            key = (spec.priority, spec.queue if same_class else "")
            if key not in known:
                known[key] = _behind(ask, first, ledger) or room
            yield ask, known[key]


def needs(groups: Sequence[WorkerGroup]) -> str:
    """Say what a job needs to start: `needs 2 workers of 0.5 cpus and 600 MiB`."""
    parts = []
    for group in groups:
        worker = "worker" if group.count_min == 1 else "workers"
        name = f" ({group.name})" if len(groups) > 1 else ""
        asked = {kind: amount for kind, amount in group.per_worker.amounts.items() if amount}
        amounts = _list(quantity(kind, amount) for kind, amount in asked.items())
        parts.append(f"{group.count_min} {worker}{name}{amounts and f' of {amounts}'}")
    return f"needs {_list(parts)}"


def quantity(kind: str, amount: int) -> str:
    """Say an amount in the unit that people use; what does not come out even is rounded down."""
    if kind in {CPU, GPU}:
        unit = kind.removesuffix("_milli")
        return f"{_number(amount, 1000)} {unit if amount == 1000 else f'{unit}s'}"
    if kind == MEMORY:
        even = next((pair for pair in DECIMAL if amount >= pair[1] and amount % pair[1] == 0), None)
        unit, size = even or next((pair for pair in BINARY if amount >= pair[1]), ("bytes", 1))
        return f"{_number(amount, size)} {unit}"
    return f"{amount} {kind}"


def _first(equals: Sequence[Ask], ledger: Ledger) -> Ask:
    """Find the one among equals that is served first: by class, then by its queue's level."""
    urgent = max(ask.job.spec.priority for ask in equals)
    heads: dict[str, Ask] = {}
    for ask in equals:
        if ask.job.spec.priority == urgent:
            heads.setdefault(ask.job.spec.queue, ask)
    if len(heads) == 1:
        return next(iter(heads.values()))
    return min(heads.values(), key=lambda ask: (_levels(ask, ledger), submission(ask)))


def _behind(ask: Ask, first: Ask, ledger: Ledger) -> Wait | None:
    """Explain a job by the one that is alike and comes first, if it does not only come earlier."""
    mine, theirs = ask.job.spec, first.job.spec
    if not ledger.nodes:
        return None
    if theirs.priority > mine.priority:
        why = f"its class is {_class(theirs.priority)}, this one's {_class(mine.priority)}"
        return Wait(
            reason=Reason.BEHIND_PRIORITY,
            text=_after(ask, first, why),
            detail={"priority": mine.priority, "ahead": theirs.priority},
            blocked_by=(first.job.id,),
        )
    if theirs.queue == mine.queue:
        return None
    here, there = _parting(mine.queue, theirs.queue)
    own, ahead = _level(here, ask, ledger), _level(there, first, ledger)
    if own <= ahead:
        return None
    if own[0] > ahead[0]:
        why = f"the weight of {_called(here)} is 0, which is no claim while others have one"
    else:
        why = f"with it {_called(there)} would be at {ahead[1]:.1%} of the cluster for its weight, "
        why += f"with this one {_called(here)} at {own[1]:.1%}"
    return Wait(
        reason=Reason.BEHIND_SHARE,
        text=_after(ask, first, why),
        detail={"queue": here, "share": own[1], "ahead": there, "share_ahead": ahead[1]},
        blocked_by=(first.job.id,),
    )


def _after(ask: Ask, first: Ask, why: str) -> str:
    return f"{needs(ask.shape.groups)}; {first.job.id} is alike and comes first: {why}"


def _called(branch: str) -> str:
    """Name a branch for people; the own part of a queue goes by the queue."""
    return branch.rstrip("/") or "the root queue"


def _parting(one: str, other: str) -> tuple[str, str]:
    """Find where two queues part: the branch of each below the last queue that they share."""
    return next(pair for pair in zip(_way(one), _way(other), strict=False) if pair[0] != pair[1])


def _way(path: str) -> list[str]:
    """Give the branches that lead from the root to the jobs of a queue, itself included."""
    return [*reversed([*lineage_of(path)]), own_part(path)]


def _levels(ask: Ask, ledger: Ledger) -> list[tuple[bool, float]]:
    return [_level(branch, ask, ledger) for branch in _way(ask.job.spec.queue)]


def _level(branch: str, ask: Ask, ledger: Ledger) -> tuple[bool, float]:
    queue = ledger.snapshot.queues.get(branch) or Queue(path=branch)
    return level_with(queue, ask.shape.need, ledger)


def _in_the_way(kinds: Iterable[str], ledger: Ledger) -> tuple[str, ...]:
    """Name a few jobs that hold what is wanted."""
    wanted = set(kinds)
    looked_at = islice(ledger.holders(), LOOKED_AT_MAX)
    found = (job for job, usage in looked_at if not wanted.isdisjoint(usage.amounts))
    return tuple(islice(found, NAMED_MAX))


def _are_free(kinds: Iterable[str], free: Resources) -> str:
    amounts = [quantity(kind, free[kind]) for kind in kinds]
    one = len(amounts) == 1 and amounts[0].startswith("1 ")
    return f"{_list(amounts)} {'is' if one else 'are'} free"


def _class(priority: int) -> str:
    return CLASS_NAMES.get(priority, str(priority))


def _number(amount: int, unit: int) -> str:
    whole, rest = divmod(amount, unit)
    digits = f"{rest * 1000 // unit:03}".rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def _list(parts: Iterable[str]) -> str:
    *most, last = [*parts] or [""]
    return f"{', '.join(most)} and {last}" if most else last
