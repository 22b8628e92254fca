"""Judge what an attempt brought about: its outputs, its numbers, its disk, and who still stands.

An exit code of 0 with an output that is not there is a failure. A loss that is no number has
diverged, unless only one worker says so: then its machine may count wrongly. And a launcher that
lives on after its workers have ended is stuck.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from makeway.health.rules.finding import Finding, Tier, exceeds, fact, size
from makeway.health.rules.scene import Scene, node_of
from makeway.model.incident import Amounts, Incident
from makeway.model.record import Cause, Evidence

NUMBERS = ("loss", "train_loss", "training_loss", "grad_norm")
LINGERS_S = 10.0
SLOW_DEVICE = ("throttl", "power cap", "slowdown", "link degraded", "pcie degraded", "thermal")


def look(scene: Scene) -> Iterator[Finding]:
    """Find what the results speak for."""
    incident = scene.incident
    if scene.ended_well:
        yield from _outputs(incident)
        yield from _launcher(scene)
        return
    yield from _numbers(scene)
    yield from _disk(scene)
    yield from _launcher(scene)
    if scene.running:
        yield from _too_large(incident)
        yield from _throttled(incident)


def _outputs(incident: Incident) -> Iterator[Finding]:
    for at, one in enumerate(incident.outputs):
        bad = "exists" if one.exists is False else "valid" if one.valid is False else None
        if bad is not None:
            text = "is not there" if bad == "exists" else "is not what it was declared to be"
            said = f"it ended with code 0, but its output {one.name or at} {text}"
            yield Finding(
                cause=Cause.BAD_OUTPUT, tier=Tier.STATUS, said=said, root=one.name or "",
                evidence=(fact(f"{one.name or 'an output'} {text}", f"outputs[{at}].{bad}"),),
            )  # fmt: skip


def _numbers(scene: Scene) -> Iterator[Finding]:
    incident = scene.incident
    rank = scene.first.rank if scene.first is not None else None
    wrong = _wrong_ranks(incident)
    if wrong and len(incident.worker_samples) > 1 and len(wrong) == 1:
        (one, ref), nodes = wrong[0], ()
        node = node_of(incident, one)
        yield Finding(
            cause=Cause.SDC_SUSPECTED, tier=Tier.SAMPLES, rank=one, ranks=(one,),
            said=f"rank {one} alone computes what is no number",
            evidence=(fact(f"the others of rank {one} compute numbers", ref),),
            confidence="hypothesis", nodes=(node,) if node else nodes,
        )  # fmt: skip
        return
    for name in NUMBERS:
        series = incident.series(name)
        if not series or math.isfinite(series[-1].value):
            continue
        told = fact(f"{name} is {series[-1].value}", f"samples.{name}[{series[-1].index}]")
        apart = _elsewhere(scene)
        yield Finding(
            cause=Cause.SDC_SUSPECTED if apart is not None else Cause.DIVERGED,
            tier=Tier.SAMPLES,
            said=f"{name} is {series[-1].value}"
            + ("" if apart is None else ", and on another machine it was not"),
            evidence=(told,) if apart is None else (told, fact("it came further", apart)),
            confidence="established" if apart is None else "hypothesis",
            rank=rank,
            nodes=(scene.node,) if apart is not None and scene.node else (),
            root=name,
        )
        return


def _wrong_ranks(incident: Incident) -> list[tuple[int, str]]:
    found = []
    for rank, known in incident.worker_samples.items():
        bad = next((n for n in NUMBERS if known.get(n) and not math.isfinite(known[n][-1].value)),
                   None)  # fmt: skip
        if bad is not None:
            found.append((rank, f"worker_samples.{rank}.{bad}[{known[bad][-1].index}]"))
    return found


def _elsewhere(scene: Scene) -> str | None:
    """Find an attempt on another machine that came further and whose numbers were sound."""
    progress = scene.incident.series("progress")
    here = progress[-1].value if progress else None
    for at, past in enumerate(scene.incident.history):
        other = past.node is not None and scene.node is not None and past.node != scene.node
        further = past.progress is not None and here is not None and past.progress > here
        if other and further and past.cause not in (Cause.DIVERGED, None):
            return f"history[{at}]"
    return None


def _disk(scene: Scene) -> Iterator[Finding]:
    disk, death = scene.incident.disk, scene.first
    if death is None or death.by is not None or death.lost:
        return
    full = next((key for key, free in (("bytes_free", disk.bytes_free),
                                       ("inodes_free", disk.inodes_free)) if free == 0), None)  # fmt: skip
    if full is not None:
        what = "bytes" if full == "bytes_free" else "inodes"
        yield Finding(
            cause=Cause.DISK_FULL, tier=Tier.SAMPLES, said=f"no {what} are free on its disk",
            evidence=(fact(f"no {what} are free", f"disk.{full}"),), confidence="supported",
            rank=death.rank,
        )  # fmt: skip


def _launcher(scene: Scene) -> Iterator[Finding]:
    incident = scene.incident
    ends = [one.ended.at_s for one in incident.workers
            if one.ended is not None and one.ended.at_s is not None]  # fmt: skip
    if not incident.workers or incident.ended is not None or incident.now_s is None:
        return
    if len(ends) < len(incident.workers) or incident.now_s - max(ends) < LINGERS_S:
        return
    yield Finding(
        cause=Cause.LAUNCHER_STUCK, tier=Tier.HEURISTIC,
        said="all of its workers have ended, and what started them lives on",
        evidence=tuple(fact(f"rank {one.rank} has ended", f"workers[{at}].ended")
                       for at, one in enumerate(incident.workers)),
    )  # fmt: skip


def _too_large(incident: Incident) -> Iterator[Finding]:
    request = incident.request
    if incident.samples or incident.workers or incident.worker_samples or incident.stacks:
        return  # it runs, so it did fit
    asked = Amounts(memory_bytes=request.memory_bytes, cpus=request.cpus, gpus=request.gpus)
    largest = incident.cluster.largest_node
    over = exceeds(asked, largest)
    if over:
        fits = {"cpus": largest.cpus, "gpus": largest.gpus}
        most = [f"{value:g} {key}" for key, value in fits.items() if value is not None]
        if largest.memory_bytes is not None:
            most.append(f"{size(largest.memory_bytes)} of memory")
        yield Finding(
            cause=Cause.UNSCHEDULABLE, tier=Tier.STATUS,
            said=f"no machine has what it asks for ({'; '.join(over)})",
            evidence=(fact("; ".join(over), "cluster.largest_node"), fact("it asks for", "request")),
            hint=f"the largest that fits: {', '.join(most)}",
        )  # fmt: skip


def _throttled(incident: Incident) -> Iterator[Finding]:
    for told in slow_device(incident):
        yield Finding(
            cause=Cause.DEGRADED, tier=Tier.NODE, confidence="supported", evidence=(told,),
            said=f"its machine is slow: {told.text}",
        )  # fmt: skip


def slow_device(incident: Incident) -> tuple[Evidence, ...]:
    """Find a machine that says of itself that it is slow."""
    return tuple(
        fact(text[:200], incident.node_ref(at, f"faults[{place}]"))
        for at, node in enumerate(incident.nodes)
        for place, text in enumerate(node.faults)
        if any(word in text.lower() for word in SLOW_DEVICE)
    )[:1]
