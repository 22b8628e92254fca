"""Read the nodes of a cluster: `nodes:` of a scenario or of the configuration.

Takes:   an `Item`, a list of nodes; `count: 3` stands for three that are alike
Gives:   Nodes with names that differ
Raises:  InvalidInput, with the place
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from makeway.intake.located import Item, unique
from makeway.model.cluster import Node

NODES_MAX = 100_000
# All other keys are resources.
KEYS = ("name", "count", "labels")


def nodes_of(item: Item) -> tuple[Node, ...]:
    """Read a list of nodes; there may be none."""
    named: list[tuple[str, Item]] = []
    nodes = []
    for one in item.items("nodes"):
        for node in _alike(one):
            named.append((node.name, one))
            nodes.append(node)
    unique(iter(named), "node")
    return tuple(nodes)


def _alike(item: Item) -> Iterator[Node]:
    """Read one entry, which stands for `count` nodes."""
    known = item.mapping("a node")
    if "name" not in known:
        raise item.wrong("a node needs a name")
    name = known["name"].text("name")
    count = known["count"].whole("count", 1) if "count" in known else 1
    if count > NODES_MAX:
        raise known["count"].wrong(f"count must be at most {NODES_MAX}")
    labels = known["labels"].mapping("labels") if "labels" in known else {}
    rest = {key: value for key, value in known.items() if key not in KEYS}
    capacity = replace(item, value=rest).resources("a node")
    texts = {label: value.text(label) for label, value in labels.items()}
    for number in range(1, count + 1):
        full = name if count == 1 else f"{name}{number}"
        yield Node(name=full, capacity=capacity, labels=texts)
