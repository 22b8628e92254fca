"""Read the traces of the study, each in the form in which others published it; or make some up."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from random import Random
from typing import NamedTuple

from msgspec.structs import replace

from makeway.model.resources import GPU, Resources
from makeway.sim.trace import Cost, Header, Row, machines, swf_rows, workload
from makeway.sim.workload import Shape, Workload, generate

ONE_GPU = Resources.of({GPU: 1000})
PHILLY_FROM, PHILLY_UNTIL = datetime(2017, 10, 1), datetime(2017, 12, 1)  # noqa: DTZ001 - as traced
MURI_OVERHEAD = 1.015
LCG_JOBS = 20_000
PHILLY_JOBS = 8_000
FREE = Cost(every_ms=1)
MURI = {
    1: "SRSF (knows run times) 975,401 s · Tiresias-L (knows nothing) 3,330,371 s · Themis "
    "1,823,179 s · FIFO that skips 5,626,220 s",
    3: "SRSF (knows run times) 183,966 s · Tiresias-L (knows nothing) 347,213 s · Themis "
    "397,059 s · FIFO that skips 520,040 s",
}

Cells = Mapping[str, str]


class Case(NamedTuple):
    """One workload of the study: what it is, how many devices there are, what others reached."""

    title: str
    note: str
    published: str
    devices: int
    load: Callable[[], Workload]
    fluid: bool = False
    without: tuple[str, ...] = ()  # policies that take too long on it
    by_job: bool = False  # also with a queue for each job
    rho: float = 0.0  # how much longer a job may take than alone (Shockwave's fair finish time)


def cases(folder: Path) -> Iterator[Case]:
    """Give the cases whose files are there; small seeded ones if there are none."""
    if not folder.is_dir():
        yield from made_up()
        return
    yield Case(
        "Helios, vcvGl: 1,452 jobs on 20 nodes of 8 GPUs",
        "One worker a GPU; an eviction loses nothing and a start costs nothing.",
        "strict FIFO 18,497 s · SJF 5,303 s · FIFO that skips 4,826 s",
        160,
        lambda: workload(_helios(folder), machines(20, 8), FREE),
    )
    for number, published in MURI.items():
        yield Case(
            f"Muri, trace {number}: 8 nodes of 8 GPUs",
            "Run times are 1.015 times those of the trace, as in the published runs; an eviction "
            "loses nothing and a start costs nothing, as there. The trace knows one user alone.",
            published,
            64,
            lambda number=number: workload(_muri(folder, number), machines(8, 8), FREE),  # type: ignore[misc]  # bound early
            by_job=number == 3,  # with the 900 that wait at once in the other one it takes too long
        )
    yield Case(
        "Shockwave, 120 jobs on 8 nodes of 4 GPUs",
        "Each start costs 20 s, an eviction loses nothing more. ρ is the time a job took over 3.75 "
        "times its time alone; unfair are those with ρ > 1.05.",
        "makespan / mean / worst ρ / unfair: Shockwave 24,197 s / 9,958 s / 1.78 / 5.0 % · Gavel "
        "31,888 s / 9,246 s / 3.26 / 16.7 % · FIFO that skips 31,321 s / 9,264 s / 4.73 / 25 %, "
        "all in rounds of 120 s",
        32,
        lambda: workload(_shockwave(folder), machines(8, 4), Cost(every_ms=1, startup_ms=20_000)),
        rho=3.75,
    )
    yield from _many(folder)


def _many(folder: Path) -> Iterator[Case]:
    """Give the cases with many jobs, which are cut where a policy takes too long."""
    yield Case(
        "Philly, October and November 2017: 68,510 jobs on 64 nodes of 8 GPUs",
        "A checkpoint every 10 min; the users are the 14 virtual clusters. Jobs of one second come in "
        "the order of their size, as in the published run; in the order of the file FIFO that skips "
        "has 39,618 s.",
        "FIFO that skips 37,369 s",
        512,
        without=("fair",),
        load=lambda: workload(
            sorted(_philly(folder), key=_by_size), machines(64, 8), Cost(every_ms=600_000)
        ),
    )
    yield Case(
        f"The first {PHILLY_JOBS:,} of these jobs of Philly",
        "As above.",
        "",
        512,
        lambda: workload(
            sorted(_philly(folder), key=_by_size)[:PHILLY_JOBS],
            machines(64, 8),
            Cost(every_ms=600_000),
        ),
    )
    yield Case(
        f"LCG, the first {LCG_JOBS:,} jobs on 8 nodes of 100 processors",
        "Jobs of one processor, with time limits, by 28 groups and their users; a checkpoint every "
        "10 min. The machine is ours, made so small that jobs wait: the grid itself was never full.",
        "",
        800,
        lambda: workload(_lcg(folder), machines(8, 100), Cost(every_ms=600_000)),
        fluid=True,
    )


def made_up() -> Iterator[Case]:
    """Give small workloads from seeds, for a clone that has no traces."""
    for seed, load in ((1, 0.7), (2, 0.95), (3, 1.2)):
        yield Case(
            f"made up, seed {seed}: 400 jobs on 4 nodes of 16 processors, load {load}",
            "Log-normal run times; an eviction loses nothing.",
            "",
            64,
            lambda seed=seed, load=load: _generated(seed, load),  # type: ignore[misc]  # bound early
            fluid=True,
        )


def _generated(seed: int, load: float) -> Workload:
    made = generate(Random(seed), Shape(jobs=400, load=load, users=6, queues=3, spread=1.5))
    arrivals = [
        replace(
            one, spec=replace(one.spec, known_ms=one.duration_ms, checkpoint_every_ms=1, grace_ms=0)
        )
        for one in made.arrivals
    ]
    return replace(made, arrivals=tuple(arrivals))


def _helios(folder: Path) -> Iterator[Row]:
    for cells in _table(folder / "helios" / "helios_venus_2vc_sept.csv.gz"):
        if cells["tenant"] == "vcvGl":
            yield Row(
                at_ms=int(cells["submit_time"]) // 1000,
                duration_ms=round(float(cells["duration_s"]) * 1000),
                workers=int(cells["num_chips"]),
                per_worker=ONE_GPU,
                user=cells["user"],
            )


def _muri(folder: Path, number: int) -> Iterator[Row]:
    for cells in _table(folder / "muri" / f"trace{number}.csv.gz"):
        yield Row(
            at_ms=int(cells["submit_time"]),
            duration_ms=round(int(cells["duration"]) * MURI_OVERHEAD),
            workers=int(cells["num_gpu"]),
            per_worker=ONE_GPU,
            user="all",
        )


def _shockwave(folder: Path) -> Iterator[Row]:
    for cells in _table(folder / "shockwave" / "120_0.2_5_100_40_25.jobs.csv"):
        yield Row(
            at_ms=round(float(cells["arrival_s"]) * 1000),
            duration_ms=round(float(cells["exclusive_runtime_s"]) * 1000),
            workers=int(cells["num_gpus"]),
            per_worker=ONE_GPU,
            user="all",
        )


def _philly(folder: Path) -> Iterator[Row]:
    for cells in _table(folder / "philly" / "philly.csv.gz"):
        at = datetime.fromisoformat(cells["timestamp"])
        if PHILLY_FROM <= at < PHILLY_UNTIL:
            yield Row(
                at_ms=round((at - PHILLY_FROM).total_seconds() * 1000),
                duration_ms=max(1, round(float(cells["duration"]) * 1000)),
                workers=int(cells["num_gpus"]),
                per_worker=ONE_GPU,
                user=cells["cluster"],
            )


def _by_size(row: Row) -> tuple[int, int, int]:
    return row.at_ms, row.workers, row.duration_ms


def _lcg(folder: Path) -> Iterable[Row]:
    path = folder / "swf" / "LCG-2005.swf.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for number, row in enumerate(swf_rows(lines, str(path), Header())):
            if number == LCG_JOBS:
                return
            yield row


def _table(path: Path) -> Iterator[Cells]:
    with (
        gzip.open(path, "rt", encoding="utf-8", newline="")
        if path.suffix == ".gz"
        else path.open(encoding="utf-8", newline="")
    ) as file:
        yield from csv.DictReader(line for line in file if not line.startswith("#"))
