"""Show what an artifact was made from and what was made from it; or why two of them differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from makeway.cli.connect import asking
from makeway.cli.output import OUTPUT, print_data, print_table
from makeway.errors import InvalidInput
from makeway.lineage.tree import shown
from makeway.model.lineage import Comparison
from makeway.wire.search import LineageWanted

STEPS = click.IntRange(0, 20)


@click.command()
@click.argument("artifact", required=False)
@click.option("--up", type=STEPS, default=20, show_default=True, help="How many steps before it.")
@click.option("--down", type=STEPS, default=20, show_default=True, help="How many after it.")
@click.option("--diff", nargs=2, metavar="A B", help="Say why two artifacts, or runs, differ.")
@click.option("--svg", type=click.Path(dir_okay=False), help="Draw it into this file.")
@OUTPUT
@click.pass_context
def lineage(
    ctx: click.Context,
    /,
    *,
    artifact: str | None,
    up: int,
    down: int,
    diff: Sequence[str] | None,
    svg: str | None,
    output: str,
) -> None:
    """Show every step, input, parameter and metric behind ARTIFACT, and what it went into.

    ARTIFACT is the beginning of a digest, a name, NAME:VERSION, a step (for what it gave), or @last:
    the newest model.
    """
    if (artifact is None) is not bool(diff):
        raise click.UsageError("name one ARTIFACT, or two by --diff")
    with asking(ctx) as desk:
        if diff:
            _print_differences(desk.differences(*diff), output)
            return
        found = desk.lineage(LineageWanted(ref=artifact or "", up=up, down=down))
    if svg is not None:
        from makeway.lineage.picture import picture

        _write(Path(svg), picture(found))
    elif output in ("table", "wide"):
        from makeway.lineage.tree import draw

        click.echo(draw(found))
    elif output == "name":
        for made in found.artifacts:
            click.echo(made.digest)
    else:
        print_data(found, output)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise InvalidInput(f"it cannot be written: {error.strerror}", where=str(file)) from None
    click.echo(f"{file} is written", err=True)


def _print_differences(found: Comparison, output: str) -> None:
    if output not in ("table", "wide", "name"):
        print_data(found, output)
    elif output == "name":
        for one in found.differences:
            click.echo(".".join(filter(None, (one.where, one.what, one.name))))
    elif found.same:
        click.echo("both are the same", err=True)
    elif not found.differences:
        click.echo("nothing that is on record differs in how they were made", err=True)
    else:
        rows = [
            (one.where, one.what, one.name, _side(one.what, one.left), _side(one.what, one.right))
            for one in found.differences
        ]
        print_table(("step", "what", "name", found.left[:12], found.right[:12]), rows)


def _side(what: str, value: object) -> str:
    text = shown(value)
    return text[:12] if what in ("input", "code") else text
