"""Find room for a gang on the nodes: all of its workers, or nothing.

The fewest nodes that can take them, so that workers meet over as few wires as possible; among
those the ones on which least is left over, so that empty nodes stay whole for large gangs; among
equals the lowest name. For one group of workers that is exact: the nodes with the most room first,
the last one chosen to fit. For several groups packing is hard, and a bounded number of orders of
them is tried, the bulkiest first; what is then not found may exist, so it is never called
impossible for that.

Takes:   groups    as asked for; `count_min` workers of each are placed (elastic growth is later)
         free      by node name, what each has left
         nodes     by name, for their capacity
Gives:   Allocation, its rows in the order of the groups and then of the nodes' names; or None
Holds:   all groups or none · exactly `count_min` of each · no node over its room
Cost:    O(nodes) for one group on one node, O(nodes log nodes) else; about 1 µs a node
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, permutations

import msgspec

from makeway.model.cluster import Allocation, Node, Placement
from makeway.model.job import WorkerGroup
from makeway.model.resources import Resources
from makeway.policy.ledger import total_of

# Orders of the groups that are tried: all of them up to three groups.
ORDERS_MAX = 6

Rooms = Mapping[str, Resources]
Nodes = Mapping[str, Node]

WORKERS_MAX = 1_000_000  # more than any node takes


class Shape(msgspec.Struct, frozen=True, eq=False):
    """What placement sees of a job. One object for all jobs that are alike, compared by identity.

    need   all groups' minima together
    """

    groups: tuple[WorkerGroup, ...]
    need: Resources

    @property
    def workers(self) -> int:
        """Count the workers that have to be placed."""
        return sum(group.count_min for group in self.groups)


def shape_key(groups: Sequence[WorkerGroup]) -> tuple[object, ...]:
    """Give what two jobs have in common when one fits exactly where the other does."""
    return tuple(
        [(group.name, group.count_min, tuple(group.per_worker.amounts.items())) for group in groups]
    )


def shape_of(groups: tuple[WorkerGroup, ...]) -> Shape:
    """Make the shape of a job from its groups."""
    return Shape(groups, needed(groups))


def needed(groups: Sequence[WorkerGroup]) -> Resources:
    """Add up what the workers take without which a job does not start."""
    return total_of(group.per_worker.times(group.count_min) for group in groups)


def place(groups: Sequence[WorkerGroup], free: Rooms, nodes: Nodes) -> Allocation | None:
    """Find room for all groups, or give None."""
    if len(groups) == 1:
        alone = _place_group(groups[0], free, nodes, {})
        return _allocation(groups, {groups[0].name: alone}) if alone is not None else None
    together = needed(groups)
    wide = [name for name in free if together.fits(free[name])]
    if wide:
        node = _tightest(wide, together, free, nodes)
        return _allocation(groups, {group.name: {node: group.count_min} for group in groups})
    for order in islice(permutations(_bulkiest_first(groups, nodes)), ORDERS_MAX):
        placed = _place_in_order(order, free, nodes)
        if len(placed) == len(groups):
            return _allocation(groups, placed)
    rows = _first_fit(_bulkiest_first(groups, nodes), free)
    complete = all(sum(rows[group.name].values()) == group.count_min for group in groups)
    return _allocation(groups, rows) if complete else None


def never_fits(shape: Shape, nodes: Nodes) -> bool:
    """Say whether it is certain that the cluster has no room for this even when it is empty."""
    for group in shape.groups:
        found = 0
        for node in nodes.values():
            if found >= group.count_min:
                break
            found += group.per_worker.copies_in(node.capacity, group.count_min)
        if found < group.count_min:
            return True
    if len(shape.groups) == 1:
        return False
    return not shape.need.fits(total_of(node.capacity for node in nodes.values()))


def most_workers(shape: Shape, free: Rooms, nodes: Nodes) -> int:
    """Count how many of the workers have room now; of a gang that has no room it is not all."""
    rows = _first_fit(_bulkiest_first(shape.groups, nodes), free)
    return sum(sum(counts.values()) for counts in rows.values())


def _place_in_order(
    order: Sequence[WorkerGroup], free: Rooms, nodes: Nodes
) -> dict[str, dict[str, int]]:
    """Place one group after the other, as far as that goes, on nodes already taken if possible."""
    left, placed = dict(free), dict[str, dict[str, int]]()
    for group in order:
        taken = {name: left[name] for rows in placed.values() for name in rows}
        rows = _place_group(group, left, nodes, taken)
        if rows is None:
            break
        placed[group.name] = rows
        for name, count in rows.items():
            left[name] = left[name] - group.per_worker.times(count)
    return placed


def _first_fit(order: Sequence[WorkerGroup], free: Rooms) -> dict[str, dict[str, int]]:
    """Put as many workers of each group as possible wherever there is room, node by node."""
    left, placed = dict(free), dict[str, dict[str, int]]()
    for group in order:
        rows = placed[group.name] = {}
        missing = group.count_min
        for name, count in _widest_first(group, left):
            rows[name] = min(count, missing)
            missing -= rows[name]
            left[name] = left[name] - group.per_worker.times(rows[name])
            if not missing:
                break
    return placed


def _place_group(
    group: WorkerGroup, free: Rooms, nodes: Nodes, taken: Rooms
) -> dict[str, int] | None:
    """Spread one group over the fewest nodes, those of `taken` before any other."""
    rows: dict[str, int] = {}
    missing = group.count_min
    for name, count in sorted(_roomy(group, taken), key=lambda room: (-room[1], room[0])):
        if missing:
            rows[name] = min(count, missing)
            missing -= rows[name]
    rooms = {name: count for name, count in _roomy(group, free) if name not in taken}
    if sum(rooms.values()) < missing:
        return None
    if missing and missing not in rooms.values():
        # No node takes the rest alone: those with the most room until one can.
        for name in _by_room(rooms, group.per_worker, free, nodes):
            if rooms[name] >= missing:
                break
            rows[name] = rooms.pop(name)
            missing -= rows[name]
    if missing:
        wide = [name for name, room in rooms.items() if room >= missing]
        rows[_tightest(wide, group.per_worker.times(missing), free, nodes)] = missing
    return rows


def _widest_first(group: WorkerGroup, free: Rooms) -> list[tuple[str, int]]:
    """Order the nodes by how much they could take, then by name.

    The order in which nodes joined must not show; and what the tightest nodes cannot do for a gang
    of several groups, since they are the only ones for another group, the widest may.
    """
    asked = group.per_worker
    return sorted(
        _roomy(group, free), key=lambda row: (-asked.copies_in(free[row[0]], WORKERS_MAX), row[0])
    )


def _roomy(group: WorkerGroup, free: Rooms) -> list[tuple[str, int]]:
    """Count how many workers each node takes; nodes that take none are left out."""
    # `copies_in` written out: this and `_tightest` are all that a placement costs.
    asked = [(kind, amount) for kind, amount in group.per_worker.amounts.items() if amount > 0]
    rooms = []
    for name, room in free.items():
        there, count = room.amounts, group.count_min
        for kind, amount in asked:
            part = there.get(kind, 0) // amount
            if part < count:  # noqa: PLR1730 - twice as fast as min()
                count = part
        if count > 0:
            rooms.append((name, count))
    return rooms


def _by_room(
    rooms: Mapping[str, int], per_worker: Resources, free: Rooms, nodes: Nodes
) -> Iterator[str]:
    """Give the nodes that take the most workers first, and of those the tightest."""
    equals: dict[int, list[str]] = {}
    for name, count in rooms.items():
        equals.setdefault(count, []).append(name)
    for count in sorted(equals, reverse=True):
        for _, name in sorted(_left_over(equals[count], per_worker.times(count), free, nodes)):
            yield name


def _tightest(names: Sequence[str], need: Resources, free: Rooms, nodes: Nodes) -> str:
    """Choose the node on which least is left over."""
    if len(names) == 1:
        return names[0]
    return min(_left_over(names, need, free, nodes))[1]


def _left_over(
    names: Iterable[str], need: Resources, free: Rooms, nodes: Nodes
) -> Iterator[tuple[float, str]]:
    """Say how much stays idle on each node: each kind as a part of what it has, added up."""
    asked = need.amounts
    for name in names:
        capacity, left = nodes[name].capacity.amounts, 0.0
        for kind, amount in free[name].amounts.items():
            whole = capacity.get(kind)
            if whole:
                left += (amount - asked.get(kind, 0)) / whole
        yield left, name


def _bulkiest_first(groups: Sequence[WorkerGroup], nodes: Nodes) -> list[WorkerGroup]:
    """Order the groups by how much of the cluster one worker takes; equals stay as they are."""
    if len(groups) == 1:
        return list(groups)
    capacity = total_of(node.capacity for node in nodes.values())
    return sorted(groups, key=lambda group: -group.per_worker.dominant(capacity))


def _allocation(
    groups: Sequence[WorkerGroup], placed: Mapping[str, Mapping[str, int]]
) -> Allocation:
    return Allocation(
        tuple(
            Placement(node, group.name, placed[group.name][node])
            for group in groups
            for node in sorted(placed[group.name])
            if placed[group.name][node]
        )
    )
