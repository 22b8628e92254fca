"""Say why a job does not run, in one sentence with the numbers and with who stands in the way.

The most specific "no" that is true wins. *Limits*: its queue may not hold more. *Moving*: slots are
kept for it and their holders are leaving. *Behind*: another waiting job is alike and comes first,
for its class or because its queue has less, so that any room that comes free is that job's; of
several that are alike only the first is told about room. *Room*: enough is free in all but not in
one place (Fragmented), or for a part of the gang alone (GangIncomplete), or not even that.

A sentence is made from what will be free once the plan is carried out, and from who waits, never
from what happened in this cycle: the next cycle, with nothing new, says the same again.

Takes:   cycle, when all is decided; amounts in `detail` are the model's integers by kind
Gives:   Wait for one job of a kind, made when it is asked for
Cost:    O(nodes) for each kind that is asked about
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from makeway.model.job import Job
from makeway.model.wait import Reason, Wait
from makeway.policy.cycle import Cycle
from makeway.policy.ledger import Ledger, parting
from makeway.policy.level import Level
from makeway.policy.limits import Barrier, barrier
from makeway.policy.order import Lane
from makeway.policy.place import most_workers, place, shape_of
from makeway.policy.say import are_free, class_named, count_of, hours_of, listed, needs, quantity
from makeway.policy.snapshot import Kind, Snapshot

# So many jobs are named as standing in the way, and so many are looked at to find them.
NAMED_MAX = 5
LOOKED_AT_MAX = 100

ROLE = {
    Reason.QUEUE_LIMIT: "its limit",
    Reason.BORROWING_OFF: "its share, and it does not borrow",
    Reason.CLASS_LIMIT: "its limit for this class",
}


class Explanation:
    """The sentences of one cycle; see the module."""

    __slots__ = ("_cycle", "_firsts", "_known", "_lanes")

    def __init__(self, cycle: Cycle) -> None:
        """Take a cycle in which everything is decided."""
        self._cycle = cycle
        self._known: dict[Kind, Wait] = {}
        self._lanes = {lane.kind: lane for lane in cycle.lanes}
        self._firsts: dict[object, Lane] = {}
        for lane in cycle.blocked:
            self._firsts.setdefault(_likeness(lane.kind), lane)

    def of(self, kind: Kind, job: str) -> Wait:
        """Explain one job of a kind."""
        victims = self._cycle.leaving_for(job)
        if victims is not None:
            return moving(kind, victims)
        if kind not in self._known:
            self._known[kind] = self._explain(kind)
        return self._known[kind]

    def _explain(self, kind: Kind) -> Wait:
        cycle = self._cycle
        if kind in cycle.never:
            return cycle.never[kind]
        if kind in cycle.barriers:
            now = barrier(kind, self._lanes[kind].need, cycle.ledger, cycle.terms)
            return limited(kind, now or cycle.barriers[kind])
        if cycle.reasons.get(kind) is Reason.RESERVED_FOR_OTHER:
            head = cycle.blocked[0].head
            return Wait(
                reason=Reason.RESERVED_FOR_OTHER,
                text=f"{needs(kind.groups)}; there is room, but {head.id} is first in line and "
                "would have to wait longer",
                blocked_by=(head.id,),
            )
        first = self._firsts.get(_likeness(kind))
        if cycle.snapshot.nodes and first is not None and first.kind is not kind:
            behind = self._behind(self._lanes[kind], first)
            if behind is not None:
                return behind
        if kind in cycle.protected:
            return _too_young(kind, cycle)
        return self._kept_for_others(kind) or no_room(kind, cycle.ledger)

    def _kept_for_others(self, kind: Kind) -> Wait | None:
        """Explain a job that would fit now if nothing were kept for anybody."""
        keepers, ledger = self._cycle.keepers(), self._cycle.ledger
        names = [name for name in kind.nodes or ledger.nodes if name in ledger.nodes]
        if not keepers or (kind.domain is not None and kind.domain.required):
            return None
        rooms = {name: ledger.there(name) for name in names}
        if place(kind.groups, rooms, ledger.nodes) is None:
            return None
        found = [
            job
            for job, rows in keepers.items()
            if any(row.node in rooms for row in rows.placements)
        ]
        whom = tuple(found[:NAMED_MAX])
        return Wait(
            reason=Reason.RESERVED_FOR_OTHER,
            text=f"{needs(kind.groups)}; there is room, but it is kept for {listed(whom)}",
            blocked_by=whom,
        )

    def _behind(self, lane: Lane, first: Lane) -> Wait | None:
        mine, theirs = lane.kind, first.kind
        if theirs.priority > mine.priority:
            classes = self._cycle.rules.classes
            why = f"its class is {class_named(theirs.priority, classes)}, "
            why += f"this one's {class_named(mine.priority, classes)}"
            return Wait(
                reason=Reason.BEHIND_PRIORITY,
                text=_after(mine, first.head, why),
                detail={"priority": mine.priority, "ahead": theirs.priority},
                blocked_by=(first.head.id,),
            )
        if theirs.queue == mine.queue:
            return None
        here, there = parting(mine.queue, theirs.queue)
        own, ahead = self._level(here, lane), self._level(there, first)
        if own <= ahead:
            return None
        if own[0] > ahead[0]:
            why = f"the weight of {_called(here)} is 0, which is no claim while others have one"
        else:
            why = f"with it {_called(there)} would be at {ahead[1]:.1%} of the cluster for its "
            why += f"weight, with this one {_called(here)} at {own[1]:.1%}"
        return Wait(
            reason=Reason.BEHIND_SHARE,
            text=_after(mine, first.head, why),
            detail={"queue": here, "share": own[1], "ahead": there, "share_ahead": ahead[1]},
            blocked_by=(first.head.id,),
        )

    def _level(self, branch: str, lane: Lane) -> Level:
        return self._cycle.levels.of(branch, lane.need)


def aside(job: Job) -> Wait:
    """Explain a job that stands beside the lanes: who or what keeps it from being started."""
    if job.held is not None:
        return held(job)
    if job.awaits:
        return remaking(job)
    return unavailable(job) if job.lacks else backoff(job)


def remaking(job: Job) -> Wait:
    """Explain a job whose lost data are made again by the steps that made them."""
    return Wait(
        reason=Reason.DEPENDENCY_PENDING,
        text=f"its data are gone: it waits for {listed(job.awaits)} to make them again",
        detail={"steps": list(job.awaits)},
    )


def unavailable(job: Job) -> Wait:
    """Explain a job whose data are away; they are looked for, and it goes on when they are back."""
    return Wait(
        reason=Reason.DATA_UNAVAILABLE,
        text=f"it waits until {listed(job.lacks)} can be read again",
        detail={"paths": list(job.lacks)},
    )


def held(job: Job) -> Wait:
    """Explain a job that somebody holds; `job.held` says who, and why."""
    text = f"it is held: {job.held}" if job.held else "it is held"
    return Wait(
        reason=Reason.HELD, text=text, unblock=(f"release it: makeway job release {job.id}",)
    )


def backoff(job: Job) -> Wait:
    """Explain a job that is to be tried again, but not yet."""
    return Wait(
        reason=Reason.BACKOFF,
        text=f"attempt {job.attempts} did not succeed; the next one may start after a pause",
        detail={"until_ms": job.not_before_ms, "attempts": job.attempts},
    )


def limited(kind: Kind, found: Barrier) -> Wait:
    """Explain a job that a rule of its queue does not let start now."""
    asked = needs(kind.groups)
    detail: dict[str, object] = {"queue": found.queue, "limit": found.limit, "used": found.used}
    if found.reason is Reason.OVER_SHARE:
        what = (
            "has none"
            if found.kind is None
            else (
                f"guarantees {quantity(found.kind, found.limit)}, of which "
                f"{quantity(found.kind, found.used)} are held by such jobs"
            )
        )
        text = f"{asked}; it may not be preempted, so it starts only inside a guarantee: queue {found.queue} {what}"
    elif found.until_ms is not None and found.kind is not None:
        detail |= {"kind": found.kind, "until_ms": found.until_ms}
        text = (
            f"{asked}; queue {found.queue} has spent {hours_of(found.kind, found.used)} of "
            f"{hours_of(found.kind, found.limit)} above the normal class, its budget"
        )
    elif found.kind is None:
        role = "of this class " if found.reason is Reason.CLASS_LIMIT else ""
        text = (
            f"{asked}; queue {found.queue} may run {count_of(found.limit, 'job')} {role}at a time, "
            f"and {found.used} run"
        )
    else:
        detail["kind"] = found.kind
        text = (
            f"{asked}; queue {found.queue} holds {quantity(found.kind, found.used)} of "
            f"{quantity(found.kind, found.limit)}, {ROLE[found.reason]}"
        )
    return Wait(reason=found.reason, text=text, detail=detail)


def no_room(kind: Kind, ledger: Ledger) -> Wait:
    """Explain a job that is next, but for which there is no room now."""
    shape, names = shape_of(kind.groups), kind.nodes or tuple(ledger.nodes)
    rooms = ledger.rooms([name for name in names if name in ledger.nodes])
    free, asked = ledger.free_total(rooms), needs(kind.groups)
    detail: dict[str, object] = {
        "need": dict(shape.need.amounts),
        "free": {one: free[one] for one in shape.need},
    }
    if not rooms:
        why = _closed(names, ledger.snapshot) or "no node has joined yet"
        return Wait(reason=Reason.INSUFFICIENT_FREE, text=f"{asked}; {why}", detail=detail)
    short = [one for one in shape.need if shape.need[one] > free[one]]
    workers, text = shape.workers, f"{asked}; {are_free(short or shape.need, free)}"
    if kind.nodes:
        text += f" on {listed(kind.nodes)}"
    have = most_workers(shape, rooms, ledger.nodes) if workers > 1 or not short else 0
    reason = Reason.INSUFFICIENT_FREE
    if not short:
        reason = Reason.FRAGMENTED
        where = f"room for {have} of {workers}" if workers > 1 else "no node has all of that"
        if kind.domain is not None and kind.domain.required:
            where = f"no {kind.domain.label} has room for all"
        text = f"{text}, but spread over the nodes: {where}"
        detail["room_for"] = have
    elif have:
        reason = Reason.GANG_INCOMPLETE
        text = f"{text}: room for {have} of {workers}"
        detail = {"have": have, "need": workers, "free": detail["free"]}
    if ledger.snapshot.draining:
        closed = [name for name in kind.nodes if name in ledger.snapshot.draining]
        text += f"; {_drained(closed or [*ledger.snapshot.draining], ledger.snapshot)}"
    by = in_the_way(short or shape.need, ledger)
    return Wait(reason=reason, text=text, detail=detail, blocked_by=by)


def _closed(names: Sequence[str], snapshot: Snapshot) -> str:
    """Say why none of these nodes, or none at all, takes work now."""
    lost = [name for name in names if name in snapshot.lost]
    drained = [name for name in names if name in snapshot.draining]
    if not lost and not drained:
        lost, drained = [*snapshot.lost], [*snapshot.draining]
    said = [f"{listed(lost)} is down"] if lost else []
    return "; ".join([*said, *([_drained(drained, snapshot)] if drained else [])])


def _drained(names: Sequence[str], snapshot: Snapshot) -> str:
    """Say which nodes are drained; of a single one also why."""
    why = snapshot.draining[names[0]].drain_text if len(names) == 1 else ""
    are = "is" if len(names) == 1 else "are"
    return f"{listed(names[:NAMED_MAX])} {are} being drained" + (f" ({why})" if why else "")


def in_the_way(kinds: Iterable[str], ledger: Ledger) -> tuple[str, ...]:
    """Name a few jobs that hold what is wanted."""
    wanted = set(kinds)
    looked_at = islice(ledger.holders(), LOOKED_AT_MAX)
    found = (job for job, usage in looked_at if not wanted.isdisjoint(usage.amounts))
    return tuple(islice(found, NAMED_MAX))


def moving(kind: Kind, victims: tuple[str, ...]) -> Wait:
    """Explain a job for which slots are kept that others still hold."""
    who = listed(victims[:NAMED_MAX]) if victims else "others"
    verb = "has" if len(victims) == 1 else "have"
    return Wait(
        reason=Reason.WAITING_FOR_EVICTION,
        text=f"{needs(kind.groups)}; slots are kept for it, and it starts when {who} {verb} left them",
        blocked_by=victims,
    )


def _too_young(kind: Kind, cycle: Cycle) -> Wait:
    young = cycle.protected[kind]
    seconds = cycle.rules.preemption.min_run_ms / 1000
    return Wait(
        reason=Reason.MIN_RUN_TIME,
        text=f"{needs(kind.groups)}; {listed(young[:NAMED_MAX])} may not be evicted before having "
        f"run for {seconds:g} s",
        detail={"min_run_ms": cycle.rules.preemption.min_run_ms},
        blocked_by=tuple(young[:NAMED_MAX]),
    )


def _likeness(kind: Kind) -> object:
    groups = [
        (one.name, one.count_min, tuple(one.per_worker.amounts.items())) for one in kind.groups
    ]
    return tuple(groups), kind.nodes, kind.domain


def _after(kind: Kind, first: Job, why: str) -> str:
    return f"{needs(kind.groups)}; {first.id} is alike and comes first: {why}"


def _called(branch: str) -> str:
    """Name a branch for people; the own part of a queue goes by the queue."""
    return branch.rstrip("/") or "the root queue"
