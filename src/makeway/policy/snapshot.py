"""Hold all that a decision may see, and nothing else.

A snapshot is never changed. Whoever wants to try something takes a `Ledger` over it. What is kept
beside the records (free room, sums by queue, jobs that are alike) is kept by the engine while events
are applied, so that a cycle costs what there is to decide and not what is there; it is equal to
what one would count, and the tests count it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from makeway.model.cluster import Allocation, Node, Placement, Queue, Spending
from makeway.model.job import Domain, Job, WorkerGroup
from makeway.model.resources import NOTHING, Resources
from makeway.model.rules import Rules
from makeway.policy.held import Held
from makeway.policy.memo import Memo
from makeway.policy.rooms import Rooms


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A job that holds an allocation, since when, and how much that is.

    `allocation` is what is physically held, also by workers that were told to leave; those are in
    `Snapshot.leaving`. The seqs are those of the entries by which it started and was last resized:
    they tell who came before whom within one instant. `line_seq` is that of the entry by which it
    became first in line or slots were kept for it; None: it was not before it started.
    """

    job: Job
    allocation: Allocation
    usage: Resources
    started_at_ms: int
    started_seq: int = 0
    line_seq: int | None = None
    resized_seq: int = 0


class Kind(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a decision looks at in a waiting job; jobs of one kind differ in their age alone.

    Equality is identity: whoever makes kinds keeps one object for each (see `kind_key`). `need` is
    what all workers take without which it does not start, `most` what it takes at its largest.
    """

    queue: str
    priority: int
    own_priority: int
    groups: tuple[WorkerGroup, ...]
    need: Resources
    most: Resources
    preemptible: bool = True
    lasts_ms: int | None = None
    nodes: tuple[str, ...] = ()
    domain: Domain | None = None
    idle_only: bool = False


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The cluster, the share tree, who runs and who waits, at one instant.

    basis     seq of the last event applied; a plan carries it, so that a stale one shows
    now_ms    ms since 1970
    rules     the settings of the policy
    nodes     by name: those that are up
    lost      by name: those that were there and may come back
    draining  by name: those that are up and get no new work; while any runs there they count
    free      by node name: its capacity minus what is physically there (below 0 if it shrank)
    queues    by path: those that are declared or have an unfinished job, and their parents; the
              root has the path ""
    held      by (queue, own priority of the job): no sums over subtrees
    running   by job id, in the order of their start
    running_in  the same rows by queue and then by job id
    elastic   ids of the running jobs whose number of workers may change
    leaving   by job id: the placements whose workers were told to leave and are not gone
    lanes     by kind: the jobs that wait and may start, each lane in order of age, never empty
    paused    jobs that wait and may not start yet: held, or a backoff is not over
    reserved  by job id: slots kept for a job that waits or is being moved, in the order in which they
              were reserved
    planned   by job id: seq of the entry by which a waiting job became first in line for room, or
              by which slots were kept for it
    past      by path: usage of the past, decayed until now (resource-ms), if the rules want it
    spent     by path: what queues with a budget have spent of it
    by_id, kind_by_id   the jobs that wait, as far as they are filed by id; others are looked for
    rooms     answers where there is room without looking at every node
    demand_seq  the last entry that changed demand or supply: who was evicted since then was evicted for
              an equal, under the same demand
    memo      what earlier cycles have worked out; it changes no answer
    """

    basis: int
    now_ms: int
    rules: Rules = Rules()
    nodes: Mapping[str, Node]
    lost: Mapping[str, Node] = {}
    draining: Mapping[str, Node] = {}
    free: Mapping[str, Resources]
    queues: Mapping[str, Queue]
    held: Mapping[tuple[str, int], Held] = {}
    running: Mapping[str, Running] = {}
    running_in: Mapping[str, Mapping[str, Running]] = {}
    elastic: Collection[str] = ()
    leaving: Mapping[str, Sequence[Placement]] = {}
    lanes: Mapping[Kind, Sequence[Job]] = {}
    paused: Sequence[Job] = ()
    reserved: Mapping[str, Allocation] = {}
    planned: Mapping[str, int] = {}
    past: Mapping[str, Mapping[str, float]] = {}
    spent: Mapping[str, Spending] = {}
    by_id: Mapping[str, Job] = {}
    kind_by_id: Mapping[str, Kind] = {}
    rooms: Rooms
    memo: Memo = msgspec.field(default_factory=Memo)
    demand_seq: int = 0

    def counted(self) -> list[Node]:
        """Give the nodes that are capacity: all that take work, and drained ones at work."""
        if not self.draining:
            return [*self.nodes.values()]
        rows = (row for one in self.running.values() for row in one.allocation.placements)
        busy = {row.node for row in rows if row.node in self.draining}
        return [*self.nodes.values(), *(self.draining[name] for name in sorted(busy))]

    def waiting(self) -> Iterator[Job]:
        """Give every job that waits, in no order; those that may not start yet come last."""
        for lane in self.lanes.values():
            yield from lane
        yield from self.paused

    def keepers(self) -> dict[str, tuple[Job, Kind | None]]:
        """Find the jobs for which slots are kept, with kinds; None: it cannot start yet."""
        found = {
            name: (self.by_id[name], self.kind_by_id.get(name))
            for name in self.reserved
            if name in self.by_id
        }
        if len(found) < len(self.reserved):
            for kind, lane in self.lanes.items():
                found |= {job.id: (job, kind) for job in lane if job.id in self.reserved}
            found |= {job.id: (job, None) for job in self.paused if job.id in self.reserved}
            rows = (self.running.get(name) for name in self.reserved)
            found |= {row.job.id: (row.job, None) for row in rows if row is not None}
        return found


def kind_key(job: Job) -> tuple[object, ...]:
    """Give what two jobs have in common when they are of one kind."""
    spec = job.spec
    groups = tuple(
        (group.name, group.count_min, group.count_max, tuple(group.per_worker.amounts.items()))
        for group in spec.groups
    )
    return (
        spec.queue, job.priority, spec.priority, groups, spec.preemptible, spec.lasts_ms,
        job.nodes, spec.domain, spec.yielded_from is not None,
    )  # fmt: skip


def kind_of(job: Job) -> Kind:
    """Make the kind of a job."""
    spec, need = job.spec, NOTHING
    for group in spec.groups:
        need = need + group.per_worker.times(group.count_min)
    return Kind(
        queue=spec.queue,
        priority=job.priority,
        own_priority=spec.priority,
        groups=spec.groups,
        need=need,
        most=spec.asked,
        preemptible=spec.preemptible,
        lasts_ms=spec.lasts_ms,
        nodes=job.nodes,
        domain=spec.domain,
        idle_only=spec.yielded_from is not None,
    )
