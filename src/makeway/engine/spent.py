"""Count what queues have spent of their budgets: jobs above the normal class, and what these hold.

A budget is for a window of time (a week, say) that begins anew when it is over; windows are counted
from the instant 0. A job counts when it is submitted; what it holds counts as long as it holds it.
While the amount held stays the same, what is spent has a closed form, so it is brought forward only
when that amount changes, and read exactly at any instant in between.

Holds:   reading changes nothing · only queues with a budget are counted
Cost:    O(depth x kinds) for a change of a job above the normal class, O(budgets) to read
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from makeway.model.cluster import Queue, Spending, lineage_of
from makeway.model.job import JobSpec
from makeway.model.resources import NOTHING, Resources
from makeway.policy.limits import NORMAL


class Purse(msgspec.Struct):
    """What one queue has spent in the window that began last; `held` is what it holds now."""

    per_ms: int
    held: Resources = NOTHING
    jobs: int = 0
    amounts: dict[str, int] = {}
    since_ms: int = 0

    def read(self, at_ms: int) -> Spending:
        """Give what is spent until now, and when the next window begins."""
        began_ms = at_ms // self.per_ms * self.per_ms
        fresh = self.since_ms < began_ms
        amounts = {} if fresh else dict(self.amounts)
        for kind, amount in self.held.amounts.items():
            span_ms = at_ms - max(began_ms, self.since_ms)
            amounts[kind] = amounts.get(kind, 0) + amount * span_ms
        jobs = 0 if fresh else self.jobs
        return Spending(jobs=jobs, amounts=amounts, until_ms=began_ms + self.per_ms)

    def bring_forward(self, at_ms: int) -> None:
        """Count up to this instant."""
        now = self.read(at_ms)
        self.jobs, self.amounts, self.since_ms = now.jobs, dict(now.amounts), at_ms


class Spent(msgspec.Struct):
    """The purses of all queues that have a budget, by path."""

    purses: dict[str, Purse] = {}
    told_at_ms: int | None = None

    def configure(self, queues: Iterable[Queue], held: Mapping[str, Resources], at_ms: int) -> None:
        """Begin to count where there is a budget now; `held` is what queues hold above normal."""
        before, self.purses = self.purses, {}
        for queue in queues:
            if queue.budget is None:
                continue
            known = before.get(queue.path)
            if known is None or known.per_ms != queue.budget.per_ms:
                known = Purse(
                    per_ms=queue.budget.per_ms,
                    held=held.get(queue.path, NOTHING),
                    since_ms=at_ms,
                )
            self.purses[queue.path] = known

    def move(self, spec: JobSpec, change: Resources, at_ms: int) -> None:
        """Let a job of a queue hold so much more, or less, from now on."""
        for purse in self._of(spec):
            purse.bring_forward(at_ms)
            purse.held = purse.held + change

    def submit(self, spec: JobSpec, at_ms: int, jobs: int = 1) -> None:
        """Count a job that was submitted; -1: it was none, since it was at work before."""
        for purse in self._of(spec):
            purse.bring_forward(at_ms)
            purse.jobs += jobs

    def read(self, at_ms: int) -> dict[str, Spending]:
        """Give what is spent until now, by path."""
        return {path: purse.read(at_ms) for path, purse in self.purses.items()}

    def told(self, spent: Mapping[str, Spending], at_ms: int) -> None:
        """Believe what was written down, whatever was known before."""
        self.told_at_ms = at_ms
        for path, one in spent.items():
            purse = self.purses.get(path)
            if purse is not None:
                purse.jobs, purse.amounts, purse.since_ms = one.jobs, dict(one.amounts), at_ms

    def _of(self, spec: JobSpec) -> list[Purse]:
        if not self.purses or spec.priority <= NORMAL:
            return []
        return [self.purses[path] for path in lineage_of(spec.queue) if path in self.purses]


def held_above_normal(
    held: Iterable[tuple[tuple[str, int], Resources]],
) -> dict[str, Resources]:
    """Add up what queues and those above them hold with jobs above the normal class."""
    found: dict[str, Resources] = {}
    for (queue, priority), usage in held:
        if priority > NORMAL:
            for path in lineage_of(queue):
                found[path] = found.get(path, NOTHING) + usage
    return found
