"""Say whether a queue's limits let a job start: whatever room there is, these come first.

All are asked at every queue from the job's own up to the root, and each holds for the whole subtree:
the limit, the ceiling of a queue that does not borrow, the limits of the job's class, how many jobs
may run. A job that may not be preempted is admitted only inside a guarantee, since it could never
be asked to give back what it borrowed.

Takes:   ledger, terms   of this cycle
Gives:   Barrier (reason, queue, numbers) or None
Cost:    O(depth x kinds)
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from makeway.model.cluster import Queue, lineage_of
from makeway.model.job import CLASSES
from makeway.model.resources import NOTHING, Resources
from makeway.model.wait import Reason
from makeway.policy.ledger import Ledger
from makeway.policy.snapshot import Kind
from makeway.policy.terms import Terms

NORMAL = CLASSES["medium"]


class Barrier(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the way of a job, at which queue: `used` of `limit` of a kind, or of jobs.

    With `kind` None it is about a number of jobs. `never`: even alone in the queue it is too much.
    With `until_ms` it is about a budget, in unit x ms, which begins anew at that instant.
    """

    reason: Reason
    queue: str
    kind: str | None = None
    limit: int = 0
    used: int = 0
    never: bool = False
    until_ms: int | None = None


def barrier(kind: Kind, need: Resources, ledger: Ledger, terms: Terms) -> Barrier | None:
    """Find the first limit, from the job's queue upwards, that does not let it start.

    One that never will goes before all others.
    """
    if not kind.preemptible and (found := _firm(kind, need, ledger, terms)) is not None:
        return found
    first: Barrier | None = None
    for path in lineage_of(kind.queue) if terms.limited else ():
        found = _at(path, kind, need, ledger, terms) if path and path in terms.limited else None
        if found is not None and found.never:
            return found
        first = first or found
    return first


def growth_barrier(kind: Kind, need: Resources, ledger: Ledger, terms: Terms) -> bool:
    """Say whether any amount is limited so that one more worker may not be added."""
    for path in lineage_of(kind.queue) if terms.limited else ():
        if not path or path not in terms.limited:
            continue
        queue, usage = terms.queues[path], ledger.usage(path)
        if _over(usage, need, terms.ceiling.get(path, {})) is not None:
            return True
        if _over_budget(path, queue, kind, need, ledger) is not None:
            return True
        limit = queue.class_limits.get(kind.own_priority)
        if limit is not None and limit.resources is not None:
            used = ledger.of_class(path, kind.own_priority)[1]
            if _over(used, need, limit.resources) is not None:
                return True
    return False


def _at(path: str, kind: Kind, need: Resources, ledger: Ledger, terms: Terms) -> Barrier | None:
    queue = terms.queues[path]
    over = _over(NOTHING, need, queue.limit)  # what it alone exceeds goes before the rest
    if over is None:
        over = _over(ledger.usage(path), need, terms.ceiling.get(path, {}))
    if over is not None:
        hard = over in queue.limit and ledger.usage(path)[over] + need[over] > queue.limit[over]
        reason = Reason.QUEUE_LIMIT if hard else Reason.BORROWING_OFF
        limit = queue.limit[over] if hard else terms.ceiling[path][over]
        return Barrier(
            reason=reason, queue=path, kind=over, limit=limit, used=ledger.usage(path)[over],
            never=hard and need[over] > limit,
        )  # fmt: skip
    classes = queue.class_limits.get(kind.own_priority)
    if classes is not None:
        jobs, used = ledger.of_class(path, kind.own_priority)
        over = _over(NOTHING, need, classes.resources or {})
        if over is None and classes.running is not None and jobs >= classes.running:
            return Barrier(
                reason=Reason.CLASS_LIMIT, queue=path, limit=classes.running, used=jobs,
                never=classes.running == 0,
            )  # fmt: skip
        over = over or _over(used, need, classes.resources or {})
        if over is not None:
            limit = (classes.resources or {})[over]
            return Barrier(
                reason=Reason.CLASS_LIMIT, queue=path, kind=over, limit=limit, used=used[over],
                never=need[over] > limit,
            )  # fmt: skip
    if queue.max_running is not None and ledger.jobs_in(path) >= queue.max_running:
        return Barrier(
            reason=Reason.QUEUE_LIMIT, queue=path, limit=queue.max_running,
            used=ledger.jobs_in(path), never=queue.max_running == 0,
        )  # fmt: skip
    return _over_budget(path, queue, kind, need, ledger)


def _over_budget(
    path: str, queue: Queue, kind: Kind, need: Resources, ledger: Ledger
) -> Barrier | None:
    """Find what the queue has spent all of; who runs above the normal class goes on for all that."""
    if queue.budget is None or kind.own_priority <= NORMAL:
        return None
    spent = ledger.snapshot.spent.get(path)
    for one, most in queue.budget.resources.items():
        used = 0 if spent is None else spent.amounts.get(one, 0)
        if spent is not None and need[one] and used >= most:
            return Barrier(
                reason=Reason.CLASS_LIMIT, queue=path, kind=one, limit=most, used=used,
                until_ms=spent.until_ms,
            )  # fmt: skip
    return None


def _firm(kind: Kind, need: Resources, ledger: Ledger, terms: Terms) -> Barrier | None:
    path = next((above for above in lineage_of(kind.queue) if above in terms.guarantee), None)
    if path is None:
        return Barrier(reason=Reason.OVER_SHARE, queue=kind.queue)
    sure, used = terms.guarantee[path], firm_usage(ledger, path)
    over = next(
        (one for one in need if used[one] + need[one] > sure.get(one, 0) and one in sure), None
    )
    if over is None:
        return None
    return Barrier(
        reason=Reason.OVER_SHARE, queue=path, kind=over, limit=sure[over], used=used[over]
    )


def firm_usage(ledger: Ledger, path: str) -> Resources:
    """Add up what jobs that may not be preempted hold in a queue and below it."""
    prefix, total = f"{path}/", NOTHING
    for queue, rows in ledger.snapshot.running_in.items():
        if queue == path or queue.startswith(prefix):
            for row in rows.values():
                if not row.job.spec.preemptible:
                    total = total + row.usage
    for job, usage in ledger.booked():
        below = job.spec.queue == path or job.spec.queue.startswith(prefix)
        if below and not job.spec.preemptible:
            total = total + usage
    return total


def _over(used: Resources, need: Resources, limit: Mapping[str, int]) -> str | None:
    return next(
        (kind for kind, most in limit.items() if need[kind] and used[kind] + need[kind] > most),
        None,
    )
