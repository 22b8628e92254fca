"""Look after slots that were kept for waiting jobs: start on them, or give them up.

Takes:   ledger, as a round begins
Gives:   each job with its slots, and what becomes of them: it starts, they are given up for a
         reason, or neither, while others are still leaving them
Cost:    O(what is kept)
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from makeway.model.cluster import Allocation
from makeway.model.job import Job, WorkerGroup
from makeway.model.phase import JobPhase
from makeway.model.resources import NOTHING, Resources
from makeway.policy.ledger import Ledger
from makeway.policy.snapshot import Snapshot


class Kept(msgspec.Struct, frozen=True):
    """Slots kept for a job: they are all there (`ready`), or `lost` says why they never will be."""

    job: Job
    allocation: Allocation
    ready: bool = False
    lost: str = ""


def kept(ledger: Ledger) -> Iterator[Kept]:
    """Give what was kept, in that order; the caller books each before the next is looked at."""
    snapshot = ledger.snapshot
    if not snapshot.reserved:
        return
    keepers = snapshot.keepers()
    for name, allocation in snapshot.reserved.items():
        job = keepers[name][0]
        wanted = by_node(allocation, job.spec.groups)
        if any(node not in ledger.nodes for node in wanted):
            yield Kept(job, allocation, lost="a node of it is gone")
        elif job.phase is not JobPhase.EVICTING and all(  # who is being moved has to leave first
            amount.fits(ledger.there(node)) for node, amount in wanted.items()
        ):
            yield Kept(job, allocation, ready=True)
        elif any(ledger.room(node, soon=True).negative() for node in wanted):
            yield Kept(job, allocation, lost="there is less room than there was")


def leavers(snapshot: Snapshot, job: str) -> tuple[str, ...]:
    """Name who is leaving a node on which slots are kept for a job."""
    nodes = {row.node for row in snapshot.reserved[job].placements}
    return tuple(
        name for name, rows in snapshot.leaving.items() if any(row.node in nodes for row in rows)
    )


def by_node(allocation: Allocation, groups: tuple[WorkerGroup, ...]) -> dict[str, Resources]:
    """Add up what an allocation takes on each node."""
    shape = {group.name: group.per_worker for group in groups}
    wanted: dict[str, Resources] = {}
    for row in allocation.placements:
        wanted[row.node] = wanted.get(row.node, NOTHING) + shape[row.group].times(row.count)
    return wanted
