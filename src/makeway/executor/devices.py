"""Say which devices of a node each worker gets: GPUs, or processors to be pinned to.

A node's devices are numbered from 0. Amounts are in thousandths: 2000 are two devices that nobody
else gets, 500 is half of one that others share. The lowest numbers go first, and halves fill up a
device before another one is begun. What is held is known by the worker's folder; after a restart
it is read from the worker's `launch.json` (`hold`), before anything new is given out.

Holds:   a device that was given out whole is nobody else's · the same worker gets the same again
"""

from __future__ import annotations

from collections.abc import Mapping

WHOLE = 1000


class Devices:
    """The devices of every node and who holds them."""

    def __init__(self, count: int | Mapping[str, int]) -> None:
        """Take how many each node has: by its name, or one number for all."""
        self._count = count
        self._held: dict[str, tuple[str, dict[int, int]]] = {}  # by worker: its node, what of each

    def count(self, node: str) -> int:
        """Say how many a node has."""
        return self._count if isinstance(self._count, int) else self._count.get(node, 0)

    def take(self, worker: str, node: str, amount: int) -> tuple[int, ...]:
        """Give devices to a worker; where more is asked than there is, the least used are shared."""
        if worker not in self._held:
            self._held[worker] = (node, self._choose(node, amount))
        return tuple(sorted(self._held[worker][1]))

    def hold(self, worker: str, node: str, devices: tuple[int, ...], amount: int) -> None:
        """Know that a worker has these, since before a restart."""
        parts = dict.fromkeys(devices, WHOLE)
        if devices and amount % WHOLE:
            parts[devices[-1]] = amount % WHOLE
        self._held.setdefault(worker, (node, parts))

    def give_back(self, worker: str) -> None:
        """Forget a worker that has left."""
        self._held.pop(worker, None)

    def _choose(self, node: str, amount: int) -> dict[int, int]:
        used = dict.fromkeys(range(self.count(node)), 0)
        for where, parts in self._held.values():
            if where == node:
                for device, part in parts.items():
                    used[device] = used.get(device, 0) + part
        whole, rest = divmod(amount, WHOLE)
        chosen: dict[int, int] = {}
        for part in [*[WHOLE] * whole, *([rest] if rest else [])]:
            others = [device for device in used if device not in chosen]
            if others:
                chosen[_best(used, others, part)] = part
        return chosen


def _best(used: Mapping[int, int], devices: list[int], part: int) -> int:
    """Choose the fullest device with room for the part, else the one that is used least."""
    room = [device for device in devices if used[device] + part <= WHOLE]
    if room:
        return min(room, key=lambda device: (-used[device], device))
    return min(devices, key=lambda device: (used[device], device))
