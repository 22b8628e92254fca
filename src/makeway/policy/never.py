"""Say what can never run here, whatever leaves: it is refused at once and evicts nobody.

Nodes that are down or drained for the moment count as there: a job that fits when they are back
may wait.

Takes:   kind, snapshot
Gives:   Wait with the reason of the refusal, or None
Cost:    O(nodes) for a gang, until enough are found
"""

from __future__ import annotations

from collections.abc import Mapping

from makeway.model.cluster import Node
from makeway.model.job import WorkerGroup
from makeway.model.resources import Resources
from makeway.model.wait import Reason, Wait
from makeway.policy.limits import Barrier
from makeway.policy.place import most_workers, needed, never_fits, shape_of
from makeway.policy.say import count_of, listed, needs, quantity
from makeway.policy.snapshot import Kind, Snapshot

Nodes = Mapping[str, Node]


def never(kind: Kind, snapshot: Snapshot) -> Wait | None:
    """Explain a job that even the empty cluster has no room for; None if it may fit one day."""
    nodes = snapshot.nodes
    if snapshot.lost or snapshot.draining:
        nodes = {**snapshot.lost, **snapshot.draining, **nodes}
    if not nodes:
        return None  # nobody knows yet what will join
    shape = shape_of(kind.groups)
    if kind.nodes:
        nodes = {name: nodes[name] for name in kind.nodes if name in nodes}
        if not nodes:
            text = f"{needs(kind.groups)}; it is pinned to {listed(kind.nodes)}, and there is no such node"
            return Wait(reason=Reason.NO_NODE_FITS, text=text, detail={"nodes": list(kind.nodes)})
    if not never_fits(shape, nodes):
        return _no_domain(kind, nodes)
    return no_node_fits(kind.groups, nodes)


def no_node_fits(groups: tuple[WorkerGroup, ...], nodes: Nodes) -> Wait:
    """Explain a job that has no room on these nodes, even if nothing else runs there."""
    shape, largest = shape_of(groups), dict[str, int]()
    for node in nodes.values():
        for kind, amount in node.capacity.amounts.items():
            largest[kind] = max(largest.get(kind, 0), amount)
    most = Resources.of(largest)
    need = {kind: max(group.per_worker[kind] for group in groups) for kind in shape.need}
    over = [kind for kind in need if need[kind] > most[kind]]
    if over:
        why = f"the largest node has {listed(quantity(kind, most[kind]) for kind in over)}"
    elif shape.workers == 1:
        why = "no node has all of that"
    else:
        room = most_workers(shape, {name: node.capacity for name, node in nodes.items()}, nodes)
        why = f"the whole cluster, when it is empty, has room for {room} of the {shape.workers}"
    return Wait(
        reason=Reason.NO_NODE_FITS,
        text=f"{needs(groups)}; {why}",
        detail={"need": need, "largest": {kind: most[kind] for kind in need}},
    )


def limit_never(kind: Kind, found: Barrier) -> Wait:
    """Explain a job that is more than a limit allows, even if nothing else runs in the queue."""
    where = f"queue {found.queue}"
    if found.kind is None:
        why = f"{where} allows {count_of(found.limit, 'such job')} to run"
    else:
        need = needed(kind.groups)
        why = (
            f"{where} may never hold more than {quantity(found.kind, found.limit)}, and this job "
            f"alone takes {quantity(found.kind, need[found.kind])}"
        )
    return Wait(
        reason=Reason.EXCEEDS_LIMIT,
        text=f"{needs(kind.groups)}; {why}",
        detail={"queue": found.queue, "kind": found.kind, "limit": found.limit},
    )


def _no_domain(kind: Kind, nodes: Nodes) -> Wait | None:
    if kind.domain is None or not kind.domain.required:
        return None
    domains: dict[str, dict[str, Node]] = {}
    for name, node in nodes.items():
        value = node.labels.get(kind.domain.label)
        if value is not None:
            domains.setdefault(value, {})[name] = node
    if any(not never_fits(shape_of(kind.groups), inside) for inside in domains.values()):
        return None
    text = f"{needs(kind.groups)} in one {kind.domain.label}; no {kind.domain.label} is that large"
    return Wait(reason=Reason.NO_NODE_FITS, text=text, detail={"domain": kind.domain.label})
