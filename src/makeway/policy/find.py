"""Find slots for one job of a kind: on the nodes it may use, in one domain if it must.

Takes:   kind, the ledger, and whether room counts that is only soon there
Gives:   Allocation of the minimum number of workers of each group, or None
Cost:    O(nodes that take a worker); for several groups O(nodes)
"""

from __future__ import annotations

from collections.abc import Mapping

from makeway.model.cluster import Allocation
from makeway.model.resources import Resources
from makeway.policy.ledger import Ledger
from makeway.policy.place import place
from makeway.policy.snapshot import Kind


def find(kind: Kind, ledger: Ledger, *, soon: bool = False) -> Allocation | None:
    """Find slots for the minimum of the job, all or none."""
    rooms = candidates(kind, ledger, soon=soon)
    if rooms is None:
        return None
    if kind.domain is None:
        return place(kind.groups, rooms, ledger.nodes)
    domains: dict[str, dict[str, Resources]] = {}
    for name, room in rooms.items():
        value = ledger.nodes[name].labels.get(kind.domain.label)
        if value is not None:
            domains.setdefault(value, {})[name] = room
    found = []
    for value, inside in domains.items():
        allocation = place(kind.groups, inside, ledger.nodes)
        if allocation is not None:
            # The smallest domain that fits keeps the larger ones whole.
            left = sum(room.dominant(ledger.capacity) for room in inside.values())
            found.append(
                (len({row.node for row in allocation.placements}), left, value, allocation)
            )
    if found:
        return min(found, key=lambda one: one[:3])[3]
    return None if kind.domain.required else place(kind.groups, rooms, ledger.nodes)


def candidates(kind: Kind, ledger: Ledger, *, soon: bool) -> Mapping[str, Resources] | None:
    """Give the rooms that can matter; None if it is plain that they are not enough."""
    allowed = set(kind.nodes)
    if len(kind.groups) > 1:
        names = [name for name in ledger.nodes if not allowed or name in allowed]
        return ledger.rooms(names, soon=soon)
    (group,) = kind.groups
    copies = ledger.taking(group.per_worker, soon=soon)
    if allowed:
        copies = {name: copies[name] for name in kind.nodes if name in copies}
    missing = group.count_min
    for count in copies.values():
        missing -= count
        if missing <= 0:
            return ledger.rooms(copies, soon=soon)
    return None if missing > 0 else {}


def count_in(kind: Kind, ledger: Ledger, *, soon: bool = False) -> int:
    """Count how many workers of the first group have room, at most as many as are needed."""
    group = kind.groups[0]
    copies = ledger.taking(group.per_worker, soon=soon)
    names = kind.nodes or copies
    return min(group.count_min, sum(min(copies.get(name, 0), group.count_min) for name in names))
