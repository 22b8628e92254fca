"""Say which place in Ray each worker of an attempt has, and find it again by its name.

One placement group holds the workers up to the attempt's minimum, which come and go together. A
group can neither grow nor shrink, so each worker above the minimum has one of its own: where such a
worker leaves, what it held is free in Ray too.

    seat    JOB/FENCE/GENERATION/RANK             the actor
    group   HOUSE/JOB/FENCE                       of those up to the minimum
            HOUSE/JOB/FENCE/GENERATION/RANK       of one above it

The names stand in `seat.json` in the worker's folder.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from makeway.executor import folder as files
from makeway.executor.envoy import Bundle
from makeway.executor.equipment import asked_by
from makeway.executor.protocol import Launch
from makeway.executor.ray_fleet import Fleet
from makeway.executor.ray_nodes import amounts_of
from makeway.model.effect import LaunchWorkers, ResizeWorkers

SEAT = "seat.json"
NOWHERE = "gone"  # no node of Ray has this id: what is pinned to it starts nowhere

Order = LaunchWorkers | ResizeWorkers


class Seating(msgspec.Struct, frozen=True, kw_only=True):
    """Under which names a worker's place is found."""

    seat: str
    group: str


class Held(msgspec.Struct, kw_only=True):
    """The place of one worker in Ray, on which node; when its agent was heard last."""

    seating: Seating
    node: str
    heard_ns: int | None = None
    swept: bool = False


def seating_of(house: str, folder: Path, launch: Launch, order: Order) -> Seating:
    """Name a worker's place, as it was named before if it was."""
    known = files.read_whole(folder / SEAT, Seating)
    if known is not None:
        return known
    seat = f"{launch.job}/{launch.fence}/{launch.generation}/{launch.rank}"
    own = launch.rank >= order.spec.workers_min
    return Seating(seat=seat, group=f"{house}/{seat if own else f'{launch.job}/{launch.fence}'}")


def bundles_of(order: Order, launch: Launch, fleet: Fleet) -> tuple[tuple[Bundle, ...], int]:
    """Give what the group of a worker holds, and which of it is the worker's."""
    least = order.spec.workers_min
    own = launch.rank >= least
    made = []
    rows = zip(order.allocation.ranks(), asked_by(order), strict=True)
    for rank, ((_, row, _), asked) in enumerate(rows):
        if rank != launch.rank if own else rank >= least:
            continue
        node = fleet.find(row.node)
        address, node_id = ("", NOWHERE) if node is None else (node.address, node.node_id)
        made.append(Bundle(node_id=node_id, amounts=amounts_of(asked, address)))
    return tuple(made), 0 if own else launch.rank
