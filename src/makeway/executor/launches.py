"""Turn the order to launch an attempt into one launch for each of its workers.

Ranks follow the allocation: all workers of one node are neighbours, as torchrun numbers them.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from makeway.executor.protocol import Launch
from makeway.model.effect import LaunchWorkers


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Where the workers of an executor live: what every launch there has in common."""

    store: Path
    controller: Path
    address: str
    sample_ms: int


def launches(order: LaunchWorkers, site: Site) -> list[Launch]:
    """Give the launch of every rank, in order."""
    allocation, spec = order.allocation, order.spec
    nodes = list(dict.fromkeys(placement.node for placement in allocation.placements))
    on_node = [placement.node for _, placement, _ in allocation.ranks()]
    run, _, step = order.job.partition(".")
    return [
        Launch(
            job=order.job,
            number=order.number,
            fence=order.fence,
            rank=rank,
            workers=len(on_node),
            workers_min=spec.workers_min,
            workers_max=sum(group.count_max for group in spec.groups),
            local_rank=on_node[:rank].count(node),
            local_workers=on_node.count(node),
            node=node,
            node_rank=nodes.index(node),
            nodes=len(nodes),
            address=site.address,
            barrier_ms=spec.barrier_ms,
            sample_ms=site.sample_ms,
            program=spec.program,
            run=spec.run,
            step=(step or None) if run == spec.run else None,
            store=str(site.store),
            controller=str(site.controller),
        )
        for rank, node in enumerate(on_node)
    ]
