"""Wait for jobs to end, with what they print if that is wanted, and say how they ended.

Takes:   whom to ask, the ids of jobs (full ones), until when
Gives:   each job as it was when it ended; None for one that had not in time
Raises:  Unreachable: the service has gone, and has not come back for half a minute
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import click

from makeway.cli.connect import Asked
from makeway.cli.job_text import FINAL, state_of, wait_text
from makeway.cli.news import News, about, last_event, patiently
from makeway.wire.jobs import JobView

if TYPE_CHECKING:
    from makeway.wire.desk import Desk

# Should an event ever be missed, it is noticed so much later.
LOOK_EVERY_S = 15.0
PRINT_EVERY_S = 0.2


def settle(
    desk: Desk, whom: Asked, jobs: Sequence[str], timeout_s: float | None
) -> dict[str, JobView | None]:
    """Wait until all of these jobs are final, or the time is over."""
    until = None if timeout_s is None else time.monotonic() + timeout_s
    after = last_event(desk)
    found: dict[str, JobView | None] = dict.fromkeys(jobs)
    news: News | None = None
    fresh = set(jobs)
    while True:
        for name in [name for name in jobs if name in fresh]:
            job = patiently(functools.partial(desk.job, name))
            if job.phase in FINAL:
                found[name] = job
        fresh = set()
        left = None if until is None else until - time.monotonic()
        if all(found.values()) or (left is not None and left <= 0):
            return found
        news = news or News(whom, after)
        entry = news.next(LOOK_EVERY_S if left is None else min(left, LOOK_EVERY_S))
        waiting = {name for name, job in found.items() if job is None}
        fresh = waiting if entry is None else {one for one in waiting if about(entry, one)}


def how_ended(job: JobView) -> str:
    """Say in a sentence how a job ended."""
    text = job.text or wait_text(job.wait)
    return f"job {job.id} ({job.name}) {job.phase}" + (f": {text}" if text else "")


class Printer(Protocol):
    """What prints the log of a job."""

    def print_new(self, latest: int) -> None:
        """Print what is new, up to the attempt that is the latest."""
        ...

    def print_rest(self) -> None:
        """Print what is left of the last lines."""
        ...


def watch_to_end(desk: Desk, whom: Asked, job: JobView, printer: Printer) -> JobView:
    """Follow one job to its end: each change of its state on standard error, and its log."""
    news = News(whom, last_event(desk))
    told = ""
    looked = 0.0
    while True:
        if time.monotonic() - looked > LOOK_EVERY_S:
            job = patiently(functools.partial(desk.job, job.id))
            looked = time.monotonic()
        told = tell_state(job, told)
        if job.phase in FINAL:
            printer.print_new(job.attempt)
            printer.print_rest()
            return job
        entry = news.next(PRINT_EVERY_S)
        while entry is not None:
            if about(entry, job.id):
                looked = 0.0
            entry = news.next(0)
        if job.attempt:
            printer.print_new(job.attempt)


def tell_state(job: JobView, told: str) -> str:
    """Say where a job stands, unless that was said."""
    state = state_of(job)
    said = f"{state}: {wait_text(job.wait)}" if state == "queued" and job.wait else state
    if job.attempt > 1 and job.phase == "running":
        said += f", attempt {job.attempt}"
    if said != told and job.phase not in FINAL:
        click.echo(f"{time.strftime('%H:%M:%S')}  {job.name}  {said}", err=True)
    return said
