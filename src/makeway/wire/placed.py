"""Say where workers are: by node, or by group and node if a job has several groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a client reads what was written, and needs neither
    from makeway.model.cluster import Placement
    from makeway.model.job import WorkerGroup

# {"n1": 2}, or {"ps": {"n1": 1}}. One mapping and no union of two, which could not be read back.
Placed = Mapping[str, int | Mapping[str, int]]


def placed(rows: Iterable[Placement], groups: tuple[WorkerGroup, ...]) -> Placed:
    """Add up rows of an allocation; one group that nobody named goes without its name."""
    by_group: dict[str, dict[str, int]] = {}
    for row in rows:
        nodes = by_group.setdefault(row.group, {})
        nodes[row.node] = nodes.get(row.node, 0) + row.count
    alone = len(groups) == 1 and groups[0].name == "worker"
    return by_group.get("worker", {}) if alone else by_group
