"""Draw the outcome of a simulation for a terminal: the queues, the jobs, who ran when, figures."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence

import click

from makeway.cli.scenario_bars import bars
from makeway.model.units import size_text

Row = Mapping[str, object]
Table = Callable[[Sequence[str], Sequence[Sequence[str]]], None]
NOTHING = "–"


def draw(found: Row, table: Table, *, wide: bool) -> None:
    """Print everything, one block after the other."""
    queues, jobs, metrics = found["queues"], found["jobs"], found["metrics"]
    assert isinstance(queues, list)
    assert isinstance(jobs, list)
    assert isinstance(metrics, dict)
    click.echo(f"policy {found['policy']}, after {seconds(found['at_s'])}\n")
    if queues:
        table(QUEUE_HEADS, queue_rows(queues))
        click.echo()
    if jobs:
        heads = ["JOB", "QUEUE", "CLASS", "PHASE", "WORKERS", "STARTED", "ENDED", "EVICTED"]
        more = ["SUBMITTED", "ATTEMPTS"] if wide else []
        table([*heads, *more, "WHERE OR WHY"], [_job(one, wide=wide) for one in jobs])
        click.echo()
        for line in bars(found, shutil.get_terminal_size().columns):
            click.echo(line)
        click.echo()
    _figures(metrics)


QUEUE_HEADS = ["QUEUE", "SHARE", "DUE", "USAGE", "DEMAND"]


def queue_rows(queues: Sequence[Row]) -> list[list[str]]:
    """Write the four numbers of every queue, each indented under its parent."""
    shown = {str(one["path"]) for one in queues}
    return [
        [
            _indented(str(one["path"]), shown),
            f"{float(str(one['share'])):.1%}",
            *(amounts(one[key]) for key in ("due", "usage", "demand")),
        ]
        for one in queues
    ]


def _indented(path: str, shown: set[str]) -> str:
    parent, _, name = path.rpartition("/")
    return "  " * (parent.count("/") + 1) + name if parent in shown else path


def _job(one: Row, *, wide: bool) -> list[str]:
    attempts = one["attempts"]
    assert isinstance(attempts, list)
    name = one["class"] if one["class"] is not None else one["priority"]
    more = [seconds(one["submitted_s"]), str(len(attempts))] if wide else []
    return [
        str(one["name"]), str(one["queue"]), str(name), str(one["phase"]),
        str(one["workers"] or NOTHING), seconds(one["started_s"]), seconds(one["ended_s"]),
        str(one["preemptions"] or NOTHING), *more, _where(one),
    ]  # fmt: skip


def _where(one: Row) -> str:
    wait, places = one["wait"], one["placement"]
    if isinstance(wait, dict):
        return f"{wait['reason']}: {wait['text']}"
    if not isinstance(places, dict) or not places:
        return str(one["text"] or "")
    return " ".join(
        f"{name}({_nodes(nodes)})" if isinstance(nodes, dict) else _nodes({name: nodes})
        for name, nodes in places.items()
    )


def _nodes(nodes: Mapping[str, object]) -> str:
    return " ".join(f"{name}*{count}" if count != 1 else name for name, count in nodes.items())


def _figures(metrics: Row) -> None:
    """Write the figures as two lines of words."""

    def part(key: str) -> str:
        value = metrics[key]
        return NOTHING if value is None else f"{float(str(value)):.1%}"

    times = (
        f"makespan {seconds(metrics['makespan_s'])}",
        f"mean wait {seconds(metrics['mean_wait_s'])}",
        f"mean completion {seconds(metrics['mean_completion_s'])}",
        f"99% complete within {seconds(metrics['p99_completion_s'])}",
    )
    kind = metrics["utilisation_of"]
    rest = (
        f"use of {kind} {part('utilisation')}" if kind is not None else "nothing was used",
        f"evenness among users {part('jain')}",
        f"preemptions {metrics['preemptions']}",
        f"lost {seconds(metrics['lost_worker_s'])} of workers",
    )
    click.echo(" · ".join(times))
    click.echo(" · ".join(rest))


def amounts(vector: object) -> str:
    """Write amounts by kind: `2 cpus 4 GiB`."""
    assert isinstance(vector, Mapping)
    return " ".join(
        size_text(int(amount)) if kind == "memory" else f"{amount:.4g} {kind}"
        for kind, amount in vector.items()
    )


def seconds(value: object) -> str:
    """Write a time."""
    if value is None:
        return NOTHING
    text = f"{float(str(value)):.3f}".rstrip("0").rstrip(".")
    return f"{text} s"
