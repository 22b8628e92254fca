"""Show one job, and act on jobs: cancel, hold, keep, override, release, resize, retry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from makeway.cli.connect import asking, ordering
from makeway.cli.job_text import JOBS, print_job, state_of
from makeway.cli.listing import print_one
from makeway.cli.output import OUTPUT, print_data, print_list
from makeway.errors import MakewayError, NotFound
from makeway.wire.jobs import JobView, Override, Resize

if TYPE_CHECKING:
    from makeway.wire.desk import Desk

IDS = click.argument("ids", metavar="ID…", nargs=-1, required=True)


@click.group()
def job() -> None:
    """Show one job, or act on it. ID is an id, the beginning of one, a name, or @last."""


@job.command("show")
@click.argument("wanted", metavar="ID")
@OUTPUT
@click.pass_context
def show(ctx: click.Context, /, wanted: str, output: str) -> None:
    """Show all that is known of a job: where it stands, why it waits, every attempt."""
    with asking(ctx) as desk:
        found = desk.job(wanted)
    print_one(found, output, "id", lambda: print_job(found))


@click.command()
@IDS
@OUTPUT
@click.pass_context
def cancel(ctx: click.Context, /, ids: tuple[str, ...], output: str) -> None:
    """Let jobs end, or runs: what runs is asked to leave, what waits leaves the line."""
    _act(ctx, ids, "cancel", output)


@click.command()
@IDS
@OUTPUT
@click.pass_context
def hold(ctx: click.Context, /, ids: tuple[str, ...], output: str) -> None:
    """Keep jobs that wait from starting, until they are released."""
    _act(ctx, ids, "hold", output)


@click.command()
@IDS
@OUTPUT
@click.pass_context
def keep(ctx: click.Context, /, ids: tuple[str, ...], output: str) -> None:
    """Keep jobs going, whatever they seem to be worth: they yield to nobody any more."""
    _act(ctx, ids, "keep", output)


@click.command()
@IDS
@OUTPUT
@click.pass_context
def release(ctx: click.Context, /, ids: tuple[str, ...], output: str) -> None:
    """Let held jobs start when it is their turn."""
    _act(ctx, ids, "release", output)


@click.command()
@IDS
@OUTPUT
@click.pass_context
def retry(ctx: click.Context, /, ids: tuple[str, ...], output: str) -> None:
    """Try jobs again: at once if they wait, from anew if they have ended, restarted if they run."""
    _act(ctx, ids, "retry", output)


@click.command()
@click.argument("wanted", metavar="ID")
@click.argument("what", metavar="retry|stop|skip", type=click.Choice(("retry", "stop", "skip")))
@click.option("--reason", default="", help="Why; it is kept beside what had been decided.")
@OUTPUT
@click.pass_context
def override(ctx: click.Context, /, wanted: str, what: str, reason: str, output: str) -> None:
    """Do otherwise than was decided about a step, or a job.

    retry: its next attempt, beyond every ledger and charged to none. stop: it ends now, and is not
    tried again. skip: what reads it goes on with None, or in a list with a Failure.
    """
    with ordering(ctx) as desk:
        done = desk.override(wanted, Override(act=what, reason=reason))
    print_one(done, output, "step", lambda: click.echo(f"{done.step}  {done.state}\n  {done.text}"))


@click.command()
@click.argument("wanted", metavar="ID")
@click.option("--workers", type=click.IntRange(min=1), help="Exactly so many.")
@click.option("--min", "least", type=click.IntRange(min=1), help="At least so many.")
@click.option("--max", "most", type=click.IntRange(min=1), help="At most so many.")
@click.option("--group", metavar="NAME", help="Of this group, if the job has several.")
@OUTPUT
@click.pass_context
def resize(
    ctx: click.Context,
    /,
    wanted: str,
    workers: int | None,
    least: int | None,
    most: int | None,
    group: str | None,
    output: str,
) -> None:
    """Change how many workers a job may have; an elastic one goes on with them."""
    if (workers is None) == (least is None and most is None):
        raise click.UsageError("give --workers N, or --min N and --max N")
    if workers is None and (least is None or most is None):
        raise click.UsageError("--min and --max belong together")
    low, high = (least or 0, most or 0) if workers is None else (workers, workers)
    if low > high:
        raise click.UsageError(f"--min {low} is more than --max {high}")
    with ordering(ctx) as desk:
        changed = desk.act(wanted, "resize", Resize(min=low, max=high, group=group))
    _print([changed], output)


for command in (cancel, hold, keep, release, resize, retry):
    job.add_command(command)


def _act(ctx: click.Context, ids: tuple[str, ...], act: str, output: str) -> None:
    """Act on each in turn; one that cannot be done keeps none of the others from it."""
    done: list[JobView] = []
    wrong: MakewayError | None = None
    with ordering(ctx) as desk:
        for ref in dict.fromkeys(ids):
            try:
                if act != "cancel" or not _cancelled_run(desk, ref):
                    done.append(desk.act(ref, act))
            except MakewayError as error:
                if len(ids) == 1:
                    raise
                click.echo(f"error: {ref}: {error}", err=True)
                wrong = wrong or error
    if done:
        _print(done, output)
    if wrong is not None:
        raise click.exceptions.Exit(wrong.exit_code)


def _cancelled_run(desk: Desk, ref: str) -> bool:
    """Stop the run of this id, if there is one."""
    try:
        found = desk.cancel_run(ref)
    except NotFound:
        return False
    click.echo(f"{found.id}  {found.workflow}  {found.phase}")
    return True


def _print(jobs: list[JobView], output: str) -> None:
    match output:
        case "table":
            for one in jobs:
                text = f": {one.text}" if one.text else ""
                click.echo(f"{one.id}  {one.name}  {state_of(one)}{text}")
        case "json" | "yaml" if len(jobs) == 1:
            print_data(jobs[0], output)
        case _:
            print_list(jobs, JOBS, output, "id")
