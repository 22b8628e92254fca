"""List jobs: those that run and wait, in the order in which they are served, or all there were."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click
import msgspec

from makeway.cli.connect import Asked, again, asked, asking, opened
from makeway.cli.job_text import JOBS, LINE, NOTHING, state_of, wait_text
from makeway.cli.listing import every, print_page
from makeway.cli.output import OUTPUT
from makeway.errors import InvalidInput
from makeway.wire.jobs import JobsWanted, JobView
from makeway.wire.page import PAGE_MAX, Page

if TYPE_CHECKING:
    from makeway.wire.desk import Desk

OPEN = ("queued", "running", "evicting")
PHASES = (*OPEN, "succeeded", "failed", "cancelled")
EMPTY_LINE = "nothing runs and nothing waits; bring a job with: makeway submit -- COMMAND"
EMPTY = "there is no such job; bring one with: makeway submit -- COMMAND"
# A burst of events is drawn once.
DRAW_EVERY_S = 0.5
LOOK_EVERY_S = 10.0
HOME = "\x1b[H\x1b[2J"


@click.command()
@click.option("--queue", metavar="PATH", help="Only this queue and those below it.")
@click.option("--user", metavar="NAME", help="Only the jobs of this user.")
@click.option("-w", "--watch", is_flag=True, help="Show it again as things change, until Ctrl-C.")
@OUTPUT
@click.pass_context
def queue(
    ctx: click.Context, /, queue: str | None, user: str | None, watch: bool, output: str
) -> None:
    """Show what runs and what waits, in order of service, and why each waits."""
    wanted = JobsWanted(phases=OPEN, queue=queue, user=user, limit=PAGE_MAX)
    whom = asked(ctx)
    with opened(whom) as desk:
        if watch:
            _watch(desk, whom, wanted, output)
        else:
            print_page(line_of(desk, wanted), LINE, output, "id", EMPTY_LINE)


def line_of(desk: Desk, wanted: JobsWanted) -> Page[JobView]:
    """Give the jobs that run, the oldest first, then those that wait, the next one first."""
    page = every(lambda cursor: desk.jobs(msgspec.structs.replace(wanted, cursor=cursor)))
    return Page(items=tuple(sorted(page.items, key=_place)))


def _place(job: JobView) -> tuple[int, float, str]:
    if job.phase != "queued":
        return 0, job.started_s or 0.0, job.id
    if job.position is not None:
        return 1, job.position, job.id
    return 2, job.submitted_s, job.id


def _watch(desk: Desk, whom: Asked, wanted: JobsWanted, output: str) -> None:
    """Show the line, and again after whatever happens; a pipe hears of changes alone."""
    draws = sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and output in ("table", "wide")
    told: dict[str, str] = {}
    show: Callable[[Page[JobView]], None]
    if draws:
        show = functools.partial(_draw, output=output)
    else:
        show = functools.partial(_tell, output=output, told=told)
    watch_line(desk, whom, wanted, show)


def watch_line(
    desk: Desk, whom: Asked, wanted: JobsWanted, show: Callable[[Page[JobView]], None]
) -> None:
    """Show what runs and waits now, and again whenever something has happened."""
    from makeway.cli.news import News, in_peace, last_event, patiently

    with in_peace("stopped watching; the jobs go on."):
        seen = last_event(desk)
        news = News(whom, seen)
        while True:
            with again(desk, whom) as now:
                seen = patiently(functools.partial(last_event, now))
                show(patiently(functools.partial(line_of, now, wanted)))
            drawn = time.monotonic()
            entry = news.next(LOOK_EVERY_S)
            while entry is not None and entry.seq <= seen:
                entry = news.next(LOOK_EVERY_S)
            time.sleep(max(0.0, drawn + DRAW_EVERY_S - time.monotonic()))


def _draw(page: Page[JobView], output: str) -> None:
    click.echo(HOME, nl=False)
    click.echo(time.strftime("%H:%M:%S") + "  (Ctrl-C ends this, and no job)\n")
    print_page(page, LINE, output, "id", EMPTY_LINE)


def _tell(page: Page[JobView], output: str, told: dict[str, str]) -> None:
    """Print what is new of each job: a line for people, the job itself for programs."""
    now = {job.id: f"{state_of(job)} {wait_text(job.wait)}".rstrip() for job in page.items}
    for job in page.items:
        if told.get(job.id) != now[job.id]:
            match output:
                case "table" | "wide":
                    place = NOTHING if job.position is None else f"#{job.position}"
                    click.echo(f"{job.id}  {job.name}  {place}  {now[job.id]}")
                case "name":
                    click.echo(job.id)
                case _:
                    click.echo(msgspec.json.encode(job))
    for gone in set(told) - set(now):
        if output in ("table", "wide"):
            click.echo(f"{gone}  has left the line")
    told.clear()
    told.update(now)
    sys.stdout.flush()


@click.command()
@click.option(
    "--state",
    "states",
    multiple=True,
    metavar="STATE",
    help=f"Only jobs in this state: {', '.join(PHASES)}; may be repeated.",
)
@click.option("--queue", metavar="PATH", help="Only this queue and those below it.")
@click.option("--user", metavar="NAME", help="Only the jobs of this user.")
@click.option("--run", metavar="RUN", help="Only the jobs of this run of a workflow.")
@click.option(
    "--limit",
    type=click.IntRange(1, PAGE_MAX),
    default=50,
    show_default=True,
    help="How many, the newest ones.",
)
@click.option("--all", "whole", is_flag=True, help="All of them.")
@OUTPUT
@click.pass_context
def jobs(
    ctx: click.Context,
    /,
    states: tuple[str, ...],
    queue: str | None,
    user: str | None,
    run: str | None,
    limit: int,
    whole: bool,
    output: str,
) -> None:
    """List jobs, the newest first."""
    phases = tuple(word for one in states for word in one.split(","))
    wanted = JobsWanted(
        phases=tuple(_phase(word) for word in phases),
        queue=queue,
        user=user,
        run=run,
        limit=PAGE_MAX if whole else limit,
    )
    with asking(ctx) as desk:
        if whole:
            page = every(lambda cursor: desk.jobs(msgspec.structs.replace(wanted, cursor=cursor)))
        else:
            page = desk.jobs(wanted)
    print_page(page, JOBS, output, "id", EMPTY)


def _phase(word: str) -> str:
    if word not in PHASES:
        known = ", ".join(PHASES)
        raise InvalidInput(f"there is no state {word!r}", where="--state", hint=f"one of {known}")
    return word
