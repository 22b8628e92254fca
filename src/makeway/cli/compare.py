"""Replay a trace or a scenario under several policies, and print one row for each."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from makeway.cli.output import OUTPUT, Column, print_list
from makeway.errors import InvalidInput, NotFound
from makeway.model.rules import Rules
from makeway.policy.choose import POLICIES, policy_named
from makeway.sim.figures import Figures, Fold
from makeway.sim.replay import replay
from makeway.sim.trace import Header, csv_rows, machines, swf_rows, workload
from makeway.sim.workload import Workload

USUAL = "fifo,fit,priority,drf,las,srsf,fair"
KNOWS = {"srsf": "exact run times", "fair": "estimates"}


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One policy's figures; times in seconds. `knows`: what it looks at of run times."""

    policy: str
    knows: str
    jobs: int
    ended: int
    mean_wait_s: float | None
    mean_completion_s: float | None
    p50_completion_s: float | None
    p99_completion_s: float | None
    makespan_s: float
    utilisation: float | None
    jain: float | None
    preemptions: int
    lost_worker_s: float
    jobs_per_cpu_s: float


COLUMNS = (
    Column("POLICY", lambda row: row.policy),
    Column("KNOWS", lambda row: row.knows),
    Column("ENDED", lambda row: f"{row.ended}/{row.jobs}"),
    Column("MEAN WAIT", lambda row: _text(row.mean_wait_s)),
    Column("MEAN DONE", lambda row: _text(row.mean_completion_s)),
    Column("P50", lambda row: _text(row.p50_completion_s)),
    Column("P99", lambda row: _text(row.p99_completion_s)),
    Column("MAKESPAN", lambda row: _text(row.makespan_s)),
    Column("USE", lambda row: _text(row.utilisation, 3)),
    Column("JAIN", lambda row: _text(row.jain, 3)),
    Column("EVICTED", lambda row: str(row.preemptions)),
    Column("LOST", lambda row: _text(row.lost_worker_s)),
    Column("JOBS/CPU-S", lambda row: _text(row.jobs_per_cpu_s), wide=True),
)


@click.command()
@click.argument("trace", type=click.Path(dir_okay=False))
@click.option("--policies", default=USUAL, show_default=True, help="Names, parted by commas.")
@click.option("--nodes", type=click.IntRange(1, 100_000), help="How many machines a trace gets.")
@click.option("--gpus-per-node", type=click.IntRange(1, 1024), default=8, show_default=True)
@OUTPUT
def compare(trace: str, policies: str, nodes: int | None, gpus_per_node: int, output: str) -> int:
    """Replay TRACE under several policies.

    TRACE is a scenario (.yaml), a trace in the Standard Workload Format (.swf), or a CSV file with
    the columns submit_s, duration_s, gpus, user and, if they are known, group, workers, priority.
    Both may be compressed (.gz). Times are printed in seconds.
    """
    names = [name.strip() for name in policies.split(",") if name.strip()]
    for name in names:
        policy_named(name)
    if not Path(trace).exists():
        raise NotFound("there is no such file", where=trace)
    stem = trace.removesuffix(".gz")
    rows = []
    for name in names:
        click.echo(f"{name} …", err=True)
        began = time.process_time()
        if stem.endswith((".yaml", ".yml", ".json")):
            figures = _scenario(trace, name)
        else:
            figures = _trace(_workload(trace, nodes, gpus_per_node), name)
        rows.append(_compared(name, figures, time.process_time() - began))
    print_list(rows, COLUMNS, output, "policy")
    return 0


def _scenario(path: str, name: str) -> Figures:
    from makeway.cli.simulate import open_world

    _, world = open_world(path, name)
    world.run()
    fold = Fold()
    fold.add(world.log)
    return fold.figures()


def _trace(work: Workload, name: str) -> Figures:
    return replay(work, POLICIES[name], Rules(name=name))


def _workload(path: str, nodes: int | None, per_node: int) -> Workload:
    if nodes is None:
        raise InvalidInput("a trace names no machines", where=path, hint="say --nodes N")
    lines, header = _lines(path), Header()
    swf = path.removesuffix(".gz").endswith(".swf")
    rows = swf_rows(lines, path, header) if swf else csv_rows(lines, path)
    return workload(rows, machines(nodes, per_node))


def _lines(path: str) -> Iterator[str]:
    try:
        packed = Path(path).read_bytes()
        text = (gzip.decompress(packed) if path.endswith(".gz") else packed).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InvalidInput(f"it cannot be read: {error}", where=path) from None
    yield from text.splitlines(keepends=True)


def _compared(name: str, figures: Figures, cpu_s: float) -> Compared:
    return Compared(
        policy=name,
        knows=KNOWS.get(name, "nothing"),
        jobs=figures.jobs,
        ended=figures.ended,
        mean_wait_s=_seconds(figures.mean_wait_ms),
        mean_completion_s=_seconds(figures.mean_completion_ms),
        p50_completion_s=_seconds(figures.p50_completion_ms),
        p99_completion_s=_seconds(figures.p99_completion_ms),
        makespan_s=figures.makespan_ms / 1000,
        utilisation=figures.use,
        jain=figures.jain,
        preemptions=figures.preemptions,
        lost_worker_s=figures.lost_worker_ms / 1000,
        jobs_per_cpu_s=figures.jobs / cpu_s if cpu_s else 0.0,
    )


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1000


def _text(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
