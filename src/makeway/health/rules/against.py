"""Say which other causes were thought of, and what speaks against each.

Two kinds: what another rule found, with weaker evidence; and the usual suspects of an end of that
kind, which something in the document speaks against. What is unknown speaks against nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from makeway.health.rules.finding import Finding, size
from makeway.health.rules.memory import NEAR_LIMIT, peak_of
from makeway.health.rules.scene import Scene, is_lost
from makeway.model.record import Cause, RuledOut

MEMORY = (Cause.OOM_HOST, Cause.MEMORY_LEAK, Cause.OOM_IMPOSSIBLE, Cause.OOM_VICTIM)
MOST = 6


def against(scene: Scene, finding: Finding, others: list[Finding]) -> Iterator[RuledOut]:
    """Give the alternatives, each once."""
    seen = {finding.cause}
    found = [*_weaker(finding, others), *_suspects(scene, finding)]
    for one in found[: MOST + len(seen)]:
        if one.cause not in seen:
            seen.add(one.cause)
            yield one


def _weaker(finding: Finding, others: list[Finding]) -> Iterator[RuledOut]:
    for one in others:
        if one.vague or one.cause in (Cause.UNKNOWN, finding.cause):
            continue  # how it ended is no other cause
        if one.tier > finding.tier:
            why = f"{one.said}: weaker evidence than what was found"
        else:
            why = f"{one.said}: it follows from what was found"
        yield RuledOut(cause=one.cause, why=why)


def _suspects(scene: Scene, finding: Finding) -> Iterator[RuledOut]:
    incident, death = scene.incident, scene.first
    if scene.running and finding.cause is Cause.NONE:
        return
    if death is not None and incident.intent is None and finding.cause is not Cause.CANCELLED:
        yield RuledOut(cause=Cause.PREEMPTED, why="no intent was recorded")
    if death is not None and finding.cause not in MEMORY:
        yield from _memory(scene)
    nodes = incident.nodes
    known = [one for one in nodes if one.alive is not None or one.silent_for_s is not None]
    if known and len(known) == len(nodes) and not any(is_lost(one) for one in nodes):
        names = ", ".join(one.name or "its machine" for one in nodes)
        yield RuledOut(cause=Cause.NODE_LOST, why=f"{names} is alive")
    inputs = [one.available for one in incident.inputs]
    if death is not None and inputs and all(one is True for one in inputs):
        yield RuledOut(cause=Cause.DATA_LOST, why="all of its inputs are there")
    series = [one for one in incident.available.values() if one]
    if death is not None and series and all(all(p.value for p in one) for one in series):
        yield RuledOut(cause=Cause.DATA_UNAVAILABLE, why="its data were there all the time")


def _memory(scene: Scene) -> Iterator[RuledOut]:
    kernel, limit = scene.incident.kernel, scene.incident.request.memory_bytes
    peak = peak_of(scene.incident)
    if kernel.readable and kernel.oom_kill == 0:
        yield RuledOut(cause=Cause.OOM_HOST, why="the kernel killed nothing for memory")
    elif peak is not None and limit and peak < NEAR_LIMIT * limit:
        why = f"it had used {size(peak)} of {size(limit)}"
        yield RuledOut(cause=Cause.OOM_HOST, why=why)
