"""Know the nodes of Ray, and say when one has come, and when it is surely gone.

A node is gone when nothing of ours can live on it any more, and not before: what runs there must
not be begun elsewhere while it may still be at work. So a node has these states:

    there      Ray says that it is alive
    closed     Ray says that it is dead, or its raylet refuses to be called, but agents on it have
               not said how they ended: nothing may start there (it has nothing to give)
    lost       all of its workers have ended, or their leases are over
    unheard    lost, though Ray still counts it: its workers were silent for too long; it is back
               when it has done anything at all that it was asked

A raylet never comes back under its old id: what was refused once is dead for ever.

Takes:   the nodes that Ray counts, and which nodes hold workers that were heard of
Gives:   NodeJoined, NodeLost; a closed node is one that joined with nothing
Holds:   no NodeLost while a worker of it may live
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from msgspec.structs import replace

from makeway.executor.envoy import RayNode
from makeway.model.cluster import Node
from makeway.model.event import Event, NodeJoined, NodeLost
from makeway.model.resources import NOTHING


class Fleet:
    """The nodes of one Ray; see the module."""

    def __init__(self) -> None:
        """Begin with none."""
        self._alive: dict[str, RayNode] = {}
        self._told: dict[str, Node] = {}  # as the engine believes them to be
        self._dead: set[str] = set()  # ids
        self._unheard: set[str] = set()  # ids

    def believe(self, nodes: Iterable[Node]) -> None:
        """Know what was believed before a restart; it may be gone meanwhile."""
        self._told |= {node.name: node for node in nodes}

    def count(self, nodes: Iterable[RayNode]) -> None:
        """Take the nodes that Ray says are alive."""
        self._alive = {one.node.name: one for one in nodes if one.node_id not in self._dead}

    def find(self, name: str) -> RayNode | None:
        """Give a node on which something can be started."""
        one = self._alive.get(name)
        return None if one is None or one.node_id in self._unheard else one

    def refuses(self, name: str) -> None:
        """Know that nobody listens where the raylet of a node did."""
        one = self._alive.pop(name, None)
        if one is not None:
            self._dead.add(one.node_id)

    def unheard(self, name: str) -> str:
        """Know that all workers of a node were silent for too long; give its id, to be asked."""
        one = self._alive.get(name)
        if one is None:
            return ""
        self._unheard.add(one.node_id)
        return one.node_id

    def heard(self, node_id: str) -> None:
        """Know that a node did what it was asked."""
        self._unheard.discard(node_id)

    def news(self, held: Collection[str]) -> Iterator[Event]:
        """Say what has changed; `held` names the nodes on which workers may live."""
        for name in self._alive:
            one = self.find(name)
            if one is not None and not _same(self._told.get(name), one.node):
                self._told[name] = one.node
                yield NodeJoined(node=one.node)
        for name, node in [*self._told.items()]:
            if self.find(name) is not None:
                continue
            if name not in held:
                del self._told[name]
                yield NodeLost(name=name)
            elif node.capacity:
                self._told[name] = replace(node, capacity=NOTHING)
                yield NodeJoined(node=self._told[name])


def _same(known: Node | None, node: Node) -> bool:
    if known is None:
        return False
    return (known.capacity, known.labels) == (node.capacity, node.labels)
