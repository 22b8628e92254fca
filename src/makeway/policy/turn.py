"""Keep what a rival has decided in one round: who starts, who is evicted for whom, who waits.

The rivals know no shares and no limits, so this costs less than a cycle of the fair policy: the
ledger is begun without anybody's usage, and lanes are looked at when their turn comes.

Takes:   snapshot, never changed; the name of the rule that stands beside evictions
Gives:   `find` room, `start`, `clear` room by evictions, and at last the Plan
Holds:   whoever has slots kept starts on them as soon as they are there · a gang whole or not at all ·
         no victim is evicted whose slots are not wanted
Cost:    O(kinds of waiting jobs), O(nodes) for each size that is asked about
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from makeway.model.cluster import Allocation
from makeway.model.job import Job
from makeway.model.phase import JobPhase
from makeway.model.wait import ROOM, Reason, Wait
from makeway.policy.cost import lost_worker_ms
from makeway.policy.explain import moving, no_room
from makeway.policy.find import find
from makeway.policy.kept import by_node, kept, leavers
from makeway.policy.ledger import Ledger
from makeway.policy.memo import Memo
from makeway.policy.never import never
from makeway.policy.order import lanes_of
from makeway.policy.plan import Decided, Hold, Plan, Preempt, Reject, Release, Reserve, Start
from makeway.policy.snapshot import Kind, Running, Snapshot


class Turn:
    """One round of decisions of a rival; see the module."""

    def __init__(self, snapshot: Snapshot, rule: str) -> None:
        """Begin: let those start for whom slots were kept."""
        self.snapshot, self.rule = snapshot, rule
        # Nobody's usage is looked at; the sums of others who share the memo are left alone.
        self.ledger = Ledger(replace(snapshot, held={}, memo=Memo()))
        self.wake_at_ms: int | None = None
        self._released: list[Decided] = []
        self._evicted: dict[str, Preempt] = {}
        self._steps: list[Decided] = []
        self._kept: dict[str, tuple[str, ...]] = {}  # by job: who leaves for it
        self._over: set[str] = set()
        self._never: dict[Kind, Wait] = {}
        self._full: set[int] = set()  # groups that have no room in this round
        self._possible: set[int] = set()  # groups that may have room one day
        self._take_up()
        self.lines = lanes_of(snapshot)

    # ── what is decided ───────────────────────────────────────────────────────────────────────────

    def find(self, kind: Kind) -> Allocation | None:
        """Find room for a job of this kind now; what has none in this round gets none later."""
        plain = not kind.nodes and kind.domain is None
        if plain and id(kind.groups) in self._full:
            return None
        allocation = find(kind, self.ledger)
        if allocation is None and plain:
            self._full.add(id(kind.groups))
        return allocation

    def start(self, job: Job, allocation: Allocation) -> None:
        """Give a job these slots now."""
        self.ledger.start(job, allocation.placements)
        self._over.add(job.id)
        self._steps.append(Start(job=job.id, allocation=allocation))

    def refused(self, kind: Kind) -> bool:
        """Refuse all jobs of a kind that can never run; say whether it is one."""
        plain = not kind.nodes and kind.domain is None
        if plain and id(kind.groups) in self._possible:
            return False
        wait = never(kind, self.snapshot)
        if wait is None and plain:
            self._possible.add(id(kind.groups))
        if wait is not None:
            self._never[kind] = wait
        return wait is not None

    def clear(self, kind: Kind, job: Job, victims: Iterable[Running]) -> bool:
        """Keep slots for a job by evicting some of these, the first before the others."""
        ledger, mark, gone = self.ledger, self.ledger.checkpoint(), list[Running]()
        allocation = find(kind, ledger, soon=True)
        for row in victims if allocation is None else ():
            if self.stays(row):
                ledger.evict(row, row.allocation.placements)
                gone.append(row)
                allocation = find(kind, ledger, soon=True)
                if allocation is not None:
                    break
        if allocation is None:
            ledger.rollback(mark)
            return False
        gone = self._needed(gone, job, allocation)
        for row in gone:
            self._evict(row, job)
        names = tuple(row.job.id for row in gone)
        ledger.keep(job, allocation)
        self._kept[job.id] = names
        self._steps.append(
            Reserve(job=job.id, allocation=allocation, rule=self.rule, victims=names)
        )
        return True

    def stays(self, row: Running) -> bool:
        """Say whether nobody has told a running job to leave."""
        return row.job.phase is not JobPhase.EVICTING and row.job.id not in self._evicted

    def may_evict(self, row: Running) -> bool:
        """Say whether a running job may be evicted at all."""
        ran_ms = self.snapshot.now_ms - row.started_at_ms
        return (
            self.stays(row)
            and row.job.spec.preemptible
            and ran_ms >= self.snapshot.rules.preemption.min_run_ms
        )

    # ── the plan ──────────────────────────────────────────────────────────────────────────────────

    def plan(self, explain: Callable[[Kind, str], Wait] | None = None) -> Plan:
        """Give the plan; `explain` says why those wait for whom no slots are kept."""
        say = explain or (lambda kind, _job: no_room(kind, self.ledger))

        def explained(kind: Kind, job: str) -> Wait:
            victims = self._victims_for(job)
            if kind in self._never:
                return self._never[kind]
            return say(kind, job) if victims is None else moving(kind, victims)

        refused = [
            Reject(job=job.id, wait=wait)
            for kind, wait in self._never.items()
            for job in self.snapshot.lanes[kind]
            if job.id not in self._over and job.id not in self.snapshot.reserved
        ]
        refused.sort(key=lambda one: one.job)
        return Plan(
            basis=self.snapshot.basis,
            decisions=(*self._released, *self._evicted.values(), *self._steps, *refused),
            holds=self._holds(),
            explain=explained,
            wake_at_ms=self.wake_at_ms,
        )

    def _holds(self) -> list[Hold]:
        over, moving = self._over, {*self._kept, *self.snapshot.reserved}
        holds = []
        for kind, jobs in self.snapshot.lanes.items():
            if kind in self._never:
                continue
            waits = kept = False
            for job in jobs:
                if job.id in over:
                    continue
                if job.id not in moving:
                    waits = True
                    break
                kept = True
            if waits or kept:
                reason = ROOM[0] if waits else Reason.WAITING_FOR_EVICTION
                holds.append(Hold(kind=kind, reason=reason))
        return holds

    def _victims_for(self, job: str) -> tuple[str, ...] | None:
        if job in self._kept:
            return self._kept[job]
        if job not in self.snapshot.reserved or job in self._over:
            return None
        return leavers(self.snapshot, job)

    # ── what was kept before ──────────────────────────────────────────────────────────────────────

    def _take_up(self) -> None:
        for one in kept(self.ledger):
            name = one.job.id
            if one.ready:
                self.ledger.take_up(one.job, one.allocation)
                self._over.add(name)
                self._steps.append(Start(job=name, allocation=one.allocation))
            else:
                self.ledger.give_up(one.job, one.allocation)
                self._released.append(Release(job=name, text=one.lost))

    # ── evictions ─────────────────────────────────────────────────────────────────────────────────

    def _needed(self, gone: list[Running], job: Job, allocation: Allocation) -> list[Running]:
        """Let those stay after all whose slots are not wanted, the last that was told to go first."""
        wanted, needed = by_node(allocation, job.spec.groups), list[Running]()
        for row in reversed(gone):
            rows = row.allocation.placements
            self.ledger.give_back(row, rows, whole=True)
            if any(
                not wanted[one.node].fits(self.ledger.room(one.node, soon=True))
                for one in rows
                if one.node in wanted
            ):
                self.ledger.evict(row, rows)
                needed.append(row)
        return needed[::-1]

    def _evict(self, row: Running, job: Job) -> None:
        self._evicted[row.job.id] = Preempt(
            job=row.job.id,
            beneficiary=job.id,
            rule=self.rule,
            text=f"{job.id} comes before it by the rule of {self.rule}",
            lost_worker_ms=lost_worker_ms(row, self.snapshot.now_ms),
        )
