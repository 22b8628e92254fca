"""Print the version."""

from __future__ import annotations

import click

from makeway import __version__


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(f"makeway {__version__}")
