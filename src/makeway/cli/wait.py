"""Wait for jobs to end, for scripts that go on with what they made."""

from __future__ import annotations

import click

from makeway.cli.connect import asked, opened
from makeway.cli.job_text import JOBS
from makeway.cli.news import in_peace
from makeway.cli.output import OUTPUT, print_data, print_list
from makeway.cli.settle import ENDED_BADLY, TOO_LATE, how_ended, settle
from makeway.cli.shares import span_s


@click.command()
@click.argument("ids", metavar="ID…", nargs=-1, required=True)
@click.option("--timeout", metavar="TIME", help="Wait at most so long: 30s, 2h.")
@OUTPUT
@click.pass_context
def wait(ctx: click.Context, /, ids: tuple[str, ...], timeout: str | None, output: str) -> int:
    """Wait until jobs have ended: exit 0 if all did well, 5 if one did not, 6 if it took too long.

    Ctrl-C ends the waiting, and no job.
    """
    timeout_s = None if timeout is None else _timeout_s(timeout)
    whom = asked(ctx)
    with opened(whom) as desk:
        jobs = list(dict.fromkeys(desk.job(ref).id for ref in ids))
        with in_peace("stopped waiting; the jobs go on."):
            found = settle(desk, whom, jobs, timeout_s)
    ended = [job for job in found.values() if job is not None]
    late = [name for name, job in found.items() if job is None]
    if output == "table":
        for job in ended:
            click.echo(how_ended(job))
    elif output in ("json", "yaml") and len(jobs) == 1 and ended:
        print_data(ended[0], output)
    else:
        print_list(ended, JOBS, output, "id")
    for name in late:
        click.echo(f"job {name} has not ended within {timeout}; it goes on", err=True)
    if any(job.phase != "succeeded" for job in ended):
        return ENDED_BADLY
    return TOO_LATE if late else 0


def _timeout_s(text: str) -> float:
    return 0.0 if text in ("0", "0s") else span_s(text, "--timeout")
