"""Find the worker that slows a gang, by what each worker alone needs for a step.

The time of a whole step names nobody, since all wait for the slowest. `local_ms`, the round trip
and the bandwidth of each rank do. Per window of 20 steps, hop 10, without the first 10: the median
of a rank against the median of the others. Never the mean, never the best worker.

    warn      2 times the others in 2 windows
    replace   10 times in 2 windows, or 3 times in 3 windows if it pays

Two workers need their own past as well, since either may be the odd one. More than a third at once
is no worker's fault. A worker with more to do is not slow; and slowness that follows the shard to
another machine belongs to the data.

Source:  elastic rules, b8; OSDI'25 (of the jobs with a straggler, few had a bad worker)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import correlation, median
from typing import NamedTuple

from msgspec.structs import replace

from makeway.health.rules.finding import Finding, Tier, fact, span_ref, when
from makeway.health.rules.scene import Scene, node_of
from makeway.model.incident import Incident, Point
from makeway.model.record import Cause

WINDOW, HOP, WARM_UP = 20, 10, 10
WARN, LIKELY, SURE = 2.0, 3.0, 10.0
RESTART_S = 60.0
EACH_S, MOST, HARDER = 600.0, 3, 1.5
EXPLAINS = 0.8
HIGHER_IS_WORSE = {"local_ms": True, "rtt_ms": True, "bandwidth_mb_s": False}
WORDS = {"local_ms": "latency of its own work", "rtt_ms": "round trip time",
         "bandwidth_mb_s": "bandwidth"}  # fmt: skip


class Slow(NamedTuple):
    """A rank that is slower than its peers: by how much in the last windows, and in what."""

    rank: int
    measure: str
    ratios: tuple[float, ...]
    last: tuple[Point, ...]

    @property
    def ratio(self) -> float:
        """Give the least of the last two windows."""
        return min(self.ratios[-2:])


def look(scene: Scene) -> Iterator[Finding]:
    """Find slow workers of an attempt that runs."""
    incident = scene.incident
    if not scene.running or len(incident.worker_samples) < 2:
        return
    slow = slow_workers(incident)
    if slow:
        yield _judge(scene, slow, _items(incident) if slow[0].measure == "local_ms" else {})


def slow_workers(incident: Incident) -> list[Slow]:
    """Give the workers that are slower than their peers, the slowest first."""
    for measure in HIGHER_IS_WORSE:
        slow = sorted(_slow(incident, measure), key=lambda one: -one.ratio)
        if slow:
            return slow
    return []


def ratios_of(windows: Mapping[int, Sequence[float]], rank: int) -> tuple[float, ...]:
    """Compare a rank with the median of its peers, window by window."""
    own = windows[rank]
    others = [series for other, series in windows.items() if other != rank]
    found = []
    for at, value in enumerate(own):
        peers = [series[at] for series in others if at < len(series)]
        middle = median(peers) if peers else 0.0
        found.append(value / middle if middle > 0 else 1.0)
    return tuple(found)


def windows_of(values: Sequence[float]) -> list[float]:
    """Give the median of each window; the first steps count only where there are too few others."""
    spare = max(0, len(values) - WINDOW - HOP)
    kept = values[min(WARM_UP, spare) :]
    return [median(kept[at : at + WINDOW]) for at in range(0, len(kept) - WINDOW + 1, HOP)]


def _slow(incident: Incident, measure: str) -> Iterator[Slow]:
    series = {
        rank: _since_restart(incident, rank, known[measure])
        for rank, known in incident.worker_samples.items()
        if known.get(measure)
    }
    worse = HIGHER_IS_WORSE[measure]
    windows = {
        rank: windows_of([one.value if worse else 1 / max(one.value, 1e-9) for one in points])
        for rank, points in series.items()
    }
    windows = {rank: found for rank, found in windows.items() if found}
    if len(windows) < 2 or (len(windows) == 2 and measure != "local_ms"):
        return
    for rank, own in windows.items():
        # The latest windows of all are those of one time, also after a worker was replaced.
        ratios = ratios_of({at: list(reversed(one)) for at, one in windows.items()}, rank)[::-1]
        if len(windows) == 2 and (len(own) < 2 or own[-1] < WARN * min(own)):
            continue
        if len(ratios) >= 2 and min(ratios[-2:]) >= WARN:
            yield Slow(rank, measure, ratios, tuple(series[rank][-WINDOW:]))


def _since_restart(incident: Incident, rank: int, points: Sequence[Point]) -> list[Point]:
    since = [one.at_s for one in incident.replaced if one.rank == rank and one.at_s is not None]
    return [one for one in points if not since or one.at_s > max(since)]


def _judge(scene: Scene, slow: list[Slow], items: Mapping[int, float]) -> Finding:
    incident, worst = scene.incident, slow[0]
    name = f"worker_samples.{worst.rank}.{worst.measure}"
    times = f"{worst.ratio:.3g} times"
    said = f"rank {worst.rank} has {times} the {WORDS[worst.measure]} of its peers"
    if worst.measure == "bandwidth_mb_s":
        said = f"rank {worst.rank} has 1/{worst.ratio:.3g} of the bandwidth of its peers"
    told = [fact(said, span_ref(name, worst.last[0].index, worst.last[-1].index))]
    base = Finding(cause=Cause.DEGRADED, tier=Tier.SAMPLES, said=said, evidence=tuple(told),
                   confidence="hypothesis", ranks=(worst.rank,), rank=worst.rank)  # fmt: skip
    if _explained(incident, worst.rank, items):
        more = fact(f"rank {worst.rank} has {items[worst.rank]:g} items a step",
                    f"worker_samples.{worst.rank}.items")  # fmt: skip
        return _changed(base, cause=Cause.DATA_SKEW, confidence="established",
                        said=f"{said}, and as many more items to work on",
                        evidence=(*told, more))  # fmt: skip
    again = next((at for at, one in enumerate(incident.replaced) if one.rank == worst.rank), None)
    if again is not None and worst.ratio >= LIKELY:
        more = fact(f"rank {worst.rank} was replaced before and is as slow as it was",
                    f"replaced[{again}]")  # fmt: skip
        return _changed(base, cause=Cause.DATA_SKEW, confidence="supported",
                        said=f"{said}; the slowness followed its data to another machine",
                        evidence=(*told, more))  # fmt: skip
    known = len(incident.worker_samples)
    node = node_of(incident, worst.rank)
    shared = next((at for at, one in enumerate(incident.cluster.others_hit)
                   if node is not None and one.node == node
                   and one.cause in (Cause.STRAGGLER, Cause.DEGRADED)), None)  # fmt: skip
    if (known > 2 and 3 * len(slow) > known) or shared is not None:
        ranks = tuple(one.rank for one in slow)
        text = f"{len(slow)} of {known} workers are slow at once, so it is none of them"
        return _changed(base, said=text if shared is None else f"{said}, and so are others there",
                        ranks=ranks)  # fmt: skip
    return _named(scene, base, worst, node)


def _named(scene: Scene, base: Finding, worst: Slow, node: str | None) -> Finding:
    incident = scene.incident
    harder = HARDER ** len(incident.replaced)
    sure = worst.ratio >= SURE * harder
    likely = len(worst.ratios) >= 3 and min(worst.ratios[-3:]) >= LIKELY * harder
    left_s = _left_s(incident)
    gain_s = None if left_s is None else left_s * (1 - 1 / worst.ratio)
    if likely and not sure:
        likely = gain_s is not None and gain_s > 3 * RESTART_S
    if not (sure or likely):
        return base
    why = _not_now(incident, gain_s)
    return _changed(
        base,
        cause=Cause.STRAGGLER,
        confidence="established" if sure else "supported",
        nodes=(node,) if node else (),
        act=not why,
        hint=why,
    )


def _not_now(incident: Incident, gain_s: float | None) -> str:
    """Say why a slow worker is not replaced now, if it is not."""
    if not incident.request.resizes:
        return "it is not replaced, since the step is not said to be elastic; look at its machine"
    if gain_s is not None and gain_s <= RESTART_S:
        return f"it is not replaced, since only {when(gain_s)} would be gained"
    if len(incident.replaced) >= MOST:
        return f"{MOST} workers of this attempt were replaced already; look at its machines"
    now_s, last = incident.end_s, [one.at_s for one in incident.replaced if one.at_s is not None]
    if now_s is not None and last and now_s - max(last) < EACH_S:
        return f"another worker was replaced less than {when(EACH_S)} ago; wait what that brings"
    return ""


def _left_s(incident: Incident) -> float | None:
    """Estimate how long it still takes at this pace."""
    series, now_s = incident.series("progress"), incident.end_s
    if not series or now_s is None or series[-1].value <= 0:
        return None
    done = series[-1]
    return done.at_s / done.value * max(0.0, 1 - done.value)


def _items(incident: Incident) -> dict[int, float]:
    return {
        rank: median(one.value for one in known["items"])
        for rank, known in incident.worker_samples.items()
        if known.get("items")
    }


def _explained(incident: Incident, rank: int, items: Mapping[int, float]) -> bool:
    """Say whether a rank has so many more items that it is not slow for each of them."""
    local = {
        other: median(one.value for one in known["local_ms"][-WINDOW:])
        for other, known in incident.worker_samples.items()
        if known.get("local_ms") and items.get(other, 0) > 0
    }
    if rank not in local or len(local) < 2 or len({items[other] for other in local}) < 2:
        return False
    each = {other: local[other] / items[other] for other in local}
    peers = median(value for other, value in each.items() if other != rank)
    if len(set(local.values())) < 2 or peers <= 0 or each[rank] >= WARN * peers:
        return False
    ranks = sorted(local)
    return correlation([items[r] for r in ranks], [local[r] for r in ranks]) > EXPLAINS


def _changed(found: Finding, **changed: object) -> Finding:
    return replace(found, **changed)
