"""Print what a service lists: as a table for people, as the page itself for programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import click

from makeway.cli.output import Column, print_data, print_list
from makeway.wire.page import Page

Item = TypeVar("Item")


def print_page(
    page: Page[Item], columns: Sequence[Column], output: str, name: str, empty: str
) -> None:
    """Print a page; `name` is what `-o name` prints of each, `empty` what to say of no item."""
    if output in ("json", "yaml"):
        print_data(page, output)
    elif page.items or output not in ("table", "wide"):
        print_list(page.items, columns, output, name)
    if not page.items:
        click.echo(empty, err=True)
    if page.next_cursor is not None:
        click.echo("there are more: --all prints them all", err=True)


def print_one(
    value: object, output: str, name: str, show: Callable[[], None] | None = None
) -> None:
    """Print one value; `show` prints it for people."""
    match output:
        case "table" | "wide" if show is not None:
            show()
        case "name":
            click.echo(getattr(value, name))
        case _:
            print_data(value, output)


def every(ask: Callable[[str | None], Page[Item]]) -> Page[Item]:
    """Read a list over all its pages; `ask` gives the page behind a cursor."""
    page = ask(None)
    found = list(page.items)
    while page.next_cursor is not None:
        page = ask(page.next_cursor)
        found += page.items
    return Page(items=tuple(found))
