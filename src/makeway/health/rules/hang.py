"""Tell an attempt that hangs from one that is merely busy: it is alive and comes no further.

Who reports training steps may take max(30 s, 5 × the slowest step, 10 × the median); others
max(10 min, 3 × the median between two reports, 1.5 × the 99th percentile). A phase that the program
declares has a clock of its own. In a gang all wait for the one that hangs, so a stack that differs
from the others names it; one that waits for a disk blames the storage.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from statistics import median

from makeway.health.rules.finding import Finding, Tier, fact, when
from makeway.health.rules.scene import Scene, node_of
from makeway.model.incident import Incident, Series
from makeway.model.record import Cause

STEP_LEAST_S, REPORT_LEAST_S, INIT_S = 30.0, 600.0, 1800.0
OWN_CLOCK = ("checkpoint", "eval", "evaluation", "validation", "save")
NOT_PROGRESS = ("memory_mb", "cpu_percent", "gpu_percent", "gpu_memory_mb", "input_mb_s")
ON_DISK = re.compile(r"\bnfs\w*|\bio_schedule|wait_on_page|\brpc_wait|\bjbd2|\(D\)|^D[ :]|state D\b"
                     r"|D state|\bll_\w+|folio_wait|uninterruptible", re.IGNORECASE)  # fmt: skip


def look(scene: Scene) -> Iterator[Finding]:
    """Find whether nothing has moved for too long."""
    incident = scene.incident
    intent = incident.intent
    ordered = intent is not None and intent.kind == "stop"
    collective = scene.first is not None and scene.first.error is not None
    if scene.ended_well or not (scene.running or ordered or (collective and incident.stacks)):
        return
    yield from _hung(scene, ordered=ordered)


def _hung(scene: Scene, *, ordered: bool) -> Iterator[Finding]:
    incident = scene.incident
    late = lateness(incident)
    suspects = _odd(incident) or ([] if incident.stacks else _behind(incident))
    if scene.first is not None and not ordered:
        # A collective timed out: whoever stands elsewhere is the one that the others waited for.
        if not suspects or scene.first.error is None:
            return
    elif late is None or late.age_s <= late.limit_s:
        return
    told = [] if late is None else [fact(late.text, late.ref)]
    told += [fact(f"rank {rank} stands in {incident.stacks[rank]}", f"stacks.{rank}")
             for rank in suspects or list(incident.stacks)[:1] if rank in incident.stacks]  # fmt: skip
    stuck = [rank for rank in suspects or list(incident.stacks)
             if ON_DISK.search(incident.stacks.get(rank, ""))]  # fmt: skip
    nodes = tuple(dict.fromkeys(n for n in (node_of(incident, rank) for rank in suspects) if n))
    if not suspects and len(incident.nodes) == 1 and incident.nodes[0].name:
        nodes = (incident.nodes[0].name,)
    who = f"; rank {', '.join(map(str, suspects))} is behind the rest" if suspects else ""
    text = late.text if late is not None else "the others waited for it in a collective"
    yield Finding(
        cause=Cause.STORAGE if stuck else Cause.HUNG,
        tier=Tier.INTENT if ordered else Tier.KERNEL if scene.first is not None else Tier.SAMPLES,
        said="a worker waits for the disk" if stuck else f"{text}{who}",
        evidence=tuple(told),
        confidence="established" if late is not None and not stuck else "supported",
        rank=suspects[0] if suspects else None,
        ranks=tuple(suspects),
        nodes=nodes,
        root=",".join(sorted({incident.stacks.get(rank, "") for rank in suspects})),
    )


class Lateness:
    """How long nothing has moved, how long it may, and where that stands."""

    def __init__(self, age_s: float, limit_s: float, why: str, ref: str) -> None:
        """Take what was measured."""
        self.age_s, self.limit_s, self.ref = age_s, limit_s, ref
        self.text = f"no progress for {when(age_s)}, more than {when(limit_s)} ({why})"


def lateness(incident: Incident) -> Lateness | None:
    """Measure since when nothing has moved; None if nothing is ever reported."""
    now_s = incident.end_s
    moves = [move for move in _moves(incident) if move[0]]
    phase = incident.phase
    if now_s is None or (not moves and (phase is None or phase.since_s is None)):
        return None
    last_s, ref = max(((times[-1], ref) for times, ref, _ in moves), default=(0.0, "now"))
    if phase is not None and phase.since_s is not None and phase.since_s >= last_s:
        last_s, ref = phase.since_s, "phase.since"
    limit_s, why = _limit(incident, moves)
    return Lateness(now_s - last_s, limit_s, why, ref)


def _limit(incident: Incident, moves: list[tuple[list[float], str, bool]]) -> tuple[float, str]:
    name = (incident.phase.name or "").lower() if incident.phase is not None else ""
    if name.startswith("init"):
        return INIT_S, "the limit of its beginning"
    own = any(word in name for word in OWN_CLOCK)
    steps = [gap for times, _, step in moves if step for gap in _gaps(times)]
    if steps and not own:
        slowest, middle = max(steps), median(steps)
        return max(
            (STEP_LEAST_S, "the least limit of a step"),
            (5 * slowest, f"5 times the slowest step of {when(slowest)}"),
            (10 * middle, f"10 times the median step of {when(middle)}"),
        )
    if any(step for _, _, step in moves) and not own:
        return REPORT_LEAST_S, "the limit of the first step"
    every = sorted((_gaps(times) for times, _, _ in moves), key=len)
    gaps = sorted(every[-1]) if every else []
    if not gaps:
        return REPORT_LEAST_S, "the least limit of who reports no steps"
    late = gaps[min(len(gaps) - 1, len(gaps) * 99 // 100)]
    return max(
        (REPORT_LEAST_S, "the least limit of who reports no steps"),
        (3 * median(gaps), f"3 times the median of {when(median(gaps))} between two reports"),
        (1.5 * late, f"1.5 times the {when(late)} between two late reports"),
    )


def _moves(incident: Incident) -> Iterator[tuple[list[float], str, bool]]:
    """Give the instants of each kind of progress, where the last one stands, and if it is steps."""
    for name, series in incident.samples.items():
        if name == "progress":
            times, at = _gains(series)
            yield times, f"samples.progress[{at}]", False
        elif name == "input_mb_s":
            read = [one for one in series if one.value > 0]
            if read:
                yield [read[-1].at_s], f"samples.{name}[{read[-1].index}]", False
        elif name not in NOT_PROGRESS and not name.startswith("system/") and series:
            yield [one.at_s for one in series], f"samples.{name}[{series[-1].index}]", False
    saved = incident.checkpoint.at_s
    if saved is not None:
        yield [saved], "checkpoint.at", False
    for rank, known in incident.worker_samples.items():
        series = known.get("local_ms", ())
        if series:
            ref = f"worker_samples.{rank}.local_ms[{series[-1].index}]"
            yield [one.at_s for one in series], ref, True


def _gains(series: Series) -> tuple[list[float], int]:
    """Give the instants at which something was gained, and the place of the last one."""
    best, times, at = -1.0, [], series[-1].index if series else 0
    for point in series:
        if point.value > best:
            best, at = point.value, point.index
            times.append(point.at_s)
    return times, at


def _gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


def _odd(incident: Incident) -> list[int]:
    """Name the ranks that stand elsewhere than most."""
    groups = Counter(incident.stacks.values())
    if len(groups) < 2:
        return []
    (_, most), *rest = groups.most_common()
    if rest[0][1] == most:
        return []
    common = groups.most_common(1)[0][0]
    return sorted(rank for rank, frame in incident.stacks.items() if frame != common)


def _behind(incident: Incident) -> list[int]:
    """Name the ranks that have done fewer steps than the others."""
    done = {rank: len(known.get("local_ms", ())) for rank, known in incident.worker_samples.items()}
    least = min(done.values(), default=0)
    found = sorted(rank for rank, many in done.items() if many == least)
    return found if len(found) * 2 < len(done) else []
