"""Read the tail of a log: the exception that it ends with, else the first line that names a cause.

A line that tells of a recovery (a warning, a retry) is no failure. A line about a collective names
what followed from a failure, so it counts only where no other line does.
"""

from __future__ import annotations

from collections.abc import Iterator

from makeway.health.rules import devices
from makeway.health.rules.exceptions import last_of, of_error
from makeway.health.rules.finding import Finding, Tier, fact
from makeway.health.rules.scene import Scene
from makeway.health.rules.signs import RECOVERED, sign_of
from makeway.model.record import Cause

# Read elsewhere, with what else is to be known about them.
ELSEWHERE = (Cause.GPU_HARDWARE, Cause.GPU_USER_FAULT, Cause.SHM_FULL)


def look(scene: Scene) -> Iterator[Finding]:
    """Find what the log speaks for."""
    death = scene.first
    if death is None or not scene.incident.log:
        return
    last = last_of(scene) if death.error is None else None
    if last is not None:
        error, at = last
        found = of_error(scene, error, f"log[{at}]", death.rank)
        if found is not None and found.cause not in ELSEWHERE:
            yield found
    followed: Finding | None = None
    for at, line in enumerate(scene.incident.log):
        sign = None if RECOVERED.search(line) else sign_of(line)
        if sign is None or sign.cause in ELSEWHERE:
            continue
        found = _of_line(scene, sign.cause, line, at)
        if sign.role == "root":
            yield found
            return
        followed = followed or found
    if followed is not None:
        yield followed


def _of_line(scene: Scene, cause: Cause, line: str, at: int) -> Finding:
    if cause is Cause.OOM_GPU:
        return devices.full(scene, line, f"log[{at}]", Tier.LOG)
    return Finding(
        cause=cause,
        tier=Tier.LOG,
        said=line.strip()[:200],
        evidence=(fact(line.strip()[:200], f"log[{at}]"),),
        confidence="supported",
        rank=scene.first.rank if scene.first is not None else None,
        once=cause in (Cause.BAD_DATA, Cause.ENV_MISMATCH),
    )
