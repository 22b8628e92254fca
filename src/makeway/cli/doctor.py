"""Look for what may be wrong here, and say of each thing what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from makeway.cli.checks import CHECKS, Finding
from makeway.cli.connect import asked
from makeway.cli.output import OUTPUT, Column, print_data, print_list
from makeway.cli.ray_check import ray

STATES = {"ok": "ok", "warn": "warn", "fail": "FAIL"}


COLUMNS = (
    Column("check", lambda one: one.check),
    Column("state", lambda one: STATES[one.state]),
    Column("found", lambda one: one.text + (f"; {one.advice}" if one.advice else "")),
)


@click.command()
@OUTPUT
@click.pass_context
def doctor(ctx: click.Context, /, output: str) -> int:
    """Check this machine, the store and the service; exit 1 if something cannot work."""
    whom = asked(ctx)
    found: Sequence[Finding] = [finding for check in (*CHECKS, ray) for finding in check(whom)]
    if output in ("json", "yaml"):
        print_data(found, output)
    else:
        print_list(found, COLUMNS, output, "check")
    wrong = sum(one.state == "fail" for one in found)
    unsure = sum(one.state == "warn" for one in found)
    click.echo(f"{len(found)} looked at, {wrong} wrong, {unsure} to look at", err=True)
    return 1 if wrong else 0
