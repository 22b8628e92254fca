"""Read what the store knows of an attempt beside its end: its series, and how such attempts went before.

The live controller reads this right before it believes that an attempt has failed, and who asks for
the evidence of an attempt later: one reader, so that both see the same. It is bounded, whatever a
program has recorded: so many points a series, so many series, so many bytes.

Takes:   the attempt, since when it is at work, which rank failed (its memory counts)
Gives:   Seen, with no more in it than the store knows
Cost:    some ms for a training with ten series
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace

from makeway.model.incident import InputSeen, PastRuns, Seen, Track
from makeway.model.job import JobSpec
from makeway.model.record import Cause
from makeway.store import schema
from makeway.store.database import Database
from makeway.store.produced import inputs
from makeway.store.series import Series, list_series, read_series
from makeway.store.statement import same

POINTS_MAX, POINTS_MIN, SERIES_MAX, BYTES_MAX = 200, 8, 40, 64 << 10
RUNS_MAX, RUNS_MIN = 100, 3
MB = 10**6
# As the rules call it: the name of a series, and by what its values are divided.
NAMES = {"system/memory_usage_bytes": ("memory_mb", MB), "system/cpu_percent": ("cpu_percent", 1)}
SYSTEM = "system/"
AVAILABLE = ("available/", "data_available.")
# What tells one worker from its peers; everything else is that of the step as a whole.
OF_WORKERS = ("local_ms", "rtt_ms", "items", "bandwidth_mb_s", "loss", "train_loss", "grad_norm")

JOBS, ATTEMPTS, WORKERS, ARTIFACTS = (
    schema.job.c, schema.attempt.c, schema.worker.c, schema.artifact.c,
)  # fmt: skip
WENT_WELL = (
    sa.select(
        ATTEMPTS.ended_at_ms - ATTEMPTS.released_at_ms, sa.func.max(WORKERS.memory_peak_bytes)
    )
    .select_from(schema.job)
    .join(schema.attempt, ATTEMPTS.job == JOBS.id)
    .join(schema.worker, (WORKERS.job == ATTEMPTS.job) & (WORKERS.number == ATTEMPTS.number))
    .where(same(JOBS.name, JOBS.user), ATTEMPTS.cause == Cause.NONE.value)
    .where(ATTEMPTS.released_at_ms.is_not(None))
    .group_by(ATTEMPTS.job, ATTEMPTS.number, JOBS.submitted_at_ms)
    .order_by(JOBS.submitted_at_ms.desc())
    .limit(RUNS_MAX)
)
MADE_BY = sa.select(ARTIFACTS.producer).where(
    same(ARTIFACTS.digest), ARTIFACTS.producer.is_not(None)
)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Whose attempt is looked at; `rank` is the worker that failed, as far as that is known."""

    job: str
    number: int
    begun_ms: int
    rank: int = 0


def seen_of(database: Database, wanted: Wanted) -> Seen:
    """Read the series of an attempt, as many points of each as there is room for."""
    with database.reading():
        every = [one for one in list_series(database, wanted.job) if one.number == wanted.number]
        chosen = list(_chosen(every, wanted.rank))[:SERIES_MAX]
        points = POINTS_MAX
        while True:
            seen = _read(database, chosen, wanted, points)
            if points <= POINTS_MIN or len(msgspec.json.encode(seen)) <= BYTES_MAX:
                return seen
            points //= 2


def past_runs_of(database: Database, spec: JobSpec) -> PastRuns:
    """Sum up the attempts of the same step that went well, if there are enough of them."""
    rows = database.rows(WENT_WELL, {"name": spec.name, "user": spec.user})
    if len(rows) < RUNS_MIN:
        return PastRuns()
    lasted = sorted(row[0] / 1000 for row in rows)
    peaks = sorted(row[1] for row in rows if row[1])
    return PastRuns(
        p90_s=_part(lasted, 0.90),
        memory_p95_bytes=round(_part(peaks, 0.95)) if len(peaks) >= RUNS_MIN else None,
    )


def inputs_of(database: Database, spec: JobSpec) -> Iterator[tuple[InputSeen, str]]:
    """Give what the step reads of other steps, each with its digest."""
    call = spec.program.call
    for name, binding in {} if call is None else call.arguments.items():
        for key, output in inputs(name, binding):
            made = database.rows(MADE_BY, {"digest": output.digest})
            producer = made[0][0].partition(".")[2] or made[0][0] if made else None
            yield (
                InputSeen(name=key, producer=producer, durability=output.durability, managed=True),
                output.digest,
            )


# ── series ────────────────────────────────────────────────────────────────────────────────────────


def _chosen(every: Sequence[Series], rank: int) -> Iterator[Series]:
    """Give the series that count, those of the step as a whole first."""
    several = len({one.rank for one in every}) > 1
    of_step: dict[str, Series] = {}
    for one in every:
        known = of_step.get(one.name)
        better = one.rank == (rank if one.name.startswith(SYSTEM) else 0)
        if known is None or better:
            of_step[one.name] = one
    yield from sorted(of_step.values(), key=_weight)
    if several:
        yield from (one for one in every if one.name in OF_WORKERS and one is not of_step[one.name])


def _weight(one: Series) -> tuple[int, str]:
    first = one.name in NAMES or one.name == "progress" or one.name.startswith(AVAILABLE)
    return (0 if first else 1), one.name


def _read(database: Database, chosen: Sequence[Series], wanted: Wanted, points: int) -> Seen:
    samples: dict[str, Track] = {}
    available: dict[str, Track] = {}
    workers: dict[int, dict[str, Track]] = {}
    several = len({one.rank for one in chosen}) > 1
    for one in chosen:
        name, divisor = NAMES.get(one.name, (one.name, 1))
        track = tuple(
            (
                round((point.at_ms - wanted.begun_ms) / 1000, 3),
                point.value / divisor if math.isfinite(point.value) else None,
            )
            for point in read_series(database, one.id, max_points=points)
        )
        prefix = next((each for each in AVAILABLE if name.startswith(each)), None)
        if prefix is not None:
            available[name.removeprefix(prefix)] = track
            continue
        samples.setdefault(name, track)
        if several and one.name in OF_WORKERS:
            workers.setdefault(one.rank, {})[one.name] = track
    return replace(Seen(), samples=samples, available=available, worker_samples=workers)


def _part(ordered: Sequence[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(part * len(ordered)) - 1)]
