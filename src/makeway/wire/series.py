"""Say what has been measured: series with what is known of each, and points for a chart."""

from __future__ import annotations

import msgspec

from makeway.wire.page import PAGE

POINTS = 1_000
POINTS_MAX = 10_000

# Instant (s since 1970), training step if it has one, value; no value: it is no finite number.
PointView = tuple[float, int | None, float | None]


class SeriesWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which series of a job or step, and how many points of each; `from_s` and `to_s` included."""

    job: str
    name: str | None = None
    attempt: int | None = None
    rank: int | None = None
    from_s: float | None = None
    to_s: float | None = None
    max_points: int = POINTS
    limit: int = PAGE
    cursor: str | None = None


class SeriesView(msgspec.Struct, frozen=True, kw_only=True):
    """One series of one worker. The sums are those of all its samples, whatever window is asked for.

    kind   `system` for what is measured from outside, `user` for what the program records
    unit   where the name says it: bytes, percent, seconds …
    trend  the slope of the last 20 samples, a second
    """

    job: str
    attempt: int
    rank: int
    name: str
    kind: str
    unit: str | None
    n: int
    first: float | None
    last: float | None
    min: float | None
    max: float | None
    mean: float | None
    trend: float | None
    last_step: int | None
    last_at_s: float
    points: tuple[PointView, ...] = ()
