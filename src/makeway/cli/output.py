"""Print data in the format that was asked for: the same content in each of them.

Data go to standard output and everything else to standard error. A table is cut for nobody: what
does not fit into a terminal is wrapped by the terminal. `name` gives ids alone, for a pipe.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import click
import msgspec

FORMATS = ("table", "wide", "json", "jsonl", "yaml", "name")

OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="How to print it.",
)

Row = Sequence[str]


class Column(msgspec.Struct, frozen=True):
    """One column of a table; `wide` ones are shown with `-o wide` only."""

    name: str
    text: Callable[[Any], str]
    wide: bool = False


def print_list(items: Sequence[Any], columns: Sequence[Column], output: str, name: str) -> None:
    """Print a list of values; `name` is the attribute that `-o name` prints."""
    match output:
        case "table" | "wide":
            shown = [column for column in columns if output == "wide" or not column.wide]
            rows = [[column.text(item) for column in shown] for item in items]
            print_table([column.name for column in shown], rows)
        case "jsonl":
            for item in items:
                click.echo(msgspec.json.encode(item))
        case "name":
            for item in items:
                click.echo(getattr(item, name))
        case _:
            print_data(items, output)


def print_data(value: object, output: str) -> None:
    """Print one value as JSON (indented or on a line) or YAML."""
    match output:
        case "yaml":
            import yaml

            plain = msgspec.to_builtins(value, str_keys=True)
            click.echo(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), nl=False)
        case "jsonl":
            click.echo(msgspec.json.encode(value))
        case _:
            click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def print_table(names: Sequence[str], rows: Sequence[Row]) -> None:
    """Print columns as wide as their widest cell; the last one is not padded."""
    heads = [name.upper() for name in names]
    widths = [max(len(row[at]) for row in [heads, *rows]) for at in range(len(heads))]
    for row in [heads, *rows]:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(padded).rstrip())


def clock(at_ms: int | None) -> str:
    """Write an instant in local time."""
    if at_ms is None:
        return "–"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_ms / 1000))


def span(begin_ms: int | None, end_ms: int | None) -> str:
    """Write how long something took."""
    if begin_ms is None:
        return "–"
    if end_ms is None:
        end_ms = time.time_ns() // 1_000_000
    return f"{max(0, end_ms - begin_ms) / 1000:.1f} s"
