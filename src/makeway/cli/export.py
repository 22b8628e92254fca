"""`makeway export`: what was recorded, in a form in which something else can be done with it."""

from __future__ import annotations

import time
from pathlib import Path

import click

from makeway.cli.connect import asked, opened
from makeway.cli.output import print_data
from makeway.errors import InvalidInput
from makeway.model.units import BadAmount, ms_of
from makeway.sim.past import scenario_of


@click.group()
def export() -> None:
    """Write what was recorded in a form in which something else can be done with it."""


@export.command()
@click.option("--since", default="30d", metavar="TIME", help="How far back (default 30d).")
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml")
@click.pass_context
def scenario(ctx: click.Context, /, since: str, output: str) -> None:
    """Write the jobs that were submitted, as a scenario for `makeway simulate`.

    Each job comes when it came and takes as long as it took; nodes, queues and policy are those of
    now. Change any of them, and see what becomes of the waits.
    """
    try:
        since_ms = time.time_ns() // 1_000_000 - ms_of(since)
    except BadAmount as bad:
        raise InvalidInput(bad.problem, where="--since") from None
    whom = asked(ctx)
    if whom.url is not None:
        with opened(whom) as desk:
            found = scenario_of(desk.events(0, follow=False), since_ms)
    else:
        from makeway.store.database import Database
        from makeway.store.log import Log

        database = Database.open(Path(whom.store), read_only=True)
        try:
            found = scenario_of(Log(database).read(), since_ms)
        finally:
            database.close()
    print_data(found, output)
