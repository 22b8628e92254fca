"""Count what there is at this moment, for a status in a few numbers."""

from __future__ import annotations

import msgspec

from makeway.engine.state import State
from makeway.policy.ledger import total_of
from makeway.wire.amounts import Amounts, amounts


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
