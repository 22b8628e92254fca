"""Say who may be made to leave for whom, and by which rule.

`priority`: a higher class takes from a lower one, in its own queue, and where its class counts in
the whole cluster in any other; but never below what the victim's queue was guaranteed.
`reclaim`: a queue below its due takes from one above its own. Compared are the two branches that
meet at the last queue above both, over the kinds that the claimant needs: after it the claimant's
may not be fuller than the victim's (A), or at least not as full as the victim's was before, for
the last victim of a queue (B). Inside its guarantee a queue takes without any such comparison.
`backfill`: who was let past the job that has been first in line for longest leaves again when that
makes it fit, unless it could take the place back at once.
`elastic`: surplus workers give way to any job of their own queue.

Takes:   cycle, claimant
Gives:   the rule, or None, as the ledger stands; each victim is to be booked before the next
Source:  Kueue, fair sharing: LessThanOrEqualToFinalShare, LessThanInitialShare; guarantees: KAI
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from makeway.model.cluster import Placement, lineage_of
from makeway.model.job import SYSTEM_MIN, Job
from makeway.model.resources import NOTHING, Resources
from makeway.model.rules import Scope
from makeway.policy.cost import worth
from makeway.policy.cycle import Cycle
from makeway.policy.ledger import parting, usage_of_rows
from makeway.policy.level import Level, inside
from makeway.policy.limits import barrier
from makeway.policy.order import Lane
from makeway.policy.snapshot import Kind, Running

Victims = Sequence[tuple[Running, str, Sequence[Placement]]]


class Claimant(msgspec.Struct, frozen=True):
    """The job that wants room, and how much."""

    kind: Kind
    job: Job
    need: Resources


class Legal:
    """The question for one claimant; see the module."""

    def __init__(self, cycle: Cycle, claimant: Claimant) -> None:
        """Look at the claimant's own queue and rules once."""
        self.cycle, self.claimant = cycle, claimant
        kind, terms, ledger = claimant.kind, cycle.terms, cycle.ledger
        self.limited = barrier(kind, claimant.need, ledger, terms) is not None
        self.system = kind.priority >= SYSTEM_MIN
        self._wide = cycle.rules.scope_of(kind.own_priority) is Scope.CLUSTER
        # Only who has been first in line for longest may send away who was let past it: if all might,
        # the oldest jobs would evict the younger ones all the time.
        first = claimant.job.id == cycle.longest_in_line
        self._since = cycle.snapshot.planned.get(claimant.job.id) if first else None
        # Whoever was evicted at this very instant takes nothing from its equals: that could go on.
        self._just_evicted = claimant.job.evicted_at_ms == cycle.snapshot.now_ms
        self._partings: dict[str, tuple[str, str]] = {}
        self._full: dict[str, Level] = {}
        self.inside_guarantee = any(
            self._inside(path) for path in lineage_of(kind.queue) if path in terms.guarantee
        )

    def may_try(self) -> bool:
        """Say whether this job may have anything evicted yet; if not, ask again when it may."""
        cycle, job = self.cycle, self.claimant.job
        preemption, now_ms = cycle.rules.preemption, cycle.snapshot.now_ms
        if not preemption.priority and not preemption.reclaim:
            return False
        at_ms = max(job.submitted_at_ms, job.not_before_ms) + preemption.delay_ms
        if job.evicted_at_ms is not None:
            at_ms = max(at_ms, job.evicted_at_ms + preemption.cooldown_ms)
        if now_ms < at_ms and not self.system:
            cycle.wake(at_ms)
            return False
        return True

    def elastic(self) -> Iterator[Running]:
        """Give the running elastic jobs that may have to give something."""
        return (row for row in self.cycle.elastic if self.cycle.stays(row))

    def jobs(self) -> Iterator[Running]:
        """Give the running jobs that a rule may apply to, of the queues where one can."""
        cycle, now_ms = self.cycle, self.cycle.snapshot.now_ms
        for queue, rows in cycle.snapshot.running_in.items():
            if not self._queue_in_question(queue):
                continue
            for row in rows.values():
                if not row.job.spec.preemptible or not cycle.stays(row):
                    continue
                ran_until_ms = row.started_at_ms + cycle.rules.preemption.min_run_ms
                if now_ms < ran_until_ms:
                    cycle.protected.setdefault(self.claimant.kind, []).append(row.job.id)
                    cycle.wake(ran_until_ms)
                    continue
                if self.rule(row, row.usage) is not None:
                    yield row

    def rule(self, row: Running, amount: Resources, *, surplus: bool = False) -> str | None:
        """Find the rule by which this much of a running job may be taken, as the ledger stands."""
        own, queue = self.claimant.kind.queue, row.job.spec.queue
        rules, mine, theirs = self.cycle.rules.preemption, self.claimant.kind, row.job.priority
        if theirs >= SYSTEM_MIN and theirs >= mine.priority:
            return None
        if self.limited and not self._frees_limit(queue, theirs):
            return None
        if queue == own and surplus:
            return "elastic"
        lower = theirs < mine.priority
        ignores = self.system or queue == own
        may = rules.priority and lower and (ignores or self._wide)
        if may and (ignores or not self._breaks_guarantee(queue, amount)):
            return "priority"
        if self._just_evicted:
            self.cycle.wake(self.cycle.snapshot.now_ms + 1)
            return None
        if queue != own and rules.reclaim and self._reclaims(row, amount):
            return "reclaim"
        late = self._let_past(row, surplus=surplus) and theirs <= mine.priority
        if late and (queue == own or not self._guaranteed(queue, amount)):
            return "backfill"
        return None

    def straddles(self, row: Running) -> bool:
        """Say whether without the job its queue would have less than the claimant's: rule B alone."""
        lower = row.job.priority < self.claimant.kind.priority
        if self.inside_guarantee or (lower and self._wide and self.cycle.rules.preemption.priority):
            return False
        here, there = self._parting(row.job.spec.queue)
        return self._level(here, self.claimant.need) > self._level(there, NOTHING, row.usage)

    def fullness(self, queue: str) -> Level:
        """Say how full the victim's branch is, over the kinds that the claimant needs."""
        if queue not in self._full:
            self._full[queue] = self._level(self._parting(queue)[1], NOTHING)
        return self._full[queue]

    def still(self, victims: Victims) -> bool:
        """Look at the final set again: give all back, and take one after the other."""
        ledger = self.cycle.ledger
        mark = ledger.checkpoint()
        for row, _, rows in reversed(victims):
            ledger.give_back(row, rows, whole=False)
        legal = True
        for row, rule, rows in victims:
            surplus = row.job.spec.elastic and rule == "elastic"
            amount = usage_of_rows(row.job, rows)
            if (
                self.rule(
                    row, amount, surplus=surplus or (len(rows) < 2 and self._partly(row, rows))
                )
                is None
            ):
                legal = False
            ledger.shrink(row, rows)
        legal = legal and not any(
            rule == "backfill" and self._could_return(row, rows) for row, rule, rows in victims
        )
        ledger.rollback(mark)
        return legal

    def text(self, row: Running, rule: str) -> str:
        """Say why this job has to leave."""
        me, own, theirs = self.claimant.job.id, self.claimant.kind.queue, row.job.spec.queue
        if rule == "priority":
            return (
                f"{me} has priority {self.claimant.kind.priority}, {row.job.id} {row.job.priority}"
            )
        if rule == "reclaim":
            here, there = self._parting(theirs)
            mine, other = self._level(here, self.claimant.need), self._level(there, NOTHING)
            return (
                f"{here.rstrip('/') or own} is below its due: with {me} at {mine[1]:.1%} of the "
                f"cluster for its weight, {there.rstrip('/') or theirs} without {row.job.id} at {other[1]:.1%}"
            )
        return f"{me} was first in line when {row.job.id} was let past it"

    # ── the rules ─────────────────────────────────────────────────────────────────────────────────

    def _reclaims(self, row: Running, amount: Resources) -> bool:
        queue, kind, cycle = row.job.spec.queue, self.claimant.kind, self.cycle
        if row.job.priority > kind.priority and self._wide and not self.inside_guarantee:
            return False
        if self._guaranteed(queue, amount):
            return False
        if self.inside_guarantee:
            return True
        here, there = self._parting(queue)
        need = self.claimant.need
        mine = self._level(here, need)
        if mine > self._level(there, NOTHING, amount) and mine >= self._level(there, NOTHING):
            return False
        used, owed = cycle.ledger.usage(there), cycle.due.get(there, NOTHING)
        return self._below_due(here) and any(used[one] > owed[one] for one in need if amount[one])

    def _queue_in_question(self, queue: str) -> bool:
        """Say cheaply whether anything of a queue could be taken."""
        own, cycle, kind = self.claimant.kind.queue, self.cycle, self.claimant.kind
        rules = cycle.rules.preemption
        if self._waited_for_by_late_comers():
            return True
        lowest = cycle.lowest_class(queue)
        if rules.priority and lowest < kind.priority and (queue == own or self._wide):
            return True
        if queue == own or not rules.reclaim:
            return False
        if self.inside_guarantee:
            return True
        here, there = self._parting(queue)
        # Dues are dear to work out, so they are asked last.
        emptier = self._level(here, self.claimant.need) < self._level(there, NOTHING)
        return emptier and self._below_due(here) and self._above_due(there)

    def _below_due(self, path: str) -> bool:
        usage, due = self.cycle.ledger.usage(path), self.cycle.due.get(path, NOTHING)
        return any(usage[kind] < due[kind] for kind in self.claimant.need)

    def _above_due(self, path: str) -> bool:
        usage, due = self.cycle.ledger.usage(path), self.cycle.due.get(path, NOTHING)
        return any(usage[kind] > due[kind] for kind in self.claimant.need)

    def _waited_for_by_late_comers(self) -> bool:
        """Say whether all that was let past the claimant could be enough for it."""
        if self._since is None:
            return False
        cycle = self.cycle
        late = cycle.let_past(self._since)
        return bool(late) and self.claimant.need.fits(late + cycle.soon_total)

    def _let_past(self, row: Running, *, surplus: bool) -> bool:
        if self._since is None:
            return False
        began = row.started_seq if row.line_seq is None else row.line_seq
        came = row.resized_seq if surplus else began
        if came <= self._since:
            return False
        # Only the younger leaves: with an order that is the same for all, no three go in circles.
        return surplus or row.job.order > self.claimant.job.order

    def _could_return(self, row: Running, rows: Sequence[Placement]) -> bool:
        """Say whether a job that was let past could take its place back from the claimant."""
        if row.job.spec.queue == self.claimant.kind.queue:
            return False
        amount, need = usage_of_rows(row.job, rows), self.claimant.need
        here, there = self._parting(row.job.spec.queue)
        return worth(amount, need) and self._level(there, amount) < self._level(here, need)

    # ── guarantees and limits ─────────────────────────────────────────────────────────────────────

    def _inside(self, path: str) -> bool:
        sure, need = self.cycle.terms.guarantee[path], self.claimant.need
        return any(need[kind] for kind in sure) and inside(
            self.cycle.ledger.usage(path) + need, sure
        )

    def _guaranteed(self, queue: str, amount: Resources) -> bool:
        """Say whether a queue on the victim's side is inside its guarantee already."""
        return any(
            all(usage[kind] <= sure[kind] for kind in sure if amount[kind])
            for usage, sure in self._promises(queue, amount)
        )

    def _breaks_guarantee(self, queue: str, amount: Resources) -> bool:
        """Say whether a queue on the victim's side would fall below its guarantee."""
        return any(
            any(usage[kind] - amount[kind] < sure[kind] for kind in sure if amount[kind])
            for usage, sure in self._promises(queue, amount)
        )

    def _promises(
        self, queue: str, amount: Resources
    ) -> Iterator[tuple[Resources, dict[str, int]]]:
        terms, ledger = self.cycle.terms, self.cycle.ledger
        shared = set(lineage_of(self.claimant.kind.queue))
        for path in lineage_of(queue):
            sure = terms.guarantee.get(path)
            if path not in shared and sure and any(amount[kind] for kind in sure):
                yield ledger.usage(path), dict(sure)

    def _frees_limit(self, queue: str, priority: int) -> bool:
        """Say whether evicting from this queue helps against the limit that holds the claimant."""
        ledger, terms, me = self.cycle.ledger, self.cycle.terms, self.claimant
        found = barrier(me.kind, me.need, ledger, terms)
        if found is None:
            return True
        below = queue == found.queue or queue.startswith(f"{found.queue}/")
        return below and priority < me.kind.priority

    # ── levels ────────────────────────────────────────────────────────────────────────────────────

    def _level(self, path: str, more: Resources, less: Resources = NOTHING) -> Level:
        usage = self.cycle.ledger.usage(path) + more - less
        return self.cycle.levels.with_usage(path, usage, tuple(self.claimant.need))

    def _parting(self, queue: str) -> tuple[str, str]:
        """Find where the claimant's queue and another part: the branch of each."""
        if queue not in self._partings:
            self._partings[queue] = parting(self.claimant.kind.queue, queue)
        return self._partings[queue]

    def _partly(self, row: Running, rows: Sequence[Placement]) -> bool:
        return row.job.spec.elastic and sum(one.count for one in rows) < row.allocation.workers


def outranks(cycle: Cycle, other: Lane, lane: Lane) -> bool:
    """Say whether the head of one lane could take its room back from that of another at once."""
    if other.at >= len(other.jobs):
        return False
    mine, theirs = lane.kind, other.kind
    if mine.queue == theirs.queue:
        return theirs.priority > mine.priority
    if not worth(other.need, lane.need):
        return False
    here, there = parting(mine.queue, theirs.queue)
    return cycle.levels.of(there, other.need) < cycle.levels.of(here, lane.need)
