"""Tell the ways in which memory runs out: the own limit, the machine's, a leak, shared memory.

The kernel's counters prove it. Without them a death by SIGKILL right at the limit supports it, and
so does a jump that would have reached the limit before the next sample. Where the counters were
read and say no, nobody was killed for memory, whatever the last sample was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from statistics import median

from makeway.health.reach import Reach, further, saved_of
from makeway.health.rules.finding import Finding, Tier, fact, size, span_ref, when
from makeway.health.rules.scene import Death, Scene
from makeway.health.rules.signs import confirming, names_of, without_advice
from makeway.health.trend import slope_means
from makeway.model.incident import Incident, Point, Series
from makeway.model.record import Cause, CauseClass, Evidence

MB = 10**6
MOST_MB = 1e12  # beyond it a sample is no measurement
AT_LIMIT, NEAR_LIMIT, OWN_LIMIT = 0.95, 0.8, 0.5
SPIKE = 3.0
SHM_FULL_BYTES = 8 * 2**20
LEAK_LEVEL = 0.05
ENOMEM = 12
MEMORY_NAMES = {"MemoryError", "bad_alloc", "_ArrayMemoryError", "ArrayMemoryError"}
ASKED = re.compile(
    r"(?:allocat\w*|asked for|requested)\s+(?:array of\s+)?([\d.]+)\s*([KMGTP]i?B|bytes|B)\b",
    re.IGNORECASE,
)
UNITS = {"B": 1, "BYTES": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15,
         "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40, "PIB": 2**50}  # fmt: skip
KERNEL_LINE = confirming("kernel_kill")
SHARED = confirming("shared_memory")


def look(scene: Scene) -> Iterator[Finding]:
    """Find what speaks for a lack of memory."""
    death = scene.first
    if death is None:
        return
    found = [*_counted(scene, death), *_thrown(scene, death), *_sampled(scene, death)]
    leak = _leak(scene) if any(one.cause is Cause.OOM_HOST for one in found) else None
    for one in found:
        yield leak(one) if leak is not None and one.cause is Cause.OOM_HOST else one
    yield from _shared(scene, death)
    intent = scene.incident.intent
    if leak is not None and not found and intent is not None and intent.kind == "memory_guard":
        yield leak(Finding(cause=Cause.OOM_HOST, tier=Tier.INTENT, said=""))


def memory_of(incident: Incident) -> Series:
    """Give the samples of memory, in megabytes."""
    return incident.series("memory_mb")


def peak_of(incident: Incident) -> int | None:
    """Give the most memory that was seen; at a limit that killed it, it wanted more."""
    seen = [int(point.value * MB) for point in memory_of(incident) if 0 <= point.value < MOST_MB]
    if incident.kernel.memory_peak_bytes is not None:
        seen.append(incident.kernel.memory_peak_bytes)
    return max(seen, default=None)


def spiked(incident: Incident) -> tuple[Point, Point] | None:
    """Give the samples before and at a sudden jump at the end, if there was one."""
    series = memory_of(incident)
    if len(series) < 2:
        return None
    before, last = series[-2], series[-1]
    limit = incident.request.memory_bytes
    middle = median(point.value for point in series[:-1])
    jumped = limit is not None and (last.value - before.value) * MB >= NEAR_LIMIT * limit
    return (before, last) if jumped or (middle > 0 and last.value >= SPIKE * middle) else None


def memory_facts(incident: Incident) -> tuple[Evidence, ...]:
    """Say how the memory went, as far as it was sampled."""
    series = memory_of(incident)
    spike = spiked(incident)
    if spike is not None:
        before, last = spike
        text = (
            f"memory rose from {before.value:g} MB to {last.value:g} MB "
            f"between {when(before.at_s)} and {when(last.at_s)}"
        )
        ref = span_ref("samples.memory_mb", before.index, last.index)
        return (fact(text, ref),)
    if series:
        last = series[-1]
        text = f"memory was {last.value:g} MB at {when(last.at_s)}"
        return (fact(text, f"samples.memory_mb[{last.index}]"),)
    return ()


def _counted(scene: Scene, death: Death) -> Iterator[Finding]:
    """Read the kernel's counters, and its own lines in the log."""
    incident, kernel = scene.incident, scene.incident.kernel
    if (kernel.oom_kill or 0) > 0 and kernel.cgroup is not False:
        leaving = any(node.draining for node in incident.nodes) and death.by == 15
        if not leaving:
            text = f"the kernel killed {kernel.oom_kill} of its processes for memory"
            told = (fact(text, "kernel.oom_kill"), fact(death.how, death.how_ref))
            yield Finding(
                cause=Cause.OOM_HOST, tier=Tier.KERNEL, said=_limit_text(incident),
                evidence=(*told, *_peak(incident), *memory_facts(incident)),
                confidence="established" if death.by == 9 else "supported", rank=death.rank,
            )  # fmt: skip
        return
    if (kernel.host_oom_kill or 0) > 0 and death.by == 9:
        yield from _victim(scene, death)
    for at, line in enumerate(incident.log):
        if KERNEL_LINE.search(line) and death.by == 9 and not kernel.readable:
            yield Finding(
                cause=Cause.OOM_HOST, tier=Tier.KERNEL, said=_limit_text(incident),
                evidence=(fact(line.strip()[:200], f"log[{at}]"), *memory_facts(incident)),
                rank=death.rank,
            )  # fmt: skip


def _victim(scene: Scene, death: Death) -> Iterator[Finding]:
    incident = scene.incident
    limit, peak = incident.request.memory_bytes, peak_of(incident)
    part = peak / limit if peak is not None and limit else None
    if part is not None and part >= AT_LIMIT and not incident.kernel.readable:
        return
    own = part is not None and part < OWN_LIMIT
    fact_text = f"the machine's memory was full: the kernel killed {incident.kernel.host_oom_kill}"
    told = [fact(fact_text, "kernel.host_oom_kill"), fact(death.how, death.how_ref)]
    yield Finding(
        cause=Cause.OOM_VICTIM,
        tier=Tier.KERNEL,
        said="the machine's memory was full, and it had kept to its own limit",
        evidence=(*told, *memory_facts(incident)),
        confidence="established" if own else "supported" if part is not None else "hypothesis",
        rank=death.rank,
        nodes=(scene.node,) if scene.node else (),
    )


def _thrown(scene: Scene, death: Death) -> Iterator[Finding]:
    """Read an exception that says that there was no more memory."""
    error = death.error
    if error is None:
        return
    names = names_of(error)
    plain = without_advice(error.message)
    named = bool(MEMORY_NAMES & set(names)) or "std::bad_alloc" in plain
    said = re.search(r"(?:cannot|can't|unable to) allocate (?:memory|[\d.]+)", plain, re.IGNORECASE)
    if not (named or error.errno == ENOMEM or "OutOfMemory" in names or said):
        return
    if "torch" in error.type or "cuda" in plain.lower():
        return
    incident, asked = scene.incident, asked_bytes(plain)
    largest = incident.cluster.largest_node.memory_bytes
    told = fact(f"{error.type or 'an error'}: {plain}"[:200], death.error_ref)
    if asked is not None and largest is not None and asked > largest:
        yield Finding(
            cause=Cause.OOM_IMPOSSIBLE, tier=Tier.EXCEPTION, rank=death.rank, asked_bytes=asked,
            said=f"it asked for {size(asked)} at once, and the largest machine has {size(largest)}",
            evidence=(told, fact(f"the largest machine has {size(largest)}",
                                 "cluster.largest_node.memory")),
            hint=f"it asks for {size(asked)} in one piece; no machine has more than {size(largest)}",
        )  # fmt: skip
        return
    limit, peak = incident.request.memory_bytes, peak_of(incident)
    part = (peak + (asked or 0)) / limit if peak is not None and limit else None
    low = part is not None and part < NEAR_LIMIT
    sure = "OutOfMemory" in names or (part is not None and not low)
    yield Finding(
        cause=Cause.OOM_HOST,
        tier=Tier.EXCEPTION,
        said=f"{death.who}{names[0] if names else 'ENOMEM'}; {_limit_text(incident)}",
        evidence=(told, *_peak(incident), *memory_facts(incident)),
        confidence="established" if sure else "hypothesis" if low else "supported",
        rank=death.rank,
        asked_bytes=asked,
    )


def asked_bytes(message: str) -> int | None:
    """Read how much memory a message says was asked for."""
    found = ASKED.search(message)
    if found is None or found[1].count(".") > 1 or not found[1].strip("."):
        return None
    return int(float(found[1].rstrip(".")) * UNITS[found[2].upper()])


def _sampled(scene: Scene, death: Death) -> Iterator[Finding]:
    """Conclude from the samples alone, where no counter could be read."""
    incident = scene.incident
    series, limit = memory_of(incident), incident.request.memory_bytes
    if incident.kernel.readable or death.by != 9 or not series or not limit:
        return
    peak = max(peak_of(incident) or 0, 0)
    spike = spiked(incident)
    steep = False
    if spike is not None:
        # The same jump once more, before the next sample would have been taken.
        before, last = spike
        steep = (2 * last.value - before.value) * MB >= limit
    if peak >= AT_LIMIT * limit or steep:
        yield Finding(
            cause=Cause.OOM_HOST, tier=Tier.SAMPLES, said=_limit_text(incident),
            evidence=(*memory_facts(incident), fact(death.how, death.how_ref)),
            confidence="supported", rank=death.rank,
        )  # fmt: skip


class _Leak:
    """Make of a lack of memory one that more memory would only put off."""

    def __init__(self, evidence: tuple[Evidence, ...], *, saved: bool) -> None:
        self._evidence, self._saved = evidence, saved

    def __call__(self, found: Finding) -> Finding:
        return Finding(
            cause=Cause.MEMORY_LEAK, tier=found.tier, rank=found.rank,
            said="its memory grows all the time, and more of it only put off the end",
            evidence=(*self._evidence, *found.evidence), confidence="supported",
            cause_class=CauseClass.TEMPORARY if self._saved else None,
        )  # fmt: skip


def _leak(scene: Scene) -> _Leak | None:
    """Find memory that rises all the time, and an earlier attempt that ended so with less of it."""
    incident, series = scene.incident, memory_of(scene.incident)
    if len(series) < 4 or not slope_means([point.value for point in series], LEAK_LEVEL):
        return None
    limit = incident.request.memory_bytes
    here = _came_to(scene)
    for at, past in enumerate(incident.history):
        if past.cause not in (Cause.OOM_HOST, Cause.MEMORY_LEAK):
            continue
        less = past.memory_bytes is not None and limit is not None and past.memory_bytes < limit
        later = further(here, Reach(part=past.progress, step=past.step))
        if later or (less and later is None):
            told = (
                fact("memory rises from the first sample to the last",
                     span_ref("samples.memory_mb", series[0].index, series[-1].index)),
                fact("an earlier attempt ran out of memory too, and sooner", f"history[{at}]"),
            )  # fmt: skip
            old = Reach(part=past.checkpoint or 0.0, step=past.checkpoint_step or 0)
            return _Leak(told, saved=further(saved_of(scene), old) is True)
    return None


def _came_to(scene: Scene) -> Reach:
    progress = scene.incident.series("progress")
    part = progress[-1].value if progress else scene.incident.checkpoint.progress
    return Reach(part=part, step=scene.incident.step_reached)


def _shared(scene: Scene, death: Death) -> Iterator[Finding]:
    """Find shared memory that is full, where something says that it was wanted."""
    free = scene.incident.disk.shm_free_bytes
    if free is None or free >= SHM_FULL_BYTES:
        return
    refs = [(f"log[{at}]", line) for at, line in enumerate(scene.incident.log)]
    if death.error is not None:
        refs.insert(0, (f"{death.error_ref}.message", death.error.message))
    told = next(((ref, text) for ref, text in refs if SHARED.search(text)), None)
    if told is None and death.by != 7:
        return
    shown = (death.how_ref, death.how) if told is None else (told[0], told[1].strip()[:200])
    yield Finding(
        cause=Cause.SHM_FULL, tier=Tier.STATUS, rank=death.rank,
        said=f"{size(free)} of shared memory is free",
        evidence=(fact(shown[1], shown[0]), fact(f"{size(free)} is free in /dev/shm",
                                                 "disk.shm_free")),
    )  # fmt: skip


def _peak(incident: Incident) -> tuple[Evidence, ...]:
    peak = incident.kernel.memory_peak_bytes
    if peak is None:
        return ()
    return (fact(f"its peak was {size(peak)}", "kernel.memory_peak"),)


def _limit_text(incident: Incident) -> str:
    limit, peak = incident.request.memory_bytes, peak_of(incident)
    if limit is None:
        return "there was no more memory" if peak is None else f"it had used {size(peak)}"
    used = "" if peak is None else f", and it had used {size(peak)}"
    return f"its limit is {size(limit)}{used}"
