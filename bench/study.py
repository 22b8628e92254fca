"""Replay real traces under every policy, and write what came of it into docs/comparison.md.

    make study                     every trace, every policy
    MAKEWAY_TRACES=FOLDER          where the traces are; without them small ones are made up
    MAKEWAY_STUDY=helios,lcg       only the cases whose titles begin so
    MAKEWAY_POLICIES=fit,las       only these policies

Each pair runs in a process of its own, as many at once as MAKEWAY_JOBS says (default 2).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import NamedTuple

from msgspec.structs import replace

from bench.fluid import Grid, fluid, lags
from bench.traces import Case, cases
from makeway.cli.compare import ALL, knew
from makeway.model import event as ev
from makeway.model.rules import PastUsage, Rules
from makeway.policy.choose import policy_named
from makeway.sim.bound import lower_bound_ms
from makeway.sim.figures import Figures
from makeway.sim.replay import replay
from makeway.sim.workload import Workload

PAGE = Path(__file__).parents[1] / "docs" / "comparison.md"
BEGIN, END = "<!-- study: made by make study -->", "<!-- end of study -->"
TRACES = Path(os.environ.get("MAKEWAY_TRACES", "../shared/traces"))
GRID_MS = 600_000
HOUR_MS = 3_600_000
UNFAIR = 1.05
BY_JOB = "fair, a queue a job"
BY_JOB_RULES = Rules(usage=PastUsage(weight=1.0, inverse=True))
LAGS = (
    "The most that anybody was ever behind the share that the cluster, divided like water, would "
    "have given by then (processor-hours; looked at every 10 min):"
)


class Result(NamedTuple):
    """What one policy made of one case, and what it took."""

    figures: Figures
    knew: str
    bound_ms: float
    cpu_s: float
    behind: dict[str, float]  # by user: the most it was ever behind the fluid share, device-ms
    groups: dict[str, float]
    rho: Sequence[float]


class Story:
    """What else the log says: each user's service at every instant of a grid, and each job's end."""

    def __init__(self, grid: Grid | None) -> None:
        self._grid, self._looked = grid, 0
        self.seen: dict[str, list[float]] = {}
        self.took: dict[str, int] = {}
        self._queue: dict[str, str] = {}
        self._came: dict[str, int] = {}
        self._held: dict[str, tuple[str, int]] = {}  # by job: its queue, its workers
        self._rate: dict[str, int] = {}
        self._had: dict[str, float] = {}
        self._since: dict[str, int] = {}

    def hear(self, entries: Sequence[ev.Entry]) -> None:
        """Take these up."""
        for entry in entries:
            match entry.event:
                case ev.JobSubmitted(job=job, spec=spec):
                    self._queue[job], self._came[job] = spec.queue, entry.at_ms
                case ev.JobFinished(job=job):
                    self.took[job] = entry.at_ms - self._came.pop(job)
                case ev.AttemptStarted(job=job, allocation=allocation) if self._grid is not None:
                    self._look(entry.at_ms)
                    self._held[job] = (self._queue[job], allocation.workers)
                    self._move(self._queue[job], allocation.workers, entry.at_ms)
                case ev.AttemptEnded(job=job) if self._grid is not None:
                    self._look(entry.at_ms)
                    queue, workers = self._held.pop(job)
                    self._move(queue, -workers, entry.at_ms)
                case _:
                    pass

    def _move(self, queue: str, workers: int, at_ms: int) -> None:
        self._had[queue] = self._at(queue, at_ms)
        self._since[queue] = at_ms
        self._rate[queue] = self._rate.get(queue, 0) + workers

    def _at(self, queue: str, at_ms: int) -> float:
        past_ms = at_ms - self._since.get(queue, at_ms)
        return self._had.get(queue, 0.0) + self._rate.get(queue, 0) * past_ms

    def _look(self, at_ms: int) -> None:
        """Note what everybody has had at the instants of the grid that are past."""
        assert self._grid is not None
        while self._looked < self._grid.count and self._looked * GRID_MS <= at_ms:
            for queue in self._rate:
                had = self._at(queue, self._looked * GRID_MS)
                self.seen.setdefault(queue, [0.0] * self._looked).append(had)
            self._looked += 1

    def finish(self) -> None:
        """Look at the rest of the grid."""
        if self._grid is not None:
            self._look(1 << 60)


def main() -> None:
    """Run the study, and put its tables into the page."""
    wanted = [name for name in os.environ.get("MAKEWAY_STUDY", "").lower().split(",") if name]
    names = os.environ.get("MAKEWAY_POLICIES", ALL).split(",")
    found = [
        case for case in cases(TRACES) if not wanted or case.title.lower().startswith(tuple(wanted))
    ]
    with ProcessPoolExecutor(
        int(os.environ.get("MAKEWAY_JOBS", "2")), max_tasks_per_child=1
    ) as pool:
        running = [
            (
                case,
                [
                    (name, pool.submit(one, case.title, name))
                    for name in (*names, *([BY_JOB] if case.by_job and "fair" in names else ()))
                    if name not in case.without
                ],
            )
            for case in found
        ]
        parts = {case.title: _part(case, rows) for case, rows in running}
    page = PAGE.read_text("utf-8")
    head, _, rest = page.partition(BEGIN)
    kept, _, tail = rest.partition(END)
    # What was not run again stays as it is.
    known = {part.partition("\n")[0]: f"### {part.strip()}" for part in kept.split("### ")[1:]}
    titles = [case.title for case in cases(TRACES)]
    texts = [parts.get(title) or known.get(title, "") for title in titles]
    text = "\n\n".join(filter(None, texts))
    PAGE.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}", encoding="utf-8")
    print(f"{PAGE} is up to date")


def one(title: str, name: str) -> Result:
    """Replay one case under one policy."""
    case = next(case for case in cases(TRACES) if case.title == title)
    work, rules, policy = case.load(), Rules(name=name), name
    if name == BY_JOB:
        work, rules, policy = by_job(work), BY_JOB_RULES, "fair"
    grid = Grid(GRID_MS, work.last_at_ms // GRID_MS + 2) if case.fluid else None
    story = Story(grid)
    began = time.process_time()
    hear = story.hear if grid is not None or case.rho else None
    figures = replay(work, policy_named(policy), rules, hear)
    cpu_s = time.process_time() - began
    story.finish()
    behind, groups = ({}, {}) if grid is None else _behind(work, case.devices, grid, story)
    limits = any(arrival.spec.time_limit_ms for arrival in work.arrivals)
    return Result(
        figures=figures,
        knew=knew(policy, limits=limits),
        bound_ms=lower_bound_ms(work.arrivals, case.devices) or 0.0,
        cpu_s=cpu_s,
        behind=behind,
        groups=groups,
        rho=[*_rho(work, story, case.rho)] if case.rho else (),
    )


def by_job(work: Workload) -> Workload:
    """Let every job come to a queue of its own, which is there as long as the job is."""
    arrivals = (replace(one, spec=replace(one.spec, queue=one.job)) for one in work.arrivals)
    return replace(work, queues=(), arrivals=tuple(arrivals))


def _rho(work: Workload, story: Story, factor: float) -> Iterator[float]:
    for arrival in work.arrivals:
        yield story.took[arrival.job] / (arrival.duration_ms * factor)


def _behind(
    work: Workload, devices: int, grid: Grid, story: Story
) -> tuple[dict[str, float], dict[str, float]]:
    """Compare what everybody had with the fluid share, by user and by group."""
    fair = fluid(work.arrivals, devices, grid)
    return dict(lags(fair, story.seen)), dict(
        lags(_grouped(fair, grid), _grouped(story.seen, grid))
    )


def _grouped(courses: dict[str, list[float]], grid: Grid) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = {}
    for path, course in courses.items():
        total = groups.setdefault(path.partition("/")[0], [0.0] * grid.count)
        late = grid.count - len(course)
        for at, had in enumerate(course):
            total[late + at] += had
    return groups


def _part(case: Case, rows: Iterable[tuple[str, Future[Result]]]) -> str:
    """Write the tables of one case, when all of its rows are there."""
    results = []
    print(case.title, flush=True)
    for name, future in rows:
        result = future.result()
        results.append((name, result))
        print("  " + " | ".join(_cells(name, result)), flush=True)
    lines = [f"### {case.title}", "", case.note]
    if case.published:
        lines += ["", f"Published: {case.published}."]
    if case.without:
        left_out = " and ".join(case.without)
        lines += ["", f"Without {left_out}, which takes too long with thousands of jobs in line."]
    bound_s = results[0][1].bound_ms / 1000
    lines += ["", f"No policy can have a mean below {bound_s:,.0f} s.", ""]
    lines += _table(
        ("policy", "knew", "wait s", "mean s", "over bound", "p50 s", "p99 s", "makespan s", "use",
         "Jain", "evicted", "lost worker h", "jobs/CPU-s"),
        [_cells(name, result) for name, result in results],
    )  # fmt: skip
    if case.rho:
        lines += ["", *_table(("policy", "worst ρ", "unfair"), [*_rhos(results)])]
    if case.fluid:
        lines += ["", *_lag_tables(results)]
    return "\n".join(lines)


def _cells(name: str, result: Result) -> list[str]:
    figures = result.figures
    mean = figures.mean_completion_ms
    return [
        name, result.knew, _seconds(figures.mean_wait_ms), _seconds(mean),
        "–" if mean is None or not result.bound_ms else f"{mean / result.bound_ms:.2f}",
        _seconds(figures.p50_completion_ms), _seconds(figures.p99_completion_ms),
        _seconds(figures.makespan_ms), _number(figures.use), _number(figures.jain),
        f"{figures.preemptions:,}", f"{figures.lost_worker_ms / HOUR_MS:,.0f}",
        f"{figures.jobs / max(result.cpu_s, 1e-9):,.0f}",
    ]  # fmt: skip


def _rhos(results: Sequence[tuple[str, Result]]) -> Iterator[list[str]]:
    for name, result in results:
        unfair = sum(rho > UNFAIR for rho in result.rho) / len(result.rho)
        yield [name, f"{max(result.rho):.2f}", f"{unfair:.1%}"]


def _lag_tables(results: Sequence[tuple[str, Result]]) -> list[str]:
    lines = [
        LAGS,
        "",
        *_table(
            ("policy", "users: median", "9 of 10 below", "worst", "groups: median", "worst"),
            [_lag_row(name, result) for name, result in results],
        ),
    ]
    worst = {
        group: max(result.groups.get(group, 0.0) for _, result in results)
        for _, one_result in results
        for group in one_result.groups
    }
    shown = sorted(worst, key=lambda group: (-worst[group], group))
    rows = [
        [group, *(f"{result.groups.get(group, 0.0) / HOUR_MS:,.1f}" for _, result in results)]
        for group in shown
    ]
    return [*lines, "", "By group:", "", *_table(("group", *(name for name, _ in results)), rows)]


def _lag_row(name: str, result: Result) -> list[str]:
    users, groups = sorted(result.behind.values()), sorted(result.groups.values())
    tenth = users[min(len(users) - 1, len(users) * 9 // 10)]
    hours = [median(users), tenth, users[-1], median(groups), groups[-1]]
    return [name, *(f"{ms / HOUR_MS:,.1f}" for ms in hours)]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---"] + ["---:"] * (len(heads) - 1)
    return [f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows)]


def _seconds(ms: float | None) -> str:
    return "–" if ms is None else f"{ms / 1000:,.0f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
