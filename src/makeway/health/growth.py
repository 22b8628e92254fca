"""Decide how much memory the next attempt gets, after one that had too little.

    new = min(cap, max(limit × f, peak × 1.25)), f = 2 up to 16 GiB and 1.5 above

The peak of who was killed at a limit is only a lower bound. After a sudden jump it is 1.5 times the
peak, and at least twice the limit. Where successful attempts of the same step are known to have
needed more than was seen here, their 95th percentile × 1.2 stands instead.

Takes:   Incident; how much was asked for at once, if an exception said so
Gives:   Growth: the new limit, or why there is none
"""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec

from makeway.health.rules.finding import size
from makeway.health.rules.memory import MB, peak_of, spiked
from makeway.model.incident import Incident

SMALL_BYTES = 16 * 2**30
COARSE_S, FINE_MS = 60.0, 10_000


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """How much memory is asked for next, and why; `stop`: more than there can be is needed."""

    memory_bytes: int | None = None
    why: str = ""
    stop: str = ""


def grown(incident: Incident, asked_bytes: int | None = None) -> Growth:
    """Give the memory of the next attempt."""
    limit, peak = incident.request.memory_bytes, peak_of(incident)
    if limit is None:
        if peak is None:
            return Growth(
                why="its limit is not known, so that the next one is for the user to name"
            )
        limit = peak
    cap = bound_of(incident)
    want, why = _wanted(incident, limit, peak)
    if asked_bytes is not None:
        want = max(want, round(((peak or 0) + asked_bytes) * 1.25))
    want = whole(want)
    if cap is not None and (cap <= limit or (peak is not None and peak > cap)):
        need = max(limit, peak or 0)
        return Growth(
            stop=f"it needs more than {size(need)}, and {size(cap)} is the most it may have"
        )
    if cap is not None and want > cap:
        want, why = cap, f"{why}; {size(cap)} is the most it may have"
    return Growth(memory_bytes=want, why=why)


def _wanted(incident: Incident, limit: int, peak: int | None) -> tuple[int, str]:
    factor = 2.0 if limit <= SMALL_BYTES else 1.5
    seen = peak or 0
    past = incident.past_runs.memory_p95_bytes
    if past is not None and past * 1.2 >= max(limit, seen * 1.25):
        return math.ceil(past * 1.2), f"attempts that succeeded needed {size(past)}"
    if spiked(incident) is not None:
        return max(2 * limit, math.ceil(seen * 1.5)), "after a sudden jump"
    return max(round(limit * factor), math.ceil(seen * 1.25)), f"{factor:g} times its limit"


def kept(incident: Incident) -> int | None:
    """Give the memory that earlier attempts had grown to, which later ones keep."""
    had = [past.memory_bytes for past in incident.history if past.memory_bytes is not None]
    now = incident.request.memory_bytes
    every = [*had, now] if now is not None else had
    return max(every) if had and min(every) < max(every) else None


def sampled_too_seldom(incident: Incident) -> bool:
    """Say whether the samples of memory lie so far apart that the end was not seen coming."""
    series = incident.series("memory_mb")
    gaps = [later.at_s - early.at_s for early, later in pairwise(series)]
    return bool(gaps) and max(gaps) > COARSE_S


def bound_of(incident: Incident) -> int | None:
    """Give the most memory that the next attempt may have, as far as that is known."""
    caps = [incident.request.max_memory_bytes, incident.cluster.largest_node.memory_bytes]
    return min((one for one in caps if one is not None), default=None)


def whole(number: int) -> int:
    """Round up to whole megabytes, unless it is a round number of its own kind."""
    if number % 2**20 == 0 or number % 10**5 == 0 or number < MB:
        return number
    return math.ceil(number / MB) * MB
