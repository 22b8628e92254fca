"""Show what a policy does with a scenario: in virtual time, by the engine that runs live."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click
from msgspec.structs import replace

from makeway.cli.output import OUTPUT, print_data, print_table
from makeway.cli.scenario_view import draw
from makeway.errors import InvalidInput, Unavailable
from makeway.model.event import Entry
from makeway.model.units import BadAmount, ms_of
from makeway.sim.scenario import Scenario
from makeway.sim.world import World

# A job takes a handful of steps; some more for each time that it is evicted.
STEPS_MIN, STEPS_A_JOB = 100_000, 1_000


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
    missed = _play(world_file, world, instant(at if at is not None else until), check=check)
    if at is not None:
        world.now_ms = max(world.now_ms, instant(at) or 0)
    _print(world_file, world, time.perf_counter() - began, output)
    for line in missed:
        click.echo(line, err=True)
    if check:
        click.echo(verdict(world_file, world, len(missed)), err=True)
    return 1 if missed else 0


def verdict(scenario: Scenario, world: World, missed: int) -> str:
    """Say how much of what is expected held."""
    all_there_is = len(scenario.expected)
    looked_at = sum(one.at_ms <= world.now_ms for one in scenario.expected)
    if not all_there_is:
        return "the file expects nothing"
    later = f"; {all_there_is - looked_at} later" if looked_at < all_there_is else ""
    if missed:
        return (
            f"{missed} not as expected; {looked_at} of {all_there_is} entries were compared{later}"
        )
    return f"{looked_at} of {all_there_is} entries of expect hold{later}"


def open_world(path: str, name: str | None) -> tuple[Scenario, World]:
    """Read a scenario file and make its world; `name` is a policy to use instead of its own."""
    from makeway.cli.yamlfile import read
    from makeway.policy.choose import POLICIES, decide, policy_named
    from makeway.sim.play import world_of
    from makeway.sim.scenario_read import scenario_of

    scenario = scenario_of(read(path), tuple(POLICIES))
    if name is not None:
        policy_named(name)  # or it is told that there is none
        scenario = replace(scenario, rules=replace(scenario.rules, name=name))
    return scenario, world_of(scenario, decide, Patience(len(scenario.jobs)).hear)


class Patience:
    """Give up on a world that goes on and on: jobs may evict each other for ever."""

    def __init__(self, jobs: int) -> None:
        """Wait the longer, the more jobs there are."""
        self._left = STEPS_MIN + STEPS_A_JOB * jobs

    def hear(self, entries: Sequence[Entry]) -> None:
        """Count one step."""
        self._left -= 1
        if self._left < 0:
            at = f" ({entries[-1].at_ms / 1000:g} s)" if entries else ""
            problem = f"this scenario comes to no end{at}"
            raise Unavailable(problem, hint="--until TIME stops it earlier")


def _play(scenario: Scenario, world: World, end_ms: int | None, *, check: bool) -> list[str]:
    """Run the world, and look at it wherever something is expected."""
    from makeway.sim.expect import misses
    from makeway.sim.outcome import outcome

    missed: list[str] = []
    for expected in sorted(scenario.expected, key=lambda one: one.at_ms) if check else ():
        if end_ms is None or expected.at_ms <= end_ms:
            run_to(world, expected.at_ms)
            missed += misses(expected, outcome(scenario, world, 0.0, advise=False))
    world.run(end_ms)
    if end_ms is not None and world.engine.state.jobs:
        world.now_ms = max(world.now_ms, end_ms)
    return missed


def run_to(world: World, at_ms: int) -> None:
    """Let everything happen up to an instant, and let it be that instant."""
    world.run(at_ms)
    world.now_ms = max(world.now_ms, at_ms)


def _print(scenario: Scenario, world: World, wall_s: float, output: str) -> None:
    from makeway.sim.outcome import outcome

    found = outcome(scenario, world, wall_s, advise=output in ("json", "jsonl", "yaml"))
    match output:
        case "table" | "wide":
            draw(found, print_table, wide=output == "wide")
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


def world_at(path: str, at: str | None) -> World:
    """Play a scenario file to an instant that was typed, or to its end."""
    _, world = open_world(path, None)
    end_ms = instant(at)
    if end_ms is None:
        world.run()
    else:
        run_to(world, end_ms)
    return world
