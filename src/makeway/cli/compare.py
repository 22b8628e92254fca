"""Replay one workload under several policies, by the engine that runs live: one row a policy."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import msgspec

from makeway.cli.output import OUTPUT, Column, print_data, print_list
from makeway.errors import InvalidInput
from makeway.model import event as ev
from makeway.model.units import BadAmount, ms_of, time_text
from makeway.sim.figures import Figures, Fold

ALL = "fair,fifo,fit,priority,drf,las,srsf"
SHOW_EVERY_S = 0.5


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What one policy made of it; `knew` is what it was told of run times."""

    policy: str
    knew: str
    jobs: int
    ended: int
    rejected: int
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


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All rows; no policy for rigid jobs can have a mean completion time below the bound."""

    file: str
    workload: str
    lower_bound_s: float | None
    policies: Sequence[Row]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One workload that can be played under any policy."""

    said: str
    play: Callable[[str, Callable[[Sequence[ev.Entry]], None]], Figures]
    limits: bool
    jobs: int
    bound_ms: float | None = None


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _part(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


COLUMNS = (
    Column("policy", lambda row: row.policy),
    Column("wait s", lambda row: _seconds(row.mean_wait_s)),
    Column("mean s", lambda row: _seconds(row.mean_completion_s)),
    Column("p50 s", lambda row: _seconds(row.p50_completion_s)),
    Column("p99 s", lambda row: _seconds(row.p99_completion_s)),
    Column("makespan s", lambda row: _seconds(row.makespan_s)),
    Column("use", lambda row: _part(row.utilisation)),
    Column("jain", lambda row: _part(row.jain)),
    Column("evicted", lambda row: f"{row.preemptions:,}"),
    Column("lost worker s", lambda row: _seconds(row.lost_worker_s)),
    Column("jobs", lambda row: f"{row.jobs:,}", wide=True),
    Column("ended", lambda row: f"{row.ended:,}", wide=True),
    Column("refused", lambda row: f"{row.rejected:,}", wide=True),
    Column("jobs/CPU-s", lambda row: f"{row.jobs_per_cpu_s:,.0f}"),
    Column("knew", lambda row: row.knew),
)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--policies", default=ALL, show_default=True, metavar="A,B,…", help="Which ones.")
@click.option("--nodes", type=click.IntRange(1), metavar="N", help="For a trace: so many nodes.")
@click.option(
    "--gpus-per-node",
    type=click.IntRange(1),
    metavar="M",
    help="For a trace: the GPUs of each node (for SWF, its processors).",
)
@click.option(
    "--checkpoint",
    default="10m",
    show_default=True,
    metavar="TIME",
    help="For a trace: a checkpoint is made so often; `none`: an eviction loses everything.",
)
@click.option(
    "--startup",
    default="0s",
    show_default=True,
    metavar="TIME",
    help="For a trace: each start of a job costs so much.",
)
@click.option("--plot", metavar="FILE", help="Draw it too, as .svg or .png.")
@OUTPUT
def compare(
    file: str,
    policies: str,
    nodes: int | None,
    gpus_per_node: int | None,
    checkpoint: str,
    startup: str,
    plot: str | None,
    output: str,
) -> None:
    """Replay FILE, a trace or a scenario, under several policies.

    A trace is SWF, or CSV with the columns submit_s, duration_s, gpus, user and, where known, group,
    workers, priority; either may be compressed (.gz). A scenario is what `makeway simulate` plays.
    JAIN says how even the users are served: of the time their jobs ran over the time they took.
    """
    from makeway.cli.tracefile import is_trace

    names = _named(policies)
    if plot is not None and not plot.lower().endswith((".svg", ".png")):
        raise InvalidInput("a plot is written as .svg or .png", where=plot)
    if is_trace(file):
        case = _trace(file, (nodes, gpus_per_node), checkpoint, startup)
    elif nodes is not None or gpus_per_node is not None:
        raise InvalidInput("a scenario has its own cluster; --nodes is for traces", where=file)
    else:
        case = _scenario(file)
    click.echo(case.said, err=True)
    rows, figures = [], []
    for name in names:
        progress = _Progress(name, case.jobs)
        began = time.process_time()
        found = case.play(name, progress.hear)
        cpu_s = time.process_time() - began
        progress.over(cpu_s)
        rows.append(_row(name, found, knew(name, limits=case.limits), cpu_s))
        figures.append(found)
    bound_s = None if case.bound_ms is None else case.bound_ms / 1000
    if plot is not None:
        _plot(plot, file, rows, figures, bound_s)
    if output in ("json", "yaml"):
        said = Comparison(file=file, workload=case.said, lower_bound_s=bound_s, policies=rows)
        print_data(said, output)
    else:
        print_list(rows, COLUMNS, output, "policy")


def knew(policy: str, *, limits: bool) -> str:
    """Say what a policy was told of run times."""
    if policy == "srsf":
        return "exact run times"
    return "time limits" if policy == "fair" and limits else "nothing"


def _named(policies: str) -> list[str]:
    from makeway.policy.choose import policy_named

    names = [*dict.fromkeys(name.strip() for name in policies.split(",") if name.strip())]
    if not names:
        raise InvalidInput("name at least one policy", where="--policies")
    for name in names:
        policy_named(name)
    return names


def _trace(file: str, cluster: tuple[int | None, int | None], every: str, startup: str) -> Case:
    from makeway.cli.tracefile import Asked, read_trace
    from makeway.model.rules import Rules
    from makeway.policy.choose import policy_named
    from makeway.sim.bound import lower_bound_ms
    from makeway.sim.replay import replay
    from makeway.sim.trace import Cost

    every_ms = None if every == "none" else max(1, _time(every, "--checkpoint"))
    cost = Cost(every_ms=every_ms, startup_ms=_time(startup, "--startup"))
    found, said = read_trace(file, Asked(nodes=cluster[0], slots=cluster[1], cost=cost))
    kinds = {kind for group in found.arrivals[0].spec.groups for kind in group.per_worker}
    devices = sum(node.capacity[kind] for node in found.nodes for kind in kinds) / 1000
    bound_ms = lower_bound_ms(found.arrivals, devices)
    keeps = "no checkpoints" if every_ms is None else f"a checkpoint every {time_text(every_ms)}"

    def play(name: str, hear: Callable[[Sequence[ev.Entry]], None]) -> Figures:
        return replay(found, policy_named(name), Rules(name=name), hear)

    return Case(
        said=f"{said}; {keeps}, a start costs {time_text(cost.startup_ms)}; no policy can have a "
        f"mean completion below {_seconds(bound_ms and bound_ms / 1000)} s",
        play=play,
        limits=any(one.spec.time_limit_ms is not None for one in found.arrivals),
        jobs=len(found.arrivals),
        bound_ms=bound_ms,
    )


def _scenario(file: str) -> Case:
    from makeway.cli.simulate import open_world

    scenario, _ = open_world(file, None)

    def play(name: str, hear: Callable[[Sequence[ev.Entry]], None]) -> Figures:
        _, world = open_world(file, name)
        world.run()
        hear(world.log)
        fold = Fold()
        fold.add(world.log)
        return fold.figures()

    return Case(
        said=f"{len(scenario.jobs):,} jobs on {len(scenario.nodes)} nodes",
        play=play,
        limits=any(job.spec.lasts_ms is not None for job in scenario.jobs),
        jobs=len(scenario.jobs),
    )


def _time(text: str, what: str) -> int:
    try:
        return ms_of(float(text) if text.replace(".", "", 1).isdigit() else text, what)
    except BadAmount as bad:
        raise InvalidInput(str(bad)) from None


def _row(name: str, found: Figures, told: str, cpu_s: float) -> Row:
    def seconds(ms: float | None) -> float | None:
        return None if ms is None else round(ms / 1000, 3)

    return Row(
        policy=name,
        knew=told,
        jobs=found.jobs,
        ended=found.ended,
        rejected=found.rejected,
        mean_wait_s=seconds(found.mean_wait_ms),
        mean_completion_s=seconds(found.mean_completion_ms),
        p50_completion_s=seconds(found.p50_completion_ms),
        p99_completion_s=seconds(found.p99_completion_ms),
        makespan_s=found.makespan_ms / 1000,
        utilisation=found.use,
        jain=found.jain,
        preemptions=found.preemptions,
        lost_worker_s=found.lost_worker_ms / 1000,
        jobs_per_cpu_s=round(found.jobs / cpu_s, 1) if cpu_s else 0.0,
    )


def _plot(
    path: str, file: str, rows: Sequence[Row], figures: Sequence[Figures], bound_s: float | None
) -> None:
    from makeway.cli.plot import Curve, write

    curves = [
        Curve(
            name=row.policy,
            completions_s=[ms / 1000 for ms in found.completions],
            mean_s=row.mean_completion_s or 0.0,
        )
        for row, found in zip(rows, figures, strict=True)
    ]
    write(path, f"{Path(file).name}: how soon jobs are done", curves, bound_s)
    click.echo(f"plot: {path}", err=True)


class _Progress:
    """Say on standard error how far a replay has come; on a terminal, again and again."""

    def __init__(self, name: str, jobs: int) -> None:
        self._name, self._jobs = name, jobs
        self._done, self._shown_s = 0, 0.0
        self._terminal = sys.stderr.isatty()

    def hear(self, entries: Sequence[ev.Entry]) -> None:
        self._done += sum(type(entry.event) is ev.JobFinished for entry in entries)
        if self._terminal and time.monotonic() - self._shown_s > SHOW_EVERY_S:
            self._shown_s = time.monotonic()
            click.echo(f"\r{self._name} {self._done / self._jobs:.0%} ", nl=False, err=True)

    def over(self, cpu_s: float) -> None:
        start = "\r" if self._terminal else ""
        click.echo(f"{start}{self._name}: {self._done:,} jobs ended, {cpu_s:.1f} CPU-s", err=True)
