"""Show the policy in force, try another one on what is there now, and apply it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click

from makeway.cli.connect import asked, asking, ordering
from makeway.cli.output import OUTPUT, print_data
from makeway.cli.plainfile import plain_file
from makeway.errors import InvalidInput, MakewayError
from makeway.wire.cluster import PreviewView

FILE = click.argument("file", metavar="FILE")


@click.group()
def policy() -> None:
    """Show, check or apply the policy and the share tree: who runs now, by which rules."""


@policy.command()
@OUTPUT
@click.pass_context
def show(ctx: click.Context, /, output: str) -> None:
    """Print the policy and the queues in force, as a file that can be applied again."""
    with asking(ctx) as desk:
        found = desk.policy()
    if output == "name":
        click.echo(str(found.policy.get("name", "fair")))
        return
    print_data(found, "yaml" if output in ("table", "wide") else output)


@policy.command()
@FILE
@click.option("--scenario", metavar="SCENARIO", help="Say what it would change in this scenario.")
@click.option("--at", metavar="TIME", help="At this instant of the scenario; default: the end.")
@OUTPUT
@click.pass_context
def check(
    ctx: click.Context, /, file: str, scenario: str | None, at: str | None, output: str
) -> None:
    """Say what would change if FILE were applied now; nothing is changed."""
    if scenario is not None:
        from makeway.cli.policy_scenario import tried

        _print_preview(tried(file, scenario, at), output)
        return
    if at is not None:
        raise InvalidInput("--at is an instant of a scenario", hint="name one: --scenario FILE")
    from makeway.cli.policy_scenario import read_setup, said_to_be_right
    from makeway.model.rules import LIVE

    if asked(ctx).url is None and not (Path(ctx.obj) / "makeway.db").exists():
        # Nothing is there that it could change; whether it is right can be said all the same.
        click.echo(said_to_be_right(read_setup(file, LIVE), file))
        return
    with asking(ctx) as desk:
        found = _preview(file, desk.check_policy, output)
    if not found.applied and output in ("table", "wide", "name"):
        click.echo(f"nothing was changed; apply it with: makeway policy apply {file}", err=True)


@policy.command()
@FILE
@OUTPUT
@click.pass_context
def apply(ctx: click.Context, /, file: str, output: str) -> None:
    """Put the policy and the queues of FILE in force, and say what changed."""
    with ordering(ctx) as desk:
        _preview(file, desk.apply_policy, output)


def _preview(
    file: str, ask: Callable[[Mapping[str, object]], PreviewView], output: str
) -> PreviewView:
    written = plain_file(file)
    try:
        found = ask(written.values)
    except MakewayError as error:
        raise written.placed(error) from None
    _print_preview(found, output)
    return found


def _print_preview(found: PreviewView, output: str) -> None:
    if output not in ("table", "wide", "name"):
        print_data(found, output)
        return
    parts: Mapping[str, Sequence[str]] = {
        "changes": found.changes,
        "starts": found.starts,
        "evictions": found.evictions,
        "resizes": found.resizes,
        "shares": found.shares,
    }
    for title, lines in parts.items():
        if lines:
            click.echo(title)
            for line in lines:
                click.echo(f"  {line}")
    if not any(parts.values()):
        click.echo("it changes nothing")
