"""Let elastic jobs grow into what nobody else can use, one worker at a time.

After everybody who could start has started: the next worker goes to the job whose queue would be
lowest for its weight, then to the one that has least of its maximum, then to the oldest. Surplus
workers hold nobody up: they are the first to go when a job waits (`claim`).

Takes:   cycle, with all starts decided
Gives:   the cycle's jobs with more workers
Cost:    O(elastic jobs) for each worker, and nothing where no room is left
"""

from __future__ import annotations

import msgspec

from makeway.model.cluster import Placement
from makeway.model.job import Job, WorkerGroup
from makeway.policy.cycle import Cycle
from makeway.policy.ledger import way
from makeway.policy.limits import growth_barrier
from makeway.policy.snapshot import Kind, kind_of


class _Grower(msgspec.Struct, eq=False):
    """An elastic job, its rows so far, and how many workers it has and may have."""

    job: Job
    kind: Kind
    rows: list[Placement]
    most: int


def grow(cycle: Cycle) -> None:
    """Give away what is left to those who can use more workers."""
    growers = [_grower(job, rows) for job, rows in cycle.starting() if job.spec.elastic]
    for row in cycle.elastic:
        leaving = row.job.id in cycle.snapshot.leaving
        if cycle.stays(row) and not leaving and not cycle.shrunk(row):
            growers.append(_grower(row.job, cycle.rows_of(row)))
    while growers:
        able = []
        for one in growers:
            slot = _slot(cycle, one)
            if slot is not None:
                able.append((_key(cycle, one), slot, one))
        if not able:
            return
        _, slot, one = min(able, key=lambda entry: entry[0])
        cycle.grow(one.job, one.rows, slot)
        one.rows = cycle.rows(one.job.id)
        growers = [entry[2] for entry in able]


def _grower(job: Job, rows: list[Placement]) -> _Grower:
    return _Grower(job, kind_of(job), rows, sum(group.count_max for group in job.spec.groups))


def _slot(cycle: Cycle, one: _Grower) -> Placement | None:
    """Find a slot for one more worker: on a node that it has already, else on the tightest."""
    group = _group(one)
    if group is None or growth_barrier(one.kind, group.per_worker, cycle.ledger, cycle.terms):
        return None
    copies = cycle.ledger.taking(group.per_worker)
    names = [name for name in one.kind.nodes if name in copies] if one.kind.nodes else [*copies]
    if one.kind.domain is not None and one.kind.domain.required:
        nodes, label = cycle.ledger.nodes, one.kind.domain.label
        first = one.rows[0].node
        home = nodes.get(first) or cycle.snapshot.draining.get(first)
        here = None if home is None else home.labels.get(label)
        names = [name for name in names if nodes[name].labels.get(label) == here]
    if not names:
        return None
    own = {row.node for row in one.rows}
    capacity = cycle.ledger.capacity
    best = min(
        names,
        key=lambda name: (name not in own, cycle.ledger.room(name).dominant(capacity), name),
    )
    return Placement(best, group.name, 1)


def _group(one: _Grower) -> WorkerGroup | None:
    for group in one.job.spec.groups:
        if sum(row.count for row in one.rows if row.group == group.name) < group.count_max:
            return group
    return None


def _key(cycle: Cycle, one: _Grower) -> tuple[object, ...]:
    group = _group(one)
    assert group is not None
    levels = [cycle.levels.of(path, group.per_worker) for path in way(one.kind.queue)[1:]]
    count = sum(row.count for row in one.rows)
    return levels, count / one.most, one.job.order, one.job.id
