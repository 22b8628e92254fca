"""What samples cost: the call in a training thread, the whole way into the store, bytes, reading.

A call counts as accepted and stored when it is a row of the database; so the rate is that of the
whole way, from the training thread over the agent and the controller. The program holds back when
its queue is half full, since a program that records faster than anything can store loses the oldest
samples. Next to each other in the same run stand MLflow and TensorBoard. Where only this process
works, its processor time is measured, since others use the machine too.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from bench import peers
from bench.rows import Row, repeat
from makeway.model.record import Sample
from makeway.store.database import FILE, Database, Location
from makeway.store.keep import Keep
from makeway.store.packer import Packer
from makeway.store.series import SeriesKey, list_series, read_series
from makeway.store.series_writer import SeriesWriter

CALLS, BATCHES, BUSY_S = 300_000, 30_000, 5
DEEP, WIDE_WORKERS, WIDE_ROUNDS = 100_000, 100, 16
JOBS = ("deep", "deeper", "deepest")
SUMS_BYTES = 100  # of a chunk's row beside its data
Clock = Callable[[], float]
ROWS = 400  # more of one series at once go into chunks as they come
LOSS = SeriesKey("deep", 1, 0, "loss")
BEGIN_MS = 1_750_000_000_000

FLOW = """
import json, os, time
import makeway as mw
from makeway.worker.recorder import current

def cpu_ms(pid):
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

def held_back():
    while len(current()._kept) > 50_000:
        time.sleep(0.001)

def told(**values):
    open(os.environ["BENCH"], "w").write(json.dumps(values))

@mw.step(cpus=1, memory="500MB")
def single(calls):
    began, cost = time.time(), time.thread_time()
    for step in range(calls):
        if not step % 1000:
            held_back()
        mw.log_metric("loss", 1 / (step + 1), step=step)
    told(began=began, us=1e6 * (time.thread_time() - cost) / calls)

@mw.step(cpus=1, memory="500MB")
def batches(calls):
    began, cost = time.time(), time.thread_time()
    names = [f"metric/{n}" for n in range(10)]
    for step in range(calls):
        if not step % 100:
            held_back()
        mw.log_metrics(dict.fromkeys(names, 1 / (step + 1)), step=step)
    told(began=began, us=1e6 * (time.thread_time() - cost) / calls / 10)

@mw.step(cpus=1, memory="500MB")
def busy(seconds):
    agent = os.getppid()
    before, began = cpu_ms(agent), time.monotonic()
    while time.monotonic() - began < seconds:
        sum(range(1000))
    told(percent=(cpu_ms(agent) - before) / (time.monotonic() - began) / 10)

@mw.workflow
def flow(what: str, count: int):
    return {"single": single, "batches": batches, "busy": busy}[what](count)
"""


def rows() -> Iterator[Row]:
    """Measure one after the other."""
    yield from _recorded("single", CALLS, CALLS, "mw.log_metric, one by one")
    yield from _recorded("batches", BATCHES, 10 * BATCHES, "mw.log_metrics of 10")
    yield from peers.rows()
    with tempfile.TemporaryDirectory() as place:
        told, _, _ = _ran(Path(place), "busy", BUSY_S)
        yield Row("sampling of a busy step, every 1 s", "% CPU", [told["percent"]], "<= 1")
    with tempfile.TemporaryDirectory() as place:
        yield from _stored("SQLite, processor time", Path(place), time.process_time)
        yield from _read(Path(place))
    with contextlib.ExitStack() as stack:
        try:
            from tests.store.postgres import running

            server = stack.enter_context(running())
        except (ImportError, OSError, RuntimeError) as error:
            print(f"PostgreSQL is left out: {error}", flush=True)
            return
        yield from _stored("PostgreSQL", stack.enter_context(server.database()), time.perf_counter)


# ── the whole way ─────────────────────────────────────────────────────────────────────────────────


def _recorded(what: str, count: int, values: int, name: str) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        told, ended_s, _ = _ran(folder, what, count)
        with contextlib.closing(sqlite3.connect(folder / ".makeway" / FILE)) as database:
            [(stored,)] = database.execute(
                "SELECT sum(n) FROM series_stat JOIN series ON series = id WHERE kind = 'user'"
            )
        lost = f"{values - stored:,} of {values:,} were lost"
        assert stored == values, lost
        rate = values / (ended_s - told["began"])
        yield Row(f"{name}: accepted and stored", "values/s", [rate], ">= 100,000")
        yield Row("the same: of the training thread", "µs CPU", [told["us"]], "<= 5")


def _ran(folder: Path, what: str, count: int) -> tuple[dict[str, float], float, str]:
    """Run the flow; give what it told, when all was stored, and what was printed."""
    (folder / "flow.py").write_text(FLOW, "utf-8")
    told = folder / "told.json"
    command = [sys.executable, "-m", "makeway", "run", "flow.py"]
    command += ["-P", f"what={what}", "-P", f"count={count}"]
    environ = {**os.environ, "BENCH": str(told)}
    ran = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads(told.read_text("utf-8")), time.time(), ran.stdout


# ── the store ─────────────────────────────────────────────────────────────────────────────────────


def _stored(kind: str, location: Location, clock: Clock) -> Iterator[Row]:
    with Database.open(location) as database:
        writer = SeriesWriter(database)
        rates = [_wide(writer, first, clock) for first in range(3)]
        yield Row(f"{kind}: rows of 2,500 series in turn", "rows/s", rates)
        rates = [_deep(writer, job, clock) for job in JOBS]
        yield Row(f"{kind}: rows of one series", "rows/s", rates)
    if isinstance(location, Path):
        total = 3 * (DEEP + WIDE_WORKERS * 25 * WIDE_ROUNDS)
        size = (location / FILE).stat().st_size
        yield Row(f"{kind}: the whole file, while all are rows", "bytes/point", [size / total])


def _wide(writer: SeriesWriter, first: int, clock: Clock) -> float:
    began = clock()
    for round_ in range(first * WIDE_ROUNDS, (first + 1) * WIDE_ROUNDS):
        at_ms = BEGIN_MS + 10_000 * round_
        given = [Sample(name=f"metric/{n}", at_ms=at_ms, value=n / 7 + round_) for n in range(25)]
        for rank in range(WIDE_WORKERS):
            writer.add("wide", 1, rank, given)
    writer.flush()
    return WIDE_WORKERS * 25 * WIDE_ROUNDS / (clock() - began)


def _deep(writer: SeriesWriter, job: str, clock: Clock) -> float:
    noise = Random(1)
    samples = [
        Sample(name="loss", at_ms=BEGIN_MS + 100 * n, value=1 / (n + 1) + noise.random(), step=n)
        for n in range(DEEP)
    ]
    began = clock()
    for place in range(0, DEEP, ROWS):
        writer.add(job, 1, 0, samples[place : place + ROWS])
        writer.flush()
    return DEEP / (clock() - began)


def _read(folder: Path) -> Iterator[Row]:
    name = f"a series of {DEEP:,} read as 1,000 points"
    with Database.open(folder) as database:
        yield Row(f"{name}, out of rows", "ms CPU", repeat(3, lambda: _read_ms(database)))
        writer = SeriesWriter(database)
        packer = Packer(database, writer, Keep(samples_ms=0, keys_ms=0))
        ids = [list_series(database, job)[0].id for job in JOBS]
        writer.grown = {LOSS._replace(job=job): one for job, one in zip(JOBS, ids, strict=True)}
        spans = list[float]()
        while writer.grown:
            before = time.process_time()
            packer.work(BEGIN_MS)
            spans.append(1000 * (time.process_time() - before))
        yield Row("put into chunks", "samples/s", [1000 * 3 * DEEP / sum(spans)])
        yield Row("the same: one call, the controller waits for it", "ms CPU", spans)
        values = repeat(7, lambda: _read_ms(database))
        yield Row(f"{name}, out of chunks", "ms CPU", values, "<= 20")
    with contextlib.closing(sqlite3.connect(folder / FILE)) as plain:
        query = f"SELECT sum(length(data) + {SUMS_BYTES}), sum(n) FROM sample_chunk"
        [(size, count)] = plain.execute(query)
        yield Row(
            "SQLite: chunks of noise, with their sums", "bytes/point", [size / count], "<= 30"
        )


def _read_ms(database: Database) -> float:
    began = time.process_time()
    points = read_series(database, LOSS, max_points=1_000)
    assert len(points) <= 1_000
    return 1000 * (time.process_time() - began)
