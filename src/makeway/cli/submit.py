"""Bring a job to the service: from a file, from what is typed, or from both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click
import msgspec

from makeway.cli.codes import ENDED_BADLY
from makeway.cli.connect import Asked, asked, opened
from makeway.cli.job_text import NEVER, print_wait, state_of, wait_text
from makeway.cli.jobfile import Typed, body_of
from makeway.cli.listing import print_one
from makeway.cli.output import OUTPUT, print_data
from makeway.cli.plainfile import Written
from makeway.errors import MakewayError, NeverFits
from makeway.wire.jobs import JobView, WaitView, WhyView

if TYPE_CHECKING:
    from makeway.wire.desk import Desk

Command = Callable[..., object]

OPTIONS = (
    click.option("-f", "--file", metavar="FILE", help="A job as YAML, JSON or TOML."),
    click.option("--name", help="A readable name (default: that of the program)."),
    click.option("--queue", metavar="PATH", help="Whose account it runs on (default: yours)."),
    click.option("--class", "job_class", metavar="NAME", help="low, medium, high, …"),
    click.option("--priority", type=int, help="A number in place of a class."),
    click.option("--workers", type=click.IntRange(min=1), help="A gang of exactly so many."),
    click.option("--min", "least", type=click.IntRange(min=1), help="Elastic: at least so many."),
    click.option("--max", "most", type=click.IntRange(min=1), help="Elastic: at most so many."),
    click.option("--cpus", type=float, help="Processors of each worker."),
    click.option("--memory", metavar="SIZE", help="Memory of each worker: 512MiB, 4GB."),
    click.option("--max-memory", metavar="SIZE", help="The most it may get after it ran out."),
    click.option("--gpus", type=float, help="GPUs of each worker."),
    click.option(
        "--after",
        multiple=True,
        metavar="JOB[:failed|ended]",
        help="Only after that job has succeeded (failed, ended); may be repeated.",
    ),
    click.option("--time-limit", metavar="TIME", help="The longest it may run: 90s, 5m, 2h."),
    click.option("--retries", type=click.IntRange(min=0), help="How often it is tried again."),
    click.option("--node", "nodes", multiple=True, metavar="NAME", help="Only on this node, …"),
    click.option("--directory", metavar="DIR", help="Where it runs (default: here)."),
    click.option(
        "--env",
        "environment",
        multiple=True,
        metavar="KEY=VALUE",
        help="A variable of its environment; KEY alone passes on the one that is set here.",
    ),
    click.option("--hold", is_flag=True, help="Keep it until it is released."),
    click.option("--no-preempt", is_flag=True, help="It may not be evicted for others."),
    click.option("--checkpoint-every", metavar="TIME", help="How often it saves its state."),
)


def of_a_job(command: Command) -> Command:
    """Give a command the options that say what a job is like."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@click.command(context_settings={"allow_interspersed_args": False})
@of_a_job
@click.option("--key", metavar="TEXT", help="The same key again gives the same job, not another.")
@click.option("--dry-run", is_flag=True, help="Say what would become of it; bring nothing.")
@click.option("--watch", is_flag=True, help="Follow it to its end; exit 5 if that is a bad one.")
@OUTPUT
@click.argument("command", metavar="[--] COMMAND…", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def submit(
    ctx: click.Context,
    /,
    file: str | None,
    key: str | None,
    dry_run: bool,
    watch: bool,
    output: str,
    **typed: object,
) -> int:
    """Bring a job: COMMAND as it would be typed here, or what a file says.

    Prints the id of the job. Options lie over the file. Where no service works, the job runs inside
    this command, with what is free on this machine, and is followed to its end.
    """
    body, written = body_of(file, msgspec.convert(typed, Typed))
    whom = asked(ctx)
    if whom.url is None and not dry_run:
        return _alone(whom, lambda desk: _brought(desk, body, key, written), output)
    with opened(whom) as desk:
        if dry_run:
            try:
                return _tried(desk.try_out(body), output)
            except MakewayError as error:
                raise (written.placed(error) if written is not None else error) from None
        job = _brought(desk, body, key, written)
        _print(job, output)
        if not watch:
            return NeverFits.exit_code if job.phase == "failed" and _never(job.wait) else 0
        from makeway.cli.logs import JobPrinter, Wish
        from makeway.cli.news import in_peace
        from makeway.cli.settle import watch_to_end

        left = f"stopped watching; job {job.id} goes on. See it: makeway logs -f {job.id}"
        with in_peace(f"{left}; end it: makeway cancel {job.id}"):
            job = watch_to_end(desk, whom, job, JobPrinter(desk, job, Wish(follow=True)))
    return _ended(job)


def _brought(
    desk: Desk, body: Mapping[str, object], key: str | None, written: Written | None
) -> JobView:
    """Bring it; a mistake that stands in a file is told with its line."""
    try:
        return desk.submit(body, key)
    except MakewayError as error:
        raise (written.placed(error) if written is not None else error) from None


def _alone(whom: Asked, bring: Callable[[Desk], JobView], output: str) -> int:
    from makeway.cli.alone import run_alone
    from makeway.cli.codes import CTRL_C
    from makeway.cli.logs import JobPrinter, Wish

    def brought(desk: Desk) -> JobView:
        job = bring(desk)
        _print(job, output)
        return job

    job = run_alone(whom.store, brought, lambda desk, job: JobPrinter(desk, job, Wish(follow=True)))
    return CTRL_C if job is None else _ended(job)


def _ended(job: JobView) -> int:
    from makeway.cli.settle import how_ended

    click.echo(how_ended(job), err=True)
    if job.phase == "succeeded":
        return 0
    return NeverFits.exit_code if _never(job.wait) else ENDED_BADLY


def _print(job: JobView, output: str) -> None:
    if output in ("table", "wide"):
        click.echo(job.id)
        said = wait_text(job.wait) if job.phase == "queued" else job.text
        click.echo(f"{job.name} is {state_of(job)}" + (f": {said}" if said else ""), err=True)
    else:
        print_one(job, output, "id")


def _tried(found: WhyView, output: str) -> int:
    """Print what would become of a job."""
    if output in ("table", "wide", "name"):
        if found.wait is None:
            click.echo("it would start at once")
        else:
            said = "it would be refused" if _never(found.wait) else "it would wait"
            click.echo(f"{said}: {found.wait.reason}")
            print_wait(found.wait)
    else:
        print_data(found, output)
    return NeverFits.exit_code if _never(found.wait) else 0


def _never(wait: WaitView | None) -> bool:
    return wait is not None and wait.reason in NEVER
