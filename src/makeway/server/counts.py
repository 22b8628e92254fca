"""Count requests and how long they took, for /metrics.

A request counts under the pattern of its route, never under its path, so that no number of jobs and
no guessing at paths makes the table grow. What counts of a stream is how long it took to begin.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"})


class Timing:
    """How long requests to one route took."""

    def __init__(self) -> None:
        """Begin with none."""
        self.by_bucket = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0

    def add(self, took_s: float) -> None:
        """Count one."""
        self.by_bucket[bisect_left(BUCKETS_S, took_s)] += 1
        self.sum_s += took_s

    def cumulated(self) -> Iterator[tuple[str, int]]:
        """Give (upper bound, how many took at most that), as Prometheus wants it."""
        count = 0
        bounds = (*(f"{bound:g}" for bound in BUCKETS_S), "+Inf")
        for bound, here in zip(bounds, self.by_bucket, strict=True):
            count += here
            yield bound, count


class Counts:
    """What was asked so far. Only the server's own thread writes here."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.timings: dict[str, Timing] = {}
        self.followers = 0

    def add(self, method: str, route: str, status: int, took_s: float) -> None:
        """Count a request that was answered."""
        self.requests[method if method in METHODS else "other", route, status] += 1
        self.timings.setdefault(route, Timing()).add(took_s)
