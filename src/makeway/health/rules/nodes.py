"""Tell a machine that is lost from one that is silent, cut off, or about to go.

A lease of 15 s decides: who is silent for longer is lost, who is silent for less is not known to
be. A machine that is silent while its process still reports is cut off, and nothing is replaced
while two of a kind could live.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from makeway.health.rules.finding import Finding, Tier, fact, when
from makeway.health.rules.scene import LOST_S, REASSIGNED_S, Scene, is_lost
from makeway.model.incident import Incident, NodeSeen
from makeway.model.record import Cause

RENEWED_S = 5.0
NOTICE = re.compile(r"spot|preempt|interruption notice|drain|maintenance|terminat", re.IGNORECASE)


def look(scene: Scene) -> Iterator[Finding]:
    """Find what the machines of an attempt speak for."""
    if scene.ended_well:
        return
    for at, node in enumerate(scene.incident.nodes):
        if scene.first is None or scene.first.lost:
            yield from _silent(scene, at, node)
        elif is_lost(node):
            # It shows late: its peers have long failed for want of it, and may not know why.
            yield _lost(scene, at, node)
        if scene.first is not None and scene.first.by in (9, 15):
            yield from _leaving(scene, at, node)


def _silent(scene: Scene, at: int, node: NodeSeen) -> Iterator[Finding]:
    incident, silent_s = scene.incident, node.silent_for_s
    reports = _reports_after(incident, silent_s)
    if silent_s is not None and silent_s >= LOST_S and reports is not None:
        quiet_s = (incident.now_s or 0.0) - reports[1]
        yield Finding(
            cause=Cause.PARTITION,
            tier=Tier.NODE,
            said=f"{node.name or 'its machine'} is silent for {when(silent_s)}, its process reports",
            evidence=(
                fact(f"silent for {when(silent_s)}", incident.node_ref(at, "silent_for")),
                fact(f"its process reported at {when(reports[1])}", reports[0]),
            ),
            confidence="supported",
            wait="" if quiet_s >= REASSIGNED_S else "the machine to be heard again",
            nodes=(node.name,) if node.name else (),
        )
    elif is_lost(node):
        yield _lost(scene, at, node)
    elif node.alive is None and silent_s is not None and silent_s > RENEWED_S and scene.running:
        yield Finding(
            cause=Cause.UNKNOWN,
            tier=Tier.NODE,
            said=f"{node.name or 'its machine'} is silent for {when(silent_s)}, and is not lost "
            f"before {when(LOST_S)}",
            evidence=(fact(f"silent for {when(silent_s)}", incident.node_ref(at, "silent_for")),),
            confidence="unknown",
            wait="the machine to be heard again",
        )


def _lost(scene: Scene, at: int, node: NodeSeen) -> Finding:
    silent_s = node.silent_for_s
    key = "alive" if node.alive is False else "silent_for"
    how = "is gone" if silent_s is None else f"is silent for {when(silent_s)}"
    first = scene.first
    ranks = [one.rank for one in scene.incident.workers if one.node == node.name]
    return Finding(
        cause=Cause.NODE_LOST,
        tier=Tier.NODE,
        said=f"{node.name or 'its machine'} {how}",
        evidence=(fact(f"{node.name or 'the machine'} {how}", scene.incident.node_ref(at, key)),),
        rank=first.rank if first is not None and first.lost else min(ranks, default=None),
        nodes=(node.name,) if node.name else (),
        # Not before the machine has surely ended whatever still ran on it.
        after_s=max(0.0, REASSIGNED_S - silent_s) if silent_s is not None else 0.0,
        root=node.name or "",
    )


def _reports_after(incident: Incident, silent_s: float | None) -> tuple[str, float] | None:
    """Find the latest report of the process from when its machine was silent already."""
    if silent_s is None or incident.now_s is None:
        return None
    since_s = incident.now_s - silent_s
    named = [(f"samples.{name}", series) for name, series in incident.samples.items()]
    named += [
        (f"worker_samples.{rank}.{name}", series)
        for rank, known in incident.worker_samples.items()
        for name, series in known.items()
    ]
    late = [
        (f"{name}[{series[-1].index}]", series[-1].at_s)
        for name, series in named
        if series and series[-1].at_s > since_s + 1
    ]
    return max(late, key=lambda one: one[1], default=None)


def _leaving(scene: Scene, at: int, node: NodeSeen) -> Iterator[Finding]:
    """Find that a machine was about to go when the attempt was told to leave."""
    incident = scene.incident
    notice = next((place for place, text in enumerate(node.faults) if NOTICE.search(text)), None)
    if node.draining is not True and notice is None:
        return
    ref = "draining" if node.draining else f"faults[{notice}]"
    yield Finding(
        cause=Cause.PREEMPTED,
        tier=Tier.STATUS,
        said=f"{node.name or 'its machine'} is being drained",
        evidence=(fact("the machine was to be left", incident.node_ref(at, ref)),),
        confidence="supported",
        rank=scene.first.rank if scene.first is not None else None,
    )
