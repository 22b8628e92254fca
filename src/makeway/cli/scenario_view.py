"""Draw the outcome of a simulation for a terminal: the queues, the jobs, who ran when, figures."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence

import click

Row = Mapping[str, object]
BAR_MAX = 60


def draw(found: Row, table: Callable[[Sequence[str], Sequence[Sequence[str]]], None]) -> None:
    """Print everything, one block after the other."""
    click.echo(f"after {_time(found['at_s'])}\n")
    queues, jobs = found["queues"], found["jobs"]
    assert isinstance(queues, list)
    assert isinstance(jobs, list)
    if queues:
        table(["QUEUE", "SHARE", "DUE", "USAGE", "DEMAND"], queue_rows(queues))
        click.echo()
    if jobs:
        rows = [_job(one) for one in jobs]
        table(
            ["JOB", "QUEUE", "PHASE", "WORKERS", "STARTED", "ENDED", "EVICTED", "WHERE OR WHY"],
            rows,
        )
        click.echo()
        _bars(jobs, float(str(found["at_s"])))
    metrics = found["metrics"]
    assert isinstance(metrics, dict)
    click.echo(", ".join(f"{key} {_figure(value)}" for key, value in metrics.items()))


def queue_rows(queues: Sequence[Row]) -> list[list[str]]:
    """Write the four numbers of every queue."""
    return [
        [
            str(one["path"]),
            f"{float(str(one['share'])):.1%}",
            *(_amounts(one[key]) for key in ("due", "usage", "demand")),
        ]
        for one in queues
    ]


def _job(one: Row) -> list[str]:
    wait, places = one["wait"], one["placement"]
    where = f"{wait['reason']}: {wait['text']}" if isinstance(wait, dict) else ""
    if isinstance(places, dict) and places:
        where = " ".join(
            f"{node}*{count}" if count != 1 else node for node, count in places.items()
        )
    return [
        str(one["name"]), str(one["queue"]), str(one["phase"]), str(one["workers"]),
        _time(one["started_s"]), _time(one["ended_s"]), str(one["preemptions"]), where,
    ]  # fmt: skip


def _bars(jobs: Sequence[Row], end_s: float) -> None:
    """Draw when each job waited (.) and ran (the number of its attempt)."""
    begin_s = min([0.0, *(float(str(one["submitted_s"])) for one in jobs)])
    if end_s <= begin_s:
        return
    names = max(len(str(one["name"])) for one in jobs)
    width = max(10, min(BAR_MAX, shutil.get_terminal_size().columns - names - 2))
    scale = width / (end_s - begin_s)
    for one in jobs:
        line = [" "] * width
        over = end_s if one["ended_s"] is None else float(str(one["ended_s"]))
        _fill(
            line, ".", (float(str(one["submitted_s"])) - begin_s) * scale, (over - begin_s) * scale
        )
        attempts = one["attempts"]
        assert isinstance(attempts, list)
        for attempt in attempts:
            last = end_s if attempt["ended_s"] is None else attempt["ended_s"]
            mark = str(attempt["number"] % 10)
            _fill(line, mark, (attempt["started_s"] - begin_s) * scale, (last - begin_s) * scale)
        click.echo(f"{one['name']!s:{names}}  {''.join(line).rstrip()}")
    click.echo(f"{'':{names}}  {_time(begin_s)} to {_time(end_s)}; . waits, 1 runs (attempt 1)\n")


def _fill(line: list[str], mark: str, first: float, last: float) -> None:
    for place in range(int(first), min(len(line), max(int(first) + 1, round(last)))):
        line[place] = mark


def _amounts(vector: object) -> str:
    assert isinstance(vector, dict)
    return " ".join(f"{kind} {_figure(amount)}" for kind, amount in vector.items())


def _time(seconds: object) -> str:
    return "" if seconds is None else f"{float(str(seconds)):g} s"


def _figure(value: object) -> str:
    return "-" if value is None else f"{float(str(value)):.4g}"
