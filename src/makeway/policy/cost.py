"""Say what an eviction would cost, and whether it is worth that: the work since the last durable checkpoint, and the start-up.

In worker-ms. A job that makes no checkpoints loses all that its attempt has done.
"""

from __future__ import annotations

from makeway.model.resources import Resources
from makeway.policy.snapshot import Running


def lost_worker_ms(row: Running, now_ms: int) -> int:
    """Give the worker-ms that are lost if the job is evicted now."""
    spec, ran_ms = row.job.spec, max(0, now_ms - row.started_at_ms)
    if spec.checkpoint_every_ms:
        ran_ms %= spec.checkpoint_every_ms
    return (ran_ms + spec.startup_ms) * row.allocation.workers


def worth(need: Resources, lost: Resources) -> bool:
    """Say whether what starts is at least half of what is evicted, of some kind that it needs."""
    return not need or any(2 * need[kind] >= lost[kind] for kind in need)
