"""Turn the order to launch, or to resize, an attempt into one launch for each of its workers.

Ranks follow the allocation. What torchrun says of machines is said here of nodes, whichever machine
they are: local ranks count from 0 on each node, nodes are numbered as they first occur.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from makeway.executor.protocol import Launch
from makeway.model.effect import LaunchWorkers, ResizeWorkers
from makeway.model.resources import CPU, MEMORY, NOTHING

ADDRESS = "127.0.0.1"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the workers live: the folder of all their files, and the socket that agents call."""

    store: Path
    controller: Path
    sample_ms: int


def launches(order: LaunchWorkers | ResizeWorkers, place: Place) -> list[Launch]:
    """Give the launch of every rank, in order; what the machine adds is seen to in `equipment`."""
    allocation, spec = order.allocation, order.spec
    shape = spec.shape()
    nodes = {row.node: None for row in allocation.placements}
    number_of = {node: number for number, node in enumerate(nodes)}
    rows = [row for _, row, _ in allocation.ranks()]
    local_workers, local_rank = Counter(row.node for row in rows), Counter[str]()
    run, _, step = order.job.partition(".")
    made = []
    for rank, row in enumerate(rows):
        made.append(
            Launch(
                job=order.job,
                number=order.number,
                fence=order.fence,
                rank=rank,
                workers=len(rows),
                workers_min=spec.workers_min,
                workers_max=sum(group.count_max for group in spec.groups),
                local_rank=local_rank[row.node],
                local_workers=local_workers[row.node],
                node=row.node,
                node_rank=number_of[row.node],
                nodes=len(nodes),
                address=ADDRESS,
                barrier_ms=spec.barrier_ms,
                sample_ms=spec.sample_ms or place.sample_ms,
                program=spec.program,
                run=spec.run,
                step=(step or None) if run == spec.run else None,
                store=str(place.store),
                controller=str(place.controller),
                user=spec.user,
                generation=order.generation if isinstance(order, ResizeWorkers) else 0,
                memory_bytes=shape.get(row.group, NOTHING)[MEMORY],
                cpu_milli=shape.get(row.group, NOTHING)[CPU],
                time_limit_ms=spec.time_limit_ms,
            )
        )
        local_rank[row.node] += 1
    return made
