"""Add up what every queue has held over a span of time, from the log.

Takes:   entries from the first one on; the span, in ms since 1970
Gives:   Past: by queue (with all that is below it) and by kind, what it held on the mean; and what
         the cluster had on the mean
Holds:   what ran before the span began counts from its beginning · siblings add up to their parent
Cost:    O(entries)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from makeway.model import event as ev
from makeway.model.cluster import Allocation, lineage_of, usage_of
from makeway.model.job import JobSpec
from makeway.model.resources import NOTHING, Resources


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What was held and what was there on the mean, by kind, in the model's units."""

    held: dict[str, dict[str, float]]
    there: dict[str, float]


def past_usage(entries: Iterable[ev.Entry], since_ms: int, until_ms: int) -> Past:
    """Fold a log; see the module."""
    fold = _Fold(since_ms, until_ms)
    for entry in entries:
        fold.pass_time(entry.at_ms)
        fold.add(entry.event)
    fold.pass_time(until_ms)
    return fold.past()


class _Fold:
    def __init__(self, since_ms: int, until_ms: int) -> None:
        self._since_ms, self._until_ms = since_ms, until_ms
        self._at_ms = 0
        self._specs: dict[str, JobSpec] = {}
        self._holding: dict[str, Resources] = {}
        self._nodes: dict[str, Resources] = {}
        self._held: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self._there: dict[str, float] = defaultdict(float)

    def add(self, event: ev.Event) -> None:
        match event:
            case ev.NodeJoined(node=node):
                self._nodes[node.name] = node.capacity
            case ev.NodeLost(name=name):
                self._nodes.pop(name, None)
            case ev.JobSubmitted(job=job, spec=spec):
                self._specs[job] = spec
            case (
                ev.AttemptStarted(job=job, allocation=allocation)
                | ev.AttemptAdopted(job=job, allocation=allocation)
                | ev.AttemptResized(job=job, allocation=allocation)
            ):
                self._holds(job, allocation)
            case ev.AttemptEnded(job=job):
                self._holding.pop(job, None)
            case ev.JobFinished(job=job):
                self._specs.pop(job, None)
            case _:
                pass

    def pass_time(self, at_ms: int) -> None:
        begin = max(self._at_ms, self._since_ms)
        past_ms = min(at_ms, self._until_ms) - begin
        self._at_ms = max(self._at_ms, at_ms)
        if past_ms <= 0:
            return
        for capacity in self._nodes.values():
            for kind, amount in capacity.amounts.items():
                self._there[kind] += past_ms * amount
        for job, vector in self._holding.items():
            for path in lineage_of(self._specs[job].queue):
                for kind, amount in vector.amounts.items():
                    self._held[path][kind] += past_ms * amount

    def past(self) -> Past:
        span_ms = max(1, self._until_ms - self._since_ms)
        return Past(
            held={
                path: {kind: total / span_ms for kind, total in kinds.items()}
                for path, kinds in self._held.items()
                if path
            },
            there={kind: total / span_ms for kind, total in self._there.items()},
        )

    def _holds(self, job: str, allocation: Allocation) -> None:
        spec = self._specs.get(job)
        self._holding[job] = NOTHING if spec is None else usage_of(allocation, spec.shape())
