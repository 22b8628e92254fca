"""Tell of machines and of the policy, from what is believed at this moment."""

from __future__ import annotations

from makeway.engine.state import State
from makeway.model.cluster import Node
from makeway.model.resources import NOTHING
from makeway.wire.amounts import amounts
from makeway.wire.cluster import NodeView


def node_views(state: State) -> list[NodeView]:
    """Tell of every machine, those that are lost last."""
    at: dict[str, dict[str, None]] = {}
    for name, row in state.running.items():
        for placement in row.allocation.placements:
            at.setdefault(placement.node, {})[name] = None
    up = sorted((*state.nodes.values(), *state.draining.values()), key=lambda node: node.name)
    there = [_view(state, node, at) for node in up]
    gone = [
        NodeView(name=node.name, state="lost", capacity=amounts(node.capacity), free={},
                 labels=node.labels, jobs=tuple(at.get(node.name, ())))
        for node in state.lost.values()
    ]  # fmt: skip
    return [*there, *gone]


def node_view(state: State, name: str) -> NodeView | None:
    """Tell of one machine."""
    return next((view for view in node_views(state) if view.name == name), None)


def _view(state: State, node: Node, at: dict[str, dict[str, None]]) -> NodeView:
    jobs = tuple(at.get(node.name, ()))
    kind = ("draining" if jobs else "drained") if node.draining else "ready"
    return NodeView(
        name=node.name,
        state=kind,
        capacity=amounts(node.capacity),
        free=amounts(state.free.get(node.name, NOTHING), [*node.capacity]),
        labels=node.labels,
        jobs=jobs,
        text=node.drain_text,
    )
