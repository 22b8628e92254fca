"""Give the charts of a step as data: a few panels over one axis of time, each short enough to draw.

The store thins every series before it is sent, so a series of millions is as quick as one of ten.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from makeway.live.records import StepFound
from makeway.model.resources import CPU, MEMORY
from makeway.server.pages.marks import Mark, marks_of
from makeway.server.pages.visit import PageRoute, Visiting
from makeway.server.replies import answer
from makeway.wire.series import SeriesView, SeriesWanted

POINTS = 600
SERIES_MAX = 1_000
LINES_MAX = 6
METRICS_MAX = 8
MEMORY_USED, CPU_USED = "system/memory_usage_bytes", "system/cpu_percent"
PROGRESS = "progress"
# These compare workers: they have their own small pictures.
OF_WORKERS = ("local_ms", "step_ms", "wait_ms", "data_ms", "rtt_ms", "items", "bandwidth_mb_s")

Point = tuple[float, float | None]

routes = APIRouter(include_in_schema=False, route_class=PageRoute)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a panel."""

    label: str
    points: tuple[Point, ...]


class Panel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One chart: a measure of all workers, with its limit if it has one."""

    name: str
    title: str
    unit: str | None
    lines: tuple[Line, ...]
    limit: float | None = None
    limit_text: str | None = None
    zero: bool = False


class Charts(msgspec.Struct, frozen=True, kw_only=True, rename={"begin": "from", "end": "to"}):
    """All charts of a step, over one axis from `from` to `to` (s since 1970)."""

    begin: float
    end: float
    live: bool
    marks: Sequence[Mark]
    panels: tuple[Panel, ...]


@routes.get("/steps/{ref}/charts")
def charts(visit: Visiting, ref: str) -> Response:
    """Give memory against its limit, what the program records, progress and processors."""
    found = visit.records.step(ref)
    series: Sequence[SeriesView] = ()
    if found.attempts:
        wanted = SeriesWanted(job=found.id, max_points=0, limit=SERIES_MAX)
        series = visit.desk.series(wanted).items
    names = [*_names(series)]
    panels = tuple(_panel(visit, found, name) for name in names)
    now_s = visit.records.now_ms() / 1000
    begin = found.attempts[0].started_at_ms / 1000 if found.attempts else now_s
    ends = [one.ended_at_ms for one in found.attempts]
    live = bool(ends) and ends[-1] is None
    last = max((one for one in ends if one is not None), default=0) / 1000
    return answer(
        visit.request,
        Charts(
            begin=begin, end=max(begin + 1, now_s if live else last), live=live,
            marks=marks_of(found.attempts, visit.records.resizes(found.id)), panels=panels,
        ),
    )  # fmt: skip


def _names(series: Sequence[SeriesView]) -> Iterator[str]:
    """Name the panels in the order in which they are read: cause first, effects below."""
    there = dict.fromkeys(one.name for one in series)
    own = [
        one.name
        for one in series
        if one.kind == "user" and one.name not in (PROGRESS, *OF_WORKERS)
        and not one.name.startswith("available/")
    ]  # fmt: skip
    yield from (name for name in (MEMORY_USED,) if name in there)
    yield from sorted(dict.fromkeys(own), key=lambda name: ("acc" not in name, name))[:METRICS_MAX]
    yield from (name for name in (PROGRESS, CPU_USED) if name in there)


def _panel(visit: Visiting, found: StepFound, name: str) -> Panel:
    wanted = SeriesWanted(job=found.id, name=name, max_points=POINTS, limit=SERIES_MAX)
    series = visit.desk.series(wanted).items
    ranks = sorted({one.rank for one in series})
    lines = tuple(
        Line(label=f"worker {rank}", points=_points([one for one in series if one.rank == rank]))
        for rank in ranks[:LINES_MAX]
    )
    asked = {} if found.spec is None else dict(found.spec.groups[0].per_worker.amounts)
    match name:
        case "system/memory_usage_bytes":
            return Panel(name=name, title="Memory", unit="bytes", lines=lines, zero=True,
                         limit=asked.get(MEMORY) or None, limit_text="limit")  # fmt: skip
        case "system/cpu_percent":
            cpus = asked.get(CPU)
            return Panel(name=name, title="Processors", unit="percent", lines=lines, zero=True,
                         limit=cpus / 10 if cpus else None, limit_text="asked for")  # fmt: skip
        case "progress":
            return Panel(name=name, title="Progress", unit="ratio", lines=lines, zero=True)
        case _:
            return Panel(name=name, title=name, unit=series[0].unit if series else None,
                         lines=lines)  # fmt: skip


def _points(series: Sequence[SeriesView]) -> tuple[Point, ...]:
    """Put the attempts of one worker behind each other, with a gap between them."""
    found: list[Point] = []
    for one in sorted(series, key=lambda each: each.attempt):
        if found and one.points:
            found.append(((found[-1][0] + one.points[0][0]) / 2, None))
        found += [(at_s, value) for at_s, _, value in one.points]
    return tuple(found)
