"""Say how fast no policy can be: a lower bound on the mean completion time of rigid jobs.

Both bounds let the whole cluster be one machine that works as fast as all of it and is never split.
`srpt`: the job with least left to do first, which is optimal there. `goemans`: the smallest job
first; the sum of the mean instants at which jobs are worked at is then the least possible, and no job
can end sooner than half its own run time after its. The larger one holds, and no mean completion
time is below the mean run time.

Takes:   arrivals, and how many devices of their kind the cluster has
Gives:   ms from submission to completion, on average
Holds:   a lower bound for every policy that gives a job its workers all at once, evicting or not
Cost:    O(jobs log jobs)
Source:  Schrage, Operations Research 16(3), 1968; Goemans, Queyranne, Schulz, Skutella, Wang,
         SIAM J. Discrete Math. 15(2), 2002
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

from makeway.policy.ranked import width_of
from makeway.sim.workload import Arrival

# When it comes, how long it takes the one machine (devices x ms / devices), how long it takes alone.
Piece = tuple[int, float, int]


def lower_bound_ms(arrivals: Sequence[Arrival], devices: float) -> float | None:
    """Give the tightest bound that is known; None where there are no jobs."""
    if not arrivals:
        return None
    pieces = [*_pieces(arrivals, devices)]
    alone_ms = sum(ran_ms for _, _, ran_ms in pieces) / len(pieces)
    return max(alone_ms, srpt_ms(pieces), goemans_ms(pieces))


def srpt_ms(pieces: Sequence[Piece]) -> float:
    """Let the job with least left to do go first, and give the mean completion time."""
    total = 0.0
    waiting: list[tuple[float, int]] = []
    now, place = 0.0, 0
    while place < len(pieces) or waiting:
        if not waiting:
            now = max(now, pieces[place][0])
        while place < len(pieces) and pieces[place][0] <= now:
            heapq.heappush(waiting, (pieces[place][1], pieces[place][0]))
            place += 1
        work, came = heapq.heappop(waiting)
        until = pieces[place][0] if place < len(pieces) else now + work
        if now + work <= until:
            now += work
            total += now - came
        else:
            heapq.heappush(waiting, (work - (until - now), came))
            now = until
    return total / len(pieces)


def goemans_ms(pieces: Sequence[Piece]) -> float:
    """Let the smallest job go first, and add half the run time to the mean of its busy instants."""
    total = 0.0
    waiting: list[tuple[float, int]] = []  # (whole work, place)
    left = [work for _, work, _ in pieces]
    now, place = 0.0, 0
    while place < len(pieces) or waiting:
        if not waiting:
            now = max(now, pieces[place][0])
        while place < len(pieces) and pieces[place][0] <= now:
            heapq.heappush(waiting, (pieces[place][1], place))
            place += 1
        whole, at = waiting[0]
        until = pieces[place][0] if place < len(pieces) else now + left[at]
        worked = min(left[at], until - now)
        # The part of its work that is done in this stretch, times the middle of it.
        total += (now + worked / 2) * (worked / whole)
        now += worked
        left[at] -= worked
        if left[at] <= whole * 1e-12:
            heapq.heappop(waiting)
    return (total + sum(ran_ms / 2 - came for came, _, ran_ms in pieces)) / len(pieces)


def _pieces(arrivals: Iterable[Arrival], devices: float) -> Iterable[Piece]:
    for arrival in arrivals:
        width = width_of(arrival.spec.groups) / 1000
        yield arrival.at_ms, arrival.duration_ms * width / devices, arrival.duration_ms
