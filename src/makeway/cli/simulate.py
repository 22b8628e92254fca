"""Show what a policy does with a scenario: in virtual time, by the engine that runs live."""

from __future__ import annotations

import time

import click

from makeway.cli.output import OUTPUT, print_data, print_table
from makeway.cli.scenario_view import draw
from makeway.errors import InvalidInput
from makeway.model.units import BadAmount, ms_of
from makeway.sim.scenario import Scenario
from makeway.sim.world import World


@click.command()
@click.argument("scenario", type=click.Path(dir_okay=False))
@click.option("--at", metavar="TIME", help="Stop after all that happens at this instant.")
@click.option("--until", metavar="TIME", help="Go on to this instant, at the longest.")
@click.option("--policy", "name", metavar="NAME", help="Use another policy than the file names.")
@click.option("--check", is_flag=True, help="Compare with `expect`; exit 1 if anything differs.")
@OUTPUT
def simulate(
    scenario: str, at: str | None, until: str | None, name: str | None, check: bool, output: str
) -> int:
    """Play SCENARIO, a YAML file with a cluster, a share tree, jobs and events.

    Times are seconds or 10s, 5m, 2h. docs/scenarios.md describes the file.
    """
    if at is not None and until is not None:
        raise InvalidInput("--at and --until say the same; give one of them")
    world_file, world = open_world(scenario, name)
    began = time.perf_counter()
    missed = _play(world_file, world, instant(at or until), check=check)
    _print(world_file, world, time.perf_counter() - began, output)
    if check:
        for line in missed:
            click.echo(line, err=True)
        held = len(world_file.expected)
        verdict = f"{len(missed)} not as expected" if missed else f"all {held} expectations hold"
        click.echo(verdict, err=True)
    return 1 if missed else 0


def open_world(path: str, name: str | None) -> tuple[Scenario, World]:
    """Read a scenario file and make its world; `name` is a policy to use instead of its own."""
    from makeway.cli.yamlfile import read
    from makeway.policy.choose import POLICIES, decide, policy_named
    from makeway.sim.play import world_of
    from makeway.sim.scenario_read import scenario_of

    policy = decide if name is None else policy_named(name)
    scenario = scenario_of(read(path), tuple(POLICIES))
    return scenario, world_of(scenario, policy)


def _play(scenario: Scenario, world: World, end_ms: int | None, *, check: bool) -> list[str]:
    """Run the world, and look at it wherever something is expected."""
    from makeway.sim.expect import misses
    from makeway.sim.outcome import outcome

    missed: list[str] = []
    for expected in sorted(scenario.expected, key=lambda one: one.at_ms) if check else ():
        if end_ms is None or expected.at_ms <= end_ms:
            run_to(world, expected.at_ms)
            missed += misses(expected, outcome(scenario, world, 0.0))
    if end_ms is None:
        world.run()
    else:
        run_to(world, end_ms)
    return missed


def run_to(world: World, at_ms: int) -> None:
    """Let everything happen up to an instant, and let it be that instant."""
    world.run(at_ms)
    world.now_ms = max(world.now_ms, at_ms)


def _print(scenario: Scenario, world: World, wall_s: float, output: str) -> None:
    from makeway.sim.outcome import outcome

    found = outcome(scenario, world, wall_s)
    match output:
        case "table" | "wide":
            draw(found, print_table)
        case "name":
            for job in found["jobs"]:  # type: ignore[attr-defined]  # a list of rows
                click.echo(job["name"])
        case _:
            print_data(found, output)


def instant(text: str | None) -> int | None:
    """Read an instant that was typed."""
    if text is None:
        return None
    try:
        return ms_of(float(text) if text.replace(".", "", 1).isdigit() else text, "TIME")
    except BadAmount as bad:
        raise InvalidInput(str(bad)) from None
