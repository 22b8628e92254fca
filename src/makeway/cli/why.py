"""Answer why a job does not run, and show the four numbers of every queue, in a scenario."""

from __future__ import annotations

import click
import msgspec

from makeway.cli.output import OUTPUT, print_data, print_table
from makeway.cli.simulate import instant, open_world, run_to
from makeway.errors import InvalidInput, NotFound
from makeway.model.wait import Reason
from makeway.sim.world import World

SCENARIO = click.option(
    "--scenario", metavar="FILE", help="The scenario to look at; needed for now."
)
NEVER = (Reason.MISCONFIGURED, Reason.EXCEEDS_LIMIT, Reason.NO_NODE_FITS)
AT = click.option("--at", metavar="TIME", help="Look at this instant; default: the end.")


@click.command()
@click.argument("job")
@SCENARIO
@AT
@OUTPUT
def why(job: str, scenario: str | None, at: str | None, output: str) -> int:
    """Say why JOB does not run, who is in its way, and what would start it."""
    from makeway.sim.outcome import wait_of, written

    world = _world(scenario, at)
    wait = wait_of(world, job)
    if wait is None:
        known = any(getattr(entry.event, "job", None) == job for entry in world.log)
        if not known:
            raise NotFound(f"there is no job {job!r} at that time")
        told = output in ("table", "wide")
        click.echo(f"{job} does not wait", err=not told)
        if not told:
            print_data(None, output)
        return 0
    if output not in ("table", "wide"):
        print_data(written(wait), output)
        return 0
    phase = "was refused" if wait.reason in NEVER else "waits"
    click.echo(f"{job} {phase}: {wait.reason.value}\n  {wait.text}")
    if wait.blocked_by:
        click.echo(f"  in its way: {', '.join(wait.blocked_by)}")
    for change in wait.unblock:
        click.echo(
            f"  it would start if you {change}"
            if "node" not in change
            else f"  it would start with {change}"
        )
    eta = wait.detail.get("eta")
    if wait.starts_at_ms is not None:
        click.echo(
            f"  expected to start at {wait.starts_at_ms / 1000:g} s" + (f", {eta}" if eta else "")
        )
    elif eta:
        click.echo(f"  no estimate of its start: {eta}")
    return 0


@click.command()
@click.argument("path", required=False)
@SCENARIO
@AT
@OUTPUT
def shares(path: str | None, scenario: str | None, at: str | None, output: str) -> int:
    """Show what every queue's share is, what it is due, uses and asks for."""
    from makeway.cli.scenario_view import queue_rows
    from makeway.sim.outcome import queues_of

    rows = queues_of(_world(scenario, at))
    if path is not None:
        rows = [row for row in rows if f"{row['path']}/".startswith(f"{path.strip('/')}/")]
        if not rows:
            raise NotFound(f"there is no queue {path!r} at that time")
    match output:
        case "table" | "wide":
            print_table(["QUEUE", "SHARE", "DUE", "USAGE", "DEMAND"], queue_rows(rows))
        case "name":
            for row in rows:
                click.echo(row["path"])
        case "jsonl":
            for row in rows:
                click.echo(msgspec.json.encode(row))
        case _:
            print_data(rows, output)
    return 0


def _world(scenario: str | None, at: str | None) -> World:
    if scenario is None:
        problem = "this answers only about a scenario file for now"
        raise InvalidInput(problem, hint="name one: --scenario FILE")
    _, world = open_world(scenario, None)
    end_ms = instant(at)
    if end_ms is None:
        world.run()
    else:
        run_to(world, end_ms)
    return world
