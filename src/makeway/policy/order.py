"""Say who is next, by serving: one job at a time, and everything is compared anew after each.

The highest class of jobs first, in the whole cluster. Within it from the root down to the child
that would be lowest, for its weight, if its next job started: counting that job keeps a queue
that would overshoot from taking the last slot. Within a queue the order of submission.

Each level of the tree compares its own children alone, by the dominant share of all that runs below
them. Rescaling between the levels (H-DRF) is to come; it changes `level_with`, nothing else.

Takes:   asks      those that may start; `ledger` is read anew after every one that was served
         hopeless  says whether a shape has no chance any more in this cycle; such are passed over
Gives:   asks, one by one, to be tried by the caller; those passed over are never given
Holds:   total order: level, running jobs, submission, id
Cost:    O(queues that wait) for each ask that is served
Source:  Bhattacharya et al., Hierarchical Scheduling for Diverse Datacenter Workloads, SoCC 2013
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby

import msgspec

from makeway.model.cluster import ROOT, Queue, lineage_of
from makeway.model.job import Job
from makeway.model.resources import Resources
from makeway.policy.ledger import Ledger, own_part
from makeway.policy.place import Shape
from makeway.policy.share import level

Hopeless = Callable[[Shape], bool]


class Ask(msgspec.Struct, frozen=True, eq=False):
    """A job that wants to start, and its shape."""

    job: Job
    shape: Shape


class _Branch(msgspec.Struct, eq=False):
    """A queue in which somebody waits, or the own part of one; `lane` has the last in front."""

    queue: Queue
    below: list[_Branch] = []
    lane: list[Ask] = []


def submission(ask: Ask) -> tuple[int, str]:
    """Order by submission; a job that is tried again keeps its place."""
    return ask.job.order, ask.job.id


def level_with(queue: Queue, need: Resources, ledger: Ledger) -> tuple[bool, float]:
    """Say how full a queue is for its weight once it has this too."""
    return level(queue, ledger.usage(queue.path), need, ledger.capacity)


def serve(asks: Iterable[Ask], ledger: Ledger, hopeless: Hopeless) -> Iterator[Ask]:
    """Give the asks in the order in which they are to be served."""
    urgent_first = sorted(asks, key=lambda ask: (-_priority(ask), *submission(ask)))
    for _, equals in groupby(urgent_first, key=_priority):
        lanes: dict[str, list[Ask]] = {}
        for ask in equals:
            lanes.setdefault(ask.job.spec.queue, []).append(ask)
        for lane in lanes.values():
            lane.reverse()
        root = _grow(lanes, ledger.snapshot.queues)
        while (ask_next := _head(root, ledger, hopeless)) is not None:
            lanes[ask_next.job.spec.queue].pop()
            yield ask_next


def _priority(ask: Ask) -> int:
    return ask.job.spec.priority


def _grow(lanes: Mapping[str, list[Ask]], queues: Mapping[str, Queue]) -> _Branch:
    """Draw the part of the tree in which somebody waits."""
    branches = {ROOT: _Branch(queues[ROOT])}
    for path in lanes:
        below: _Branch | None = None
        for above in lineage_of(path):
            known = above in branches
            branch = branches.setdefault(above, _Branch(queues[above]))
            if below is not None:
                branch.below.append(below)
            if known:
                break
            below = branch
    for path, lane in lanes.items():
        branch = branches[path]
        if branch.below:
            branch.below.append(_Branch(Queue(path=own_part(path)), lane=lane))
        else:
            branch.lane = lane
    return branches[ROOT]


def _head(branch: _Branch, ledger: Ledger, hopeless: Hopeless) -> Ask | None:
    """Find whom this branch would serve next; what has nobody left is cut off."""
    if not branch.below:
        while branch.lane and hopeless(branch.lane[-1].shape):
            branch.lane.pop()
        return branch.lane[-1] if branch.lane else None
    heads: list[tuple[_Branch, Ask]] = []
    for child in branch.below:
        head = _head(child, ledger, hopeless)
        if head is not None:
            heads.append((child, head))
    branch.below = [child for child, _ in heads]
    return _lowest(heads, ledger) if len(heads) > 1 else (heads[0][1] if heads else None)


def _lowest(heads: list[tuple[_Branch, Ask]], ledger: Ledger) -> Ask:
    levels = [level_with(child.queue, head.shape.need, ledger) for child, head in heads]
    lowest = min(levels)
    tied = [pair for pair, one in zip(heads, levels, strict=True) if one == lowest]
    if len(tied) == 1:
        return tied[0][1]
    ranked = [(_jobs_in(child.queue.path, ledger), submission(head)) for child, head in tied]
    return tied[ranked.index(min(ranked))][1]


def _jobs_in(path: str, ledger: Ledger) -> int:
    # Counting is the one thing here that costs what runs: not where nothing can run.
    return ledger.jobs_in(path) if ledger.usage(path) else 0
