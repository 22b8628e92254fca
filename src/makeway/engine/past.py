"""Remember what every queue used before now, less and less of it.

A queue's past is the integral of what it and the queues below it hold, each instant weighted by how
long ago it is: the weight halves in a half life. While the amount held stays the same, the integral
has a closed form, so it is brought forward only when that amount changes, and read exactly at any
instant in between:

    U(t + d) = U(t) * 2^(-d/h) + held * h/ln 2 * (1 - 2^(-d/h))

Holds:   reading changes nothing · the past of a queue outlives the queue
Cost:    O(depth x kinds) for a change, O(queues x kinds) to read
Source:  decayed usage of Slurm's fair share, as an integral instead of steps
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import msgspec

from makeway.model.cluster import Queue, lineage_of
from makeway.model.resources import NOTHING, Resources
from makeway.model.rules import PastUsage

Amounts = dict[str, float]


class Past(msgspec.Struct):
    """What queues used, in unit x ms; `held` is what they hold now, those below them included."""

    half_life_ms: int
    held: dict[str, Resources] = {}
    amounts: dict[str, Amounts] = {}
    since_ms: dict[str, int] = {}
    told_at_ms: int | None = None

    def move(self, queue: str, change: Resources, at_ms: int) -> None:
        """Let a queue hold so much more (or less) from now on."""
        for path in lineage_of(queue):
            self._bring_forward(path, at_ms)
            self.held[path] = self.held.get(path, NOTHING) + change

    def charge(
        self, queue: str, amount: Resources, span_ms: int, at_ms: int, since_ms: int | None = None
    ) -> None:
        """Let a queue have used so much for so long more; below 0 takes back what was since then."""
        if not span_ms:
            return
        aged_ms = 0 if since_ms is None else at_ms - since_ms
        left = span_ms * 2.0 ** (-aged_ms / self.half_life_ms)
        for path in lineage_of(queue):
            self._bring_forward(path, at_ms)
            mine = self.amounts[path]
            for kind, one in amount.amounts.items():
                mine[kind] = max(0.0, mine.get(kind, 0.0) + one * left)

    def start(self, queues: Iterable[Queue], at_ms: int) -> None:
        """Take over what queues had used before; who names it speaks for all queues below as well."""
        known = {queue.path: queue.past_usage for queue in queues if queue.past_usage}
        for path, amounts in known.items():
            before = self._at(path, at_ms)
            for above in lineage_of(path):
                if above != path and above in known:
                    break
                self._bring_forward(above, at_ms)
                mine = self.amounts[above]
                for kind, amount in amounts.items():
                    mine[kind] = mine.get(kind, 0.0) + amount - before.get(kind, 0.0)

    def tell(self, at_ms: int) -> dict[str, Amounts]:
        """Give what every queue has used until now, to be written down."""
        return self.read(self.amounts, at_ms)

    def told(self, amounts: Mapping[str, Amounts], at_ms: int) -> None:
        """Believe what was written down, whatever was known before."""
        self.amounts = {path: dict(used) for path, used in amounts.items()}
        self.since_ms = dict.fromkeys({*self.amounts, *self.held}, at_ms)
        self.told_at_ms = at_ms

    def decay(self, half_life_ms: int, at_ms: int) -> None:
        """Let it halve in another time from now on."""
        for path in self.amounts:
            self._bring_forward(path, at_ms)
        self.half_life_ms = half_life_ms

    def read(self, paths: Iterable[str], at_ms: int) -> dict[str, Amounts]:
        """Give what these queues have used until now; a queue that used nothing is not named."""
        read = {path: self._at(path, at_ms) for path in paths if path in self.amounts}
        return {path: amounts for path, amounts in read.items() if amounts}

    def _bring_forward(self, path: str, at_ms: int) -> None:
        self.amounts[path] = self._at(path, at_ms)
        self.since_ms[path] = at_ms

    def _at(self, path: str, at_ms: int) -> Amounts:
        span_ms = at_ms - self.since_ms.get(path, at_ms)
        left = 2.0 ** (-span_ms / self.half_life_ms)
        worth_ms = self.half_life_ms / math.log(2) * (1.0 - left)
        past = {kind: amount * left for kind, amount in self.amounts.get(path, {}).items()}
        if span_ms:
            for kind, amount in self.held.get(path, NOTHING).amounts.items():
                past[kind] = past.get(kind, 0.0) + amount * worth_ms
        return past


def wanted(usage: PastUsage) -> bool:
    """Say whether the rules look at the past at all."""
    return usage.weight > 0 or usage.fair_tree
