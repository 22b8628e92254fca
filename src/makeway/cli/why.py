"""Answer why a job does not run, now or in a scenario that is played; and why a step did.

A step of a run says also why it was computed, and no output of an earlier run was taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from makeway.cli.connect import asking
from makeway.cli.job_text import NEVER, print_wait, state_of
from makeway.cli.output import OUTPUT, print_data
from makeway.errors import NotFound
from makeway.wire.jobs import CacheView, JobView, WhyView

if TYPE_CHECKING:
    from makeway.wire.desk import Desk

SCENARIO = click.option(
    "--scenario", metavar="FILE", help="Look at this scenario, and not at what is live."
)
AT = click.option("--at", metavar="TIME", help="Of a scenario: at this instant; default: the end.")


@click.command()
@click.argument("job", metavar="ID")
@SCENARIO
@AT
@OUTPUT
@click.pass_context
def why(ctx: click.Context, /, job: str, scenario: str | None, at: str | None, output: str) -> None:
    """Say why a job does not run, who is in its way, and what would start it.

    Of a step (its id, RUN/STEP or a name) it says also why it was computed and not reused: in what
    its key differs from the nearest that was computed before.
    """
    if scenario is not None:
        _in_scenario(job, scenario, at, output)
        return
    if at is not None:
        raise click.UsageError("--at is for a scenario: give --scenario FILE too")
    with asking(ctx) as desk:
        found = _asked(desk, job)
    if output in ("table", "wide"):
        print_why(found)
    elif output == "name":
        if found.job is not None:
            click.echo(found.job.id)
        elif found.cache is not None:
            click.echo(found.cache.step)
    else:
        print_data(found, output)


def _asked(desk: Desk, job: str) -> WhyView:
    try:
        return desk.why(job)
    except NotFound:
        if "/" not in job:
            raise
        return desk.why(job.replace("/", ".", 1))


def print_why(found: WhyView) -> None:
    """Print where a job stands, why, and whom it waits for, link by link."""
    if found.job is not None:
        _print_job(found, found.job)
    if found.cache is not None:
        _print_cache(found.cache, alone=found.job is None)


def _print_cache(cache: CacheView, *, alone: bool) -> None:
    if alone:
        click.echo(f"{cache.step} is {cache.phase}")
    click.echo(f"  {cache.text}" if cache.hit else f"  not reused: {cache.text}")
    for one in cache.differences:
        click.echo(f"    {one}")


def _print_job(found: WhyView, job: JobView) -> None:
    state = state_of(job)
    wait = found.wait or job.wait
    if wait is None:
        click.echo(f"{job.id} ({job.name}) does not wait: it is {state}")
        if job.symptom is not None:
            click.echo(f"  it is {job.symptom.name}: {job.symptom.text}")
            for one in job.symptom.evidence:
                click.echo(f"  {one}")
    else:
        click.echo(f"{job.id} ({job.name}) {_said(wait.reason)}: {wait.reason}")
        print_wait(wait)
    if job.text:
        click.echo(f"  {job.text}")
    if len(found.chain) > 1:
        click.echo("  it waits for this:")
        for depth, link in enumerate(found.chain):
            click.echo(f"  {'  ' * depth}{'└ ' if depth else ''}{link}")


def _in_scenario(job: str, scenario: str, at: str | None, output: str) -> None:
    from makeway.answers.waits import written as wait_view
    from makeway.cli.simulate import world_at
    from makeway.sim.outcome import wait_of, written

    world = world_at(scenario, at)
    wait = wait_of(world, job)
    if wait is None:
        known = any(getattr(entry.event, "job", None) == job for entry in world.log)
        if not known:
            raise NotFound(f"there is no job {job!r} at that time")
        told = output in ("table", "wide")
        click.echo(f"{job} does not wait", err=not told)
        if not told:
            print_data(None, output)
        return
    if output not in ("table", "wide"):
        print_data(written(wait), output)
        return
    click.echo(f"{job} {_said(wait.reason)}: {wait.reason.value}")
    print_wait(wait_view(wait), lambda at_s: f"{at_s:g} s")


def _said(reason: str) -> str:
    return "was refused" if reason in NEVER else "waits"
