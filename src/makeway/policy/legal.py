"""Say who may be made to leave for whom, and by which rule.

`priority`: a higher class takes from a lower one, in its own queue, and where its class counts in
the whole cluster in any other; but never below what the victim's queue was guaranteed.
`reclaim`: a queue below its due takes from one above its own. Compared are the two branches that
meet at the last queue above both, over the kinds that the claimant needs: after it the claimant's
may not be fuller than the victim's (A), or at least not as full as the victim's was before, for
the last victim of a queue (B). Inside its guarantee a queue takes without any such comparison.
`backfill`: who was let past the job that has been first in line for longest leaves again when that
makes it fit, unless it could take a place back at once: from the claimant, or by `reclaim` from a
third. Otherwise the same jobs would be evicted and started in circles.
`elastic`: surplus workers give way to any job of their own queue.

Takes:   cycle, claimant
Gives:   the rule, or None, as the ledger stands; each victim is to be booked before the next
Source:  Kueue, fair sharing: LessThanOrEqualToFinalShare, LessThanInitialShare; guarantees: KAI
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import msgspec

from makeway.model.cluster import Placement, lineage_of
from makeway.model.job import SYSTEM_MIN, Job
from makeway.model.resources import NOTHING, Resources
from makeway.model.rules import Scope
from makeway.policy.cost import worth
from makeway.policy.cycle import Cycle
from makeway.policy.herds import herds
from makeway.policy.ledger import parting, usage_of_rows
from makeway.policy.level import Level, inside
from makeway.policy.limits import barrier
from makeway.policy.memo import branch_above
from makeway.policy.reach import Reach, reach_of
from makeway.policy.snapshot import Kind, Running

Victims = Sequence[tuple[Running, str, Sequence[Placement]]]


class Claimant(msgspec.Struct, frozen=True):
    """The job that wants room, and how much."""

    kind: Kind
    job: Job
    need: Resources


class Legal:
    """The question for one claimant; see the module."""

    def __init__(self, cycle: Cycle, claimant: Claimant, *, limited: bool) -> None:
        """Look at the claimant's own queue and rules once; `limited`: a limit holds it up."""
        self.cycle, self.claimant, self.limited = cycle, claimant, limited
        kind, terms = claimant.kind, cycle.terms
        self.system = kind.priority >= SYSTEM_MIN
        self._wide = cycle.rules.scope_of(kind.own_priority) is Scope.CLUSTER
        # Only who has been first in line for longest may send away who was let past it: if all might,
        # the oldest jobs would evict the younger ones all the time.
        first = claimant.job.id == cycle.longest_in_line
        self._since = cycle.snapshot.planned.get(claimant.job.id) if first else None
        # Who was evicted, and demand is still the same, takes back from its equals only what leaves
        # them as full as itself (A): each such step lifts the lowest level, so it cannot go on.
        evicted = claimant.job.evicted_seq
        self._came_back = evicted is not None and evicted > cycle.snapshot.demand_seq
        self._full: dict[str, Level] = {}
        self.inside_guarantee = bool(terms.guarantee) and any(
            self._inside(path) for path in lineage_of(kind.queue) if path in terms.guarantee
        )
        self.late = self._since is not None and self._late_are_enough(self._since)
        self._queues: dict[str, str | None] | None = None
        self._kinds = tuple(claimant.need.amounts)

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

    def alike(self) -> Iterator[list[Running]]:
        """Give the herds to which a rule applies as the ledger stands, whoever came first."""
        for queue in self.queues:
            for (priority, amount), herd in herds(self.cycle.snapshot, queue).items():
                if self.worth_it(amount) and self._of_herd(queue, priority, amount) is not None:
                    yield herd

    def jobs(self) -> Iterator[list[Running]]:
        """Give the running jobs that a rule applies to as the ledger stands, those alike together."""
        cycle, found = self.cycle, set[str]()
        for herd in self.alike():
            if self.late:
                found.update(row.job.id for row in herd)
            able = [row for row in herd if cycle.stays(row) and self._old_enough(row)]
            if able:
                yield able
        if self.late:
            late = (row for row in cycle.let_past(self._since or 0) if row.job.id not in found)
            for row in late:
                may_leave = row.job.spec.preemptible and self._let_past(row) and cycle.stays(row)
                useful = may_leave and self.worth_it(row.usage) and self._old_enough(row)
                if useful and self.rule(row, row.usage) is not None:
                    yield [row]

    def worth_it(self, lost: Resources) -> bool:
        """Refuse to evict more than twice what starts, unless it is owed (or an administrator's)."""
        return self.system or self.inside_guarantee or worth(self.claimant.need, lost)

    def hopeless(self) -> bool:
        """Say, by sums alone, that not even all that may be taken is enough."""
        return not self.late and self._reach().hopeless(self.claimant.need)

    def rule(self, row: Running, amount: Resources, *, surplus: bool = False) -> str | None:
        """Find the rule by which this much of a running job may be taken, as the ledger stands."""
        queue, theirs = row.job.spec.queue, row.job.priority
        if self._spared(queue, theirs):
            return None
        if surplus and queue == self.claimant.kind.queue:
            return "elastic"
        found = self._of_herd(queue, theirs, amount)
        if found is not None or self._came_back:
            return found
        late = self._let_past(row, surplus=surplus) and theirs <= self.claimant.kind.priority
        if late and (queue == self.claimant.kind.queue or not self._guaranteed(queue, amount)):
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

    def _of_herd(self, queue: str, theirs: int, amount: Resources) -> str | None:
        """Find the rule that does not ask who came first, for jobs of one class and size."""
        own, rules, mine = self.claimant.kind.queue, self.cycle.rules.preemption, self.claimant.kind
        if self._spared(queue, theirs):
            return None
        ignores = self.system or queue == own
        may = rules.priority and theirs < mine.priority and (ignores or self._wide)
        if may and (ignores or not self._breaks_guarantee(queue, amount)):
            return "priority"
        if queue != own and rules.reclaim and self._reclaims(queue, theirs, amount):
            return "reclaim"
        return None

    def _spared(self, queue: str, theirs: int) -> bool:
        """Say whether nothing is taken from jobs of this class in this queue, whatever the rule."""
        if theirs >= SYSTEM_MIN and theirs >= self.claimant.kind.priority:
            return True
        return self.limited and not self._frees_limit(queue, theirs)

    def _old_enough(self, row: Running) -> bool:
        """Say whether a job has run so long that it may be evicted; if not, ask again when it has."""
        cycle = self.cycle
        ran_until_ms = row.started_at_ms + cycle.rules.preemption.min_run_ms
        if cycle.snapshot.now_ms >= ran_until_ms:
            return True
        cycle.protected.setdefault(self.claimant.kind, []).append(row.job.id)
        cycle.wake(ran_until_ms)
        return False

    def _reclaims(self, queue: str, theirs: int, amount: Resources) -> bool:
        kind, cycle = self.claimant.kind, self.cycle
        if theirs > kind.priority and self._wide and not self.inside_guarantee:
            return False
        if self._guaranteed(queue, amount):
            return False
        if self.inside_guarantee:
            return True
        here, there = self._parting(queue)
        need, used = self.claimant.need, cycle.ledger.usage(there)
        owed = cycle.due.get(there, NOTHING)
        above = any(used[one] > owed[one] for one in need if amount[one])
        if not above or not self._below_due(here):
            return False
        mine = self._level(here, need)
        if mine <= self._level(there, NOTHING, amount):
            return True
        return not self._came_back and mine < self._level(there, NOTHING)

    @property
    def queues(self) -> Mapping[str, str | None]:
        """Name the queues of which anything could be taken as it was asked first (`Reach`)."""
        if self._queues is None:
            self._queues = self._reach().queues(self.claimant.need)
        return self._queues

    def _reach(self) -> Reach:
        return reach_of(self.cycle, self.claimant.kind, sure=self.inside_guarantee)

    def _below_due(self, path: str) -> bool:
        usage, due = self.cycle.ledger.usage(path).amounts, self.cycle.due.get(path, NOTHING)
        for kind in self.claimant.need.amounts:  # noqa: SIM110 - twice as fast as any()
            if usage.get(kind, 0) < due[kind]:
                return True
        return False

    def _late_are_enough(self, since: int) -> bool:
        """Say whether all that was let past the claimant could be enough for it."""
        cycle, need = self.cycle, self.claimant.need
        most, any_at_all = cycle.ledger.soon_total(), False
        grown = (cycle.snapshot.running[name] for name in cycle.snapshot.elastic)
        earlier = (row for row in grown if row.started_seq <= since < row.resized_seq)
        for row in chain(earlier, cycle.let_past(since)):
            most, any_at_all = most + row.usage, True
            if need.fits(most):
                return True
        return any_at_all and need.fits(most)

    def _let_past(self, row: Running, *, surplus: bool = False) -> bool:
        if self._since is None:
            return False
        began = row.started_seq if row.line_seq is None else row.line_seq
        came = row.resized_seq if surplus else began
        if came <= self._since:
            return False
        # Only the younger leaves: with an order that is the same for all, no three go in circles.
        return surplus or row.job.order > self.claimant.job.order

    def _could_return(self, row: Running, rows: Sequence[Placement]) -> bool:
        """Say whether a job that was let past could take its place back, from whomever, at once."""
        if row.job.spec.queue == self.claimant.kind.queue:
            return False
        amount, need = usage_of_rows(row.job, rows), self.claimant.need
        here, there = self._parting(row.job.spec.queue)
        if worth(amount, need) and self._level(there, amount) < self._level(here, need):
            return True
        # From a third that has more than it is due: then that one is to give way, and not this.
        ledger, due = self.cycle.ledger, self.cycle.due
        used, owed = ledger.usage(there), due.get(there, NOTHING)
        short = [kind for kind in amount if used[kind] < owed[kind]]
        others = self.cycle.terms.children[branch_above(there)] if short else ()
        return any(
            ledger.usage(path)[kind] > due.get(path, NOTHING)[kind]
            for path in others
            for kind in short
            if path not in {here, there}
        )

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
        usage = (
            self.cycle.ledger.usage(path) + more - less
            if less
            else self.cycle.ledger.usage(path) + more
        )
        return self.cycle.levels.with_usage(path, usage, self._kinds)

    def _parting(self, queue: str) -> tuple[str, str]:
        """Find where the claimant's queue and another part: the branch of each."""
        return parting(self.claimant.kind.queue, queue)

    def _partly(self, row: Running, rows: Sequence[Placement]) -> bool:
        return row.job.spec.elastic and sum(one.count for one in rows) < row.allocation.workers
