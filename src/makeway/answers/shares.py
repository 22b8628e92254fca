"""Give the four numbers of every queue in the units of people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from makeway.model.resources import Resources
from makeway.model.units import NAMES, in_units
from makeway.policy.share import Standing, standings
from makeway.policy.snapshot import Snapshot
from makeway.wire.amounts import amounts
from makeway.wire.cluster import QueueView


def queue_views(snapshot: Snapshot, order: Sequence[str] = ()) -> list[QueueView]:
    """Give every queue but the root, each after its parent, those of `order` first."""
    found = standings(snapshot)
    whole = Resources()
    for node in snapshot.nodes.values():
        whole = whole + node.capacity
    running, queued = _counts(snapshot)
    return [
        _view(path, found[path], whole, (snapshot.queues[path].weight, running, queued))
        for path in tree_order(found, order)
    ]


def tree_order(paths: Iterable[str], order: Sequence[str] = ()) -> Iterator[str]:
    """Give queues as a tree is read: declared children first, then the others by name."""
    places = {path: place for place, path in enumerate(order)}
    children: dict[str, list[str]] = {}
    for path in paths:
        if path:
            children.setdefault(path.rpartition("/")[0], []).append(path)
    todo = [""]
    while todo:
        path = todo.pop()
        if path:
            yield path
        below = children.get(path, [])
        todo += sorted(below, key=lambda one: (places.get(one, len(order)), one), reverse=True)


def _view(
    path: str,
    one: Standing,
    whole: Resources,
    rest: tuple[float, dict[str, int], dict[str, int]],
) -> QueueView:
    weight, running, queued = rest
    asked = {kind for vector in (one.due, one.usage, one.demand) for kind in vector}
    kinds = [kind for kind in whole if kind in asked] or [*whole]
    return QueueView(
        path=path,
        share=one.share,
        share_of={
            NAMES.get(kind, kind): round(one.share * in_units(kind, whole[kind]), 6)
            for kind in kinds
        },
        due=amounts(one.due, kinds),
        usage=amounts(one.usage, kinds),
        demand=amounts(one.demand, kinds),
        weight=weight,
        running=running.get(path, 0),
        queued=queued.get(path, 0),
    )


def _counts(snapshot: Snapshot) -> tuple[dict[str, int], dict[str, int]]:
    """Count the jobs that run and that wait in every queue and below it."""
    running: dict[str, int] = {}
    for (path, _), held in snapshot.held.items():
        _add(running, path, held.jobs)
    queued: dict[str, int] = {}
    for kind, lane in snapshot.lanes.items():
        _add(queued, kind.queue, len(lane))
    for job in snapshot.paused:
        _add(queued, job.spec.queue, 1)
    return running, queued


def _add(counts: dict[str, int], path: str, number: int) -> None:
    while path:
        counts[path] = counts.get(path, 0) + number
        path = path.rpartition("/")[0]
