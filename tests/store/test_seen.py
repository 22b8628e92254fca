"""What the store knows of an attempt that fails: bounded, and of the worker that failed."""

from __future__ import annotations

import math

import msgspec

from makeway.health.judge import judge
from makeway.intake.evidence import incident_of
from makeway.intake.located import item_of
from makeway.model import event as ev
from makeway.model.incident import Checkpoint, Disk, InputSeen, PastRuns, Seen
from makeway.model.record import Cause, Sample
from makeway.store.database import Database
from makeway.store.evidence import document_of
from makeway.store.log import Log
from makeway.store.seen import (
    BYTES_MAX,
    POINTS_MAX,
    SERIES_MAX,
    Wanted,
    past_runs_of,
    seen_of,
)
from makeway.store.series_writer import SeriesWriter
from tests import builders
from tests.engine.house import House
from tests.engine.house import spec as house_spec

ATTEMPT = Wanted(job="j", number=1, begun_ms=1_000)


def keep(database: Database, rank: int, name: str, *values: float, every_ms: int = 1000) -> None:
    """Write a series of the attempt, one value a second."""
    writer = SeriesWriter(database)
    rows = [
        Sample(name=name, at_ms=1_000 + every_ms * at, value=value)
        for at, value in enumerate(values)
    ]
    writer.add("j", 1, rank, rows)
    writer.flush()


def test_series_bear_the_names_and_units_of_the_rules(database: Database) -> None:
    keep(database, 0, "system/memory_usage_bytes", 23e6, 200e6)
    keep(database, 0, "progress", 0.1, 0.2)
    keep(database, 0, "available/table", 1.0, 0.0)
    seen = seen_of(database, ATTEMPT)
    assert seen.samples == {
        "memory_mb": ((0.0, 23.0), (1.0, 200.0)), "progress": ((0.0, 0.1), (1.0, 0.2)),
    }  # fmt: skip
    assert seen.available == {"table": ((0.0, 1.0), (1.0, 0.0))}


def test_what_is_no_number_is_kept_as_such(database: Database) -> None:
    keep(database, 0, "loss", 1.0, math.nan)
    seen = seen_of(database, ATTEMPT)
    assert seen.samples["loss"] == ((0.0, 1.0), (1.0, None))
    assert msgspec.json.decode(msgspec.json.encode(seen), type=type(seen)) == seen


def test_the_memory_is_that_of_the_worker_that_failed_and_metrics_are_those_of_the_first(
    database: Database,
) -> None:
    for rank in (0, 1):
        keep(database, rank, "system/memory_usage_bytes", rank * 1e6)
        keep(database, rank, "loss", float(rank))
    seen = seen_of(database, msgspec.structs.replace(ATTEMPT, rank=1))
    assert seen.samples == {"memory_mb": ((0.0, 1.0),), "loss": ((0.0, 0.0),)}
    assert seen.worker_samples == {0: {"loss": ((0.0, 0.0),)}, 1: {"loss": ((0.0, 1.0),)}}


def test_other_attempts_are_not_looked_at(database: Database) -> None:
    keep(database, 0, "loss", 1.0)
    assert seen_of(database, msgspec.structs.replace(ATTEMPT, number=2)).samples == {}


def test_however_much_was_recorded_it_stays_small_and_keeps_what_matters(
    database: Database,
) -> None:
    many = [float(at % 97) for at in range(1_000)]
    many[500] = 1e6
    keep(database, 0, "system/memory_usage_bytes", *(1e6 * value for value in many))
    for number in range(SERIES_MAX + 10):
        keep(database, 0, f"metric-{number:03}", *many)
    seen = seen_of(database, ATTEMPT)
    assert len(seen.samples) <= SERIES_MAX
    assert len(msgspec.json.encode(seen)) <= BYTES_MAX
    memory = seen.samples["memory_mb"]
    assert len(memory) <= POINTS_MAX
    assert (memory[0], memory[-1]) == ((0.0, 0.0), (999.0, float(999 % 97)))
    assert max(value or 0 for _, value in memory) == 1e6


# ── how such attempts went before ─────────────────────────────────────────────────────────────────


def went(house: House, log: Log, job: str, lasts_ms: int, peak_bytes: int) -> None:
    """Let a job of the name `train` run for so long with so much memory."""
    seq = log.last()
    house.submit(job, name="train")
    house.go(job)
    house.pass_time(lasts_ms)
    house.exits(job, memory_peak_bytes=peak_bytes)
    log.append(house.log[seq:])


def test_past_runs_are_summed_up_once_there_are_three(database: Database) -> None:
    house, log = House("n1"), Log(database)
    spec = house_spec(name="train")
    for number, (lasts_ms, peak) in enumerate(((1_000, 10), (2_000, 30), (3_000, 20))):
        assert past_runs_of(database, spec) == PastRuns()
        went(house, log, f"j{number}", lasts_ms, peak * 10**6)
    assert past_runs_of(database, spec) == PastRuns(p90_s=3.0, memory_p95_bytes=30 * 10**6)
    assert past_runs_of(database, house_spec(name="other")) == PastRuns()


def test_the_document_of_an_attempt_holds_what_was_seen_and_how_it_ended(
    database: Database,
) -> None:
    house, log = House("n1"), Log(database)
    house.tell(ev.NodeJoined(node=builders.node("n1", cpus=4, memory="1GiB")))
    group = builders.group(cpus=1, memory=10**8)
    house.submit("a", name="train", retries=2, groups=(group,))
    house.go("a")
    seen = Seen(
        samples={"memory_mb": ((0.0, 20.0), (1.0, 90.0)), "loss": ((0.0, None),)},
        available={"table": ((0.0, 1.0),)}, log=("Killed",), checkpoint=Checkpoint(progress=0.4),
        inputs=(InputSeen(name="table", available=True),), disk=Disk(bytes_free=5),
    )  # fmt: skip
    house.tell(ev.AttemptSeen(job="a", number=1, fence=1, seen=seen))
    house.exits("a", signal=9, oom_kills=1, memory_peak_bytes=10**8)
    house.wait_for("a")
    house.go("a")
    house.exits("a", code=1)
    log.append(house.log)

    first, second = (document_of(database, "a", number) for number in (1, 2))
    live = next(
        entry.event.diagnosis for entry in house.log if isinstance(entry.event, ev.AttemptEnded)
    )
    judged = judge(incident_of(item_of(first, "a"))).diagnosis
    assert (judged.cause, judged.confidence) == (live.cause, live.confidence) == (
        Cause.OOM_HOST, "established",
    )  # fmt: skip
    assert first["log"] == ["Killed"]
    assert first["checkpoint"] == {"progress": 0.4}
    [before] = incident_of(item_of(second, "a")).history
    assert (before.cause, before.checkpoint, before.fingerprint) == (
        Cause.OOM_HOST, 0.4, live.fingerprint,
    )  # fmt: skip
    assert second["ledgers"] == {"oom": [1, 3]}
