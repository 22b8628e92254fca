"""Count what there is at this moment, for a status in a few numbers."""

from __future__ import annotations

from collections import Counter

import msgspec

from makeway.engine.state import State
from makeway.model.phase import JobPhase
from makeway.policy.ledger import total_of
from makeway.wire.amounts import Amounts, amounts
from makeway.wire.census import Census


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of a status."""

    last: int
    nodes: int
    running: int
    queued: int
    capacity: Amounts
    usage: Amounts


def counted(state: State) -> Counts:
    """Count."""
    capacity = total_of(node.capacity for node in state.nodes.values())
    usage = total_of(row.usage for row in state.running.values())
    return Counts(
        last=state.seq,
        nodes=len(state.nodes),
        running=len(state.running),
        queued=len(state.waiting) + len(state.pending),
        capacity=amounts(capacity),
        usage=amounts(usage, [*capacity]),
    )


def census(state: State) -> Census:
    """Count open jobs by phase, and those that wait by their reason."""
    phases = Counter(job.phase.value for job in state.jobs.values())
    reasons: Counter[str] = Counter()
    steps: Counter[str] = Counter()
    for name, job in state.jobs.items():
        if job.phase is JobPhase.QUEUED and name in state.waits:
            reason = state.waits[name].reason.value
            reasons[reason] += 1
            steps[reason] += job.spec.run is not None
    return Census(phases=phases, reasons=reasons, steps=steps)
