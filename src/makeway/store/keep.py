"""Say how long what is kept.

The log of events is kept for ever, and so is all that is folded from it (runs, attempts, diagnoses,
decisions, lineage): it is the truth, its entries are numbered without a gap, and whoever resumes a
run or asks why it failed reads it. What grows with every second of every worker is samples.
"""

from __future__ import annotations

import msgspec

DAY_MS = 86_400_000
POINTS_MIN, POINTS_MAX = 4, 100_000


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """How long what is kept; 0: for ever.

    samples_ms  every sample, since the end of its attempt; after that `points` of each series
    keys_ms     what a request with an Idempotency-Key has led to
    """

    samples_ms: int = 30 * DAY_MS
    points: int = 1_000
    keys_ms: int = 7 * DAY_MS
