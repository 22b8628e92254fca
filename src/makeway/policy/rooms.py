"""Know which nodes have room for a worker of a given size, without looking at every node again.

For each size that was asked about once, the number of such workers that each node takes is kept;
when a node's room has changed since, that node alone is counted again. It is a memo: it changes no
answer, and the plain form beside it (`count_all`) is what tests compare it with.

Takes:   free   by node name, what is there; whoever changes it says so with `touch`
Gives:   node -> copies for the nodes that take at least one
Cost:    O(nodes) for a size that is new, then O(nodes touched since the last question)
"""

from __future__ import annotations

from collections.abc import Mapping

from makeway.model.resources import NOTHING, Resources

# So many sizes are kept; when there are more, all are forgotten, which costs time and no answer.
SIZES_MAX = 512
COPIES_MAX = 1 << 40

Size = tuple[tuple[str, int], ...]


class Rooms:
    """The memo over one mapping of free room; see the module."""

    __slots__ = ("_copies", "_free", "_journal", "_read", "_seen", "_total")

    def __init__(self, free: Mapping[str, Resources]) -> None:
        """Begin over `free`, which is not copied."""
        self._free = free
        self._journal: list[str] = []  # nodes whose room changed, in that order
        self._copies: dict[Size, dict[str, int]] = {}
        self._read: dict[Size, int] = {}  # how much of the journal each size has taken in
        self._seen: dict[str, Resources] = {}  # what is counted in the total, by node
        self._total = NOTHING

    def touch(self, node: str) -> None:
        """Note that the room of a node has changed, or that the node came or went."""
        if self._copies:
            self._journal.append(node)
            if len(self._journal) > 4 * len(self._free) + 1024:
                self._forget()

    def taking(self, worker: Resources) -> dict[str, int]:
        """Give how many such workers each node takes; the answer is the memo's own, to be read."""
        size = tuple(worker.amounts.items())
        copies = self._copies.get(size)
        if copies is None:
            if len(self._copies) >= SIZES_MAX:
                self._forget()
            copies = self._copies[size] = count_all(worker, self._free)
        else:
            for node in dict.fromkeys(self._journal[self._read[size] :]):
                room = self._free.get(node)
                count = 0 if room is None else worker.copies_in(room, COPIES_MAX)
                if count:
                    copies[node] = count
                else:
                    copies.pop(node, None)
        self._read[size] = len(self._journal)
        return copies

    def total(self) -> Resources:
        """Add up what is free on all nodes; what is below 0 (a node that shrank) is no room."""
        seen, total = self._seen, self._total
        for node, room in self._free.items():
            before = seen.get(node)
            if before is not room:
                total = total + _above(room) - (NOTHING if before is None else _above(before))
                seen[node] = room
        if len(seen) > len(self._free):
            for node in [one for one in seen if one not in self._free]:
                total = total - _above(seen.pop(node))
        self._total = total
        return total

    def _forget(self) -> None:
        self._copies.clear()
        self._read.clear()
        self._journal.clear()


def _above(room: Resources) -> Resources:
    if not room.negative():
        return room
    return Resources.of({kind: amount for kind, amount in room.amounts.items() if amount > 0})


def count_all(worker: Resources, free: Mapping[str, Resources]) -> dict[str, int]:
    """Count on every node, the plain way."""
    counted = {node: worker.copies_in(room, COPIES_MAX) for node, room in free.items()}
    return {node: count for node, count in counted.items() if count}
