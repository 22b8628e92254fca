"""Wait for jobs and runs to end, for scripts that go on with what they made."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from makeway.cli.codes import ENDED_BADLY, TOO_LATE
from makeway.cli.connect import Asked, asked, opened
from makeway.cli.news import in_peace
from makeway.cli.output import OUTPUT, print_data, print_list
from makeway.cli.settle import how_ended, settle
from makeway.cli.shares import span_s
from makeway.errors import MakewayError, NotFound
from makeway.wire.jobs import JobView
from makeway.wire.page import Page

if TYPE_CHECKING:
    from makeway.wire.desk import Desk

LOOK_EVERY_S = 0.2
WELL = ("succeeded", "succeeded_with_failures")


class EndedRun(msgspec.Struct, frozen=True, kw_only=True):
    """How a run has ended."""

    id: str
    phase: str
    text: str = ""


@click.command()
@click.argument("ids", metavar="ID…", nargs=-1, required=True)
@click.option("--timeout", metavar="TIME", help="Wait at most so long: 30s, 2h.")
@OUTPUT
@click.pass_context
def wait(ctx: click.Context, /, ids: tuple[str, ...], timeout: str | None, output: str) -> int:
    """Wait until jobs or runs have ended.

    Exit 0 if all did well, 5 if one did not, 6 if it took too long. Ctrl-C ends the waiting, and no
    job.
    """
    timeout_s = None if timeout is None else _timeout_s(timeout)
    whom = asked(ctx)
    with opened(whom) as desk:
        jobs, runs = _sorted_out(desk, whom, dict.fromkeys(ids))
        with in_peace("stopped waiting; what runs goes on."):
            began = time.monotonic()
            found = settle(desk, whom, jobs, timeout_s) if jobs else {}
            left_s = None if timeout_s is None else timeout_s - (time.monotonic() - began)
            over = _runs(whom.store, runs, left_s)
    ended = [one for one in (*found.values(), *over.values()) if one is not None]
    _print(ended, output)
    late = [name for name, one in {**found, **over}.items() if one is None]
    for name in late:
        click.echo(f"{name} has not ended within {timeout}; it goes on", err=True)
    if any(one.phase not in WELL for one in ended):
        return ENDED_BADLY
    return TOO_LATE if late else 0


def _timeout_s(text: str) -> float:
    return 0.0 if text in ("0", "0s") else span_s(text, "--timeout")


def _sorted_out(desk: Desk, whom: Asked, ids: Iterable[str]) -> tuple[list[str], list[str]]:
    """Tell jobs from runs: an id of a run, or its beginning, begins the ids of its jobs too."""
    jobs, runs = [], []
    for ref in ids:
        try:
            job = desk.job(ref)
        except NotFound as error:
            run = _run_of(whom.store, ref)
            if run is None:
                raise error from None
            runs.append(run)
            continue
        run = job.run if job.run is not None and job.run.startswith(ref) else None
        run = None if run is None else _run_of(whom.store, run)
        if run is None:
            jobs.append(job.id)
        else:
            runs.append(run)
    return list(dict.fromkeys(jobs)), list(dict.fromkeys(runs))


def _run_of(store: Path, ref: str) -> str | None:
    from makeway.store.database import Database
    from makeway.store.resolve import resolve_run

    try:
        database = Database.open(store, read_only=True)
    except MakewayError:
        return None  # the service is elsewhere, and so are its runs
    try:
        return resolve_run(database, ref)
    except NotFound:
        return None
    finally:
        database.close()


def _runs(store: Path, runs: Sequence[str], timeout_s: float | None) -> dict[str, EndedRun | None]:
    """Look at runs until all of them are over, or the time is."""
    if not runs:
        return {}
    from makeway.store.database import Database
    from makeway.store.read import get_run

    until = None if timeout_s is None else time.monotonic() + timeout_s
    found: dict[str, EndedRun | None] = dict.fromkeys(runs)
    database = Database.open(store, read_only=True)
    try:
        while True:
            for name in [name for name, one in found.items() if one is None]:
                row = get_run(database, name).row
                if row.phase.final:
                    found[name] = EndedRun(id=name, phase=row.phase.value, text=row.text)
            if all(found.values()) or (until is not None and time.monotonic() >= until):
                return found
            time.sleep(LOOK_EVERY_S)
    finally:
        database.close()


def _print(ended: Sequence[JobView | EndedRun], output: str) -> None:
    match output:
        case "table" | "wide":
            for one in ended:
                click.echo(how_ended(one) if isinstance(one, JobView) else _how_ended(one))
        case "json" | "yaml":
            print_data(ended[0] if len(ended) == 1 else Page(items=tuple(ended)), output)
        case _:
            print_list(ended, (), output, "id")


def _how_ended(run: EndedRun) -> str:
    return f"run {run.id} {run.phase}" + (f": {run.text}" if run.text else "")
