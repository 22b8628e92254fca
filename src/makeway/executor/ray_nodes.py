"""See the nodes of Ray as nodes of makeway, and amounts of makeway as amounts of Ray.

A node is known by its name in Ray (`ray start --node-name`), which is its address where nobody has
named it; where two have one name, by name and the beginning of Ray's id. Nodes with neither
processors nor GPUs are left out: a head that was started with `--num-cpus 0` is not to work.

    CPU 1.5 <-> cpu_milli 1500 · GPU 0.5 <-> gpu_milli 500 · memory <-> memory_bytes · others alike
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from makeway.executor.envoy import RayNode
from makeway.model.cluster import Node
from makeway.model.resources import CPU, GPU, MEMORY, Resources

THOUSAND = 1000
NODE_ID = "ray.io/node-id"
KINDS = {"CPU": CPU, "GPU": GPU}
NAMES = {kind: name for name, kind in KINDS.items()}
# What Ray counts for itself, and what it derives from placement groups.
RAYS_OWN = ("node:", "object_store_memory", "accelerator_type:", "bundle_")
DERIVED = "_group_"
ID_CHARS = 6
LEAST = 0.0001  # of a node's own mark: a group may not hold nothing at all


def nodes_of(rows: Sequence[Mapping[str, Any]]) -> tuple[RayNode, ...]:
    """Give the nodes that are alive and can work, by name."""
    alive = [row for row in rows if row.get("Alive")]
    names = Counter(_name(row) for row in alive)
    found = [_node(row, names) for row in alive]
    able = [one for one in found if one.node.capacity[CPU] or one.node.capacity[GPU]]
    return tuple(sorted(able, key=lambda one: one.node.name))


def amounts_of(asked: Resources, address: str) -> dict[str, float]:
    """Give what a worker asks for as Ray counts it."""
    amounts: dict[str, float] = {}
    for kind in asked:
        if kind in NAMES:
            amounts[NAMES[kind]] = asked[kind] / THOUSAND
        else:
            amounts["memory" if kind == MEMORY else kind] = asked[kind]
    return amounts or {f"node:{address}": LEAST}


def _node(row: Mapping[str, Any], names: Mapping[str, int]) -> RayNode:
    name, node_id = _name(row), str(row["NodeID"])
    if names[name] > 1:
        name = f"{name}-{node_id[:ID_CHARS]}"
    labels = {
        str(key): str(value) for key, value in (row.get("Labels") or {}).items() if key != NODE_ID
    }
    capacity = Resources.of(dict(_capacity(row["Resources"])))
    return RayNode(
        node_id=node_id,
        address=str(row["NodeManagerAddress"]),
        port=int(row["NodeManagerPort"]),
        node=Node(name=name, capacity=capacity, labels=labels),
    )


def _name(row: Mapping[str, Any]) -> str:
    return str(row.get("NodeName") or row["NodeManagerAddress"])


def _capacity(resources: Mapping[str, float]) -> Iterator[tuple[str, int]]:
    for name, amount in resources.items():
        if name in KINDS:
            yield KINDS[name], round(amount * THOUSAND)
        elif name == "memory":
            yield MEMORY, int(amount)
        elif not name.startswith(RAYS_OWN) and DERIVED not in name:
            yield name, int(amount)
