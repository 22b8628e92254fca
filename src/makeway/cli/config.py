"""Show the configuration: every value, and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
import msgspec

from makeway.cli.configured import configured
from makeway.cli.output import OUTPUT, Column, print_list
from makeway.live.config import Row, rows


@click.group()
def config() -> None:
    """Show the configuration, and where it came from."""


@config.command()
@click.option("--config", "file", metavar="FILE", help="A file to read instead of makeway.toml.")
@OUTPUT
@click.pass_context
def view(ctx: click.Context, file: str | None, output: str) -> None:
    """Show every value, and where it came from.

    The nearest counts: an option, a variable of the environment, makeway.toml here, the user's own
    file, the default. A token is never shown, nor a password.
    """
    store = ctx.find_root().params.get("store")
    found = [*rows(configured({"config": file, "service.store": store}))]
    print_list(found, COLUMNS, output, "key")


def _said(row: Row) -> str:
    value: Any = row.value
    match value:
        case "" | []:
            return "–"
        case bool():
            return str(value).lower()
        case [dict(), *_]:
            names = ", ".join(_name(one) for one in value[:NAMED_MAX])
            return f"{len(value)}: {names}{', …' if len(value) > NAMED_MAX else ''}"
        case str():
            return value
    return msgspec.json.encode(value).decode()


def _name(one: Mapping[str, object]) -> str:
    """Name one of a list: by its name, else by what it is for."""
    known = (one[key] for key in NAMES if key in one)
    return str(next(known, next(iter(one.values()), "")))


NAMES = ("name", "pattern", "cause", "exception", "when")
NAMED_MAX = 5
COLUMNS = (
    Column("key", lambda row: row.key),
    Column("value", _said),
    Column("from", lambda row: row.origin),
)
