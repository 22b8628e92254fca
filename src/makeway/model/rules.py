"""Hold the settings of a policy: the part `policy:` of a scenario, of a configuration, of a log.

Plain data. What each setting means stands in docs/policy.md; what is decided by it, in `policy`.
The defaults are those of a simulation; a live cluster waits before it evicts (`LIVE`).
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from makeway.model.cluster import WEEK_MS
from makeway.model.job import CLASSES


class Scope(StrEnum):
    """Where the classes of jobs are compared: in the whole cluster, or within each queue alone."""

    CLUSTER = "cluster"
    QUEUE = "queue"


class Preemption(msgspec.Struct, frozen=True, kw_only=True):
    """Which rules may take back, and what protects from them; times in ms.

    delay_ms     a job must have waited so long before anything is evicted for it
    grace_ms     a victim has left at the latest after so long (its own grace time if that is less)
    min_run_ms   an attempt is not evicted before it has run so long; surplus workers may be
    cooldown_ms  a job that was evicted waits so long before it may evict others
    """

    priority: bool = True
    reclaim: bool = True
    delay_ms: int = 0
    grace_ms: int = 0
    min_run_ms: int = 0
    cooldown_ms: int = 0


class PastUsage(msgspec.Struct, frozen=True, kw_only=True):
    """How past usage counts: it halves in `half_life_ms`; `weight` 0 forgets it.

    So often at the most, when a job ends, what all queues used is written down (`told_every_ms`; 0:
    never), so that who goes on from the log of unfinished jobs alone forgets no more than that.
    With `fair_tree` queues are ranked by level: what each used of late over what its weight is
    worth, compared among siblings first (Slurm's Fair Tree).

    inverse        a weight is divided by 1 + `weight` x (use / what it is worth) instead of being
                   shifted, so that also among those who used too much less is better
    entry_ms       what a job asks for is charged for so long as soon as it starts for the first time,
                   so that many at once are seen before they have used anything
    charge_min_ms  a job that ends sooner is charged as if it had run for so long: churn is not free
    """

    half_life_ms: int = WEEK_MS
    weight: float = 0.0
    fair_tree: bool = False
    told_every_ms: int = 0
    inverse: bool = False
    entry_ms: int = 0
    charge_min_ms: int = 0


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a policy.

    classes        priority by name
    class_scopes   the scope of single classes, by priority; others have `priority_scope`
    backfill_depth so many blocked jobs get a reservation
    consolidate    running jobs may be moved to make a hole
    enforce_time_limits  an attempt that runs longer than its job's time limit is stopped
    """

    name: str = "fair"
    priority_scope: Scope = Scope.CLUSTER
    classes: dict[str, int] = msgspec.field(default_factory=lambda: dict(CLASSES))
    class_scopes: dict[int, Scope] = {}
    preemption: Preemption = Preemption()
    backfill_depth: int = 64
    consolidate: bool = False
    enforce_time_limits: bool = False
    usage: PastUsage = PastUsage()

    def scope_of(self, priority: int) -> Scope:
        """Say where jobs of this priority are compared with others."""
        return self.class_scopes.get(priority, self.priority_scope)


LIVE = Rules(
    preemption=Preemption(delay_ms=5_000, grace_ms=30_000, cooldown_ms=60_000),
    enforce_time_limits=True,
    usage=PastUsage(told_every_ms=60_000),
)
