"""Watch queues, machines and jobs as they change, on a whole terminal."""

from __future__ import annotations

import functools
import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
import msgspec

from makeway.cli.amount_text import amounts_text
from makeway.cli.connect import Asked, again, asked, opened
from makeway.cli.job_text import LINE
from makeway.cli.nodes import EMPTY as NO_NODES
from makeway.cli.nodes import NODES
from makeway.cli.output import Column, print_table
from makeway.cli.queue import EMPTY_LINE, OPEN, line_of
from makeway.cli.shares import columns_of
from makeway.wire.cluster import NodeView, QueueView, StatusView
from makeway.wire.jobs import JobsWanted, JobView
from makeway.wire.page import PAGE_MAX

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from makeway.wire.desk import Desk

DRAW_EVERY_S, LOOK_EVERY_S = 0.5, 5.0
QUIT = ("q", "Q", "\x03", "\x1b", "")
HEAD_LINES = 12
STYLE = {"running": "green", "evicting": "magenta", "queued": "yellow", "held": "dim"}


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """All that is shown, as of one instant."""

    status: StatusView
    queues: tuple[QueueView, ...]
    nodes: tuple[NodeView, ...]
    jobs: tuple[JobView, ...]


@click.command()
@click.pass_context
def top(ctx: click.Context, /) -> None:
    """Watch queues, machines and jobs as they change; q ends it, and no job.

    Where standard output is no terminal it prints once.
    """
    whom = asked(ctx)
    with opened(whom) as desk:
        if sys.stdout.isatty() and sys.stdin.isatty() and os.environ.get("TERM") != "dumb":
            _watch(desk, whom)
        else:
            _print(look(desk))


def look(desk: Desk) -> Look:
    """Ask for all that is shown."""
    wanted = JobsWanted(phases=OPEN, limit=PAGE_MAX)
    return Look(
        status=desk.status(),
        queues=tuple(desk.shares()),
        nodes=tuple(desk.nodes()),
        jobs=line_of(desk, wanted).items,
    )


def head(status: StatusView) -> str:
    """Say in a line how much is in use."""
    used, there = amounts_text(status.usage) or "nothing", amounts_text(status.capacity)
    jobs = f"{status.running} running, {status.queued} waiting"
    return f"{status.url or status.store}  {jobs}  in use: {used} of {there or 'nothing'}"


def _print(found: Look) -> None:
    click.echo(head(found.status))
    queues = columns_of([one.path for one in found.queues])
    parts = ((queues, found.queues), (NODES, found.nodes), (LINE, found.jobs))
    for columns, items in parts:
        shown = [column for column in columns if not column.wide]
        if items:
            click.echo()
            rows = [[column.text(item) for column in shown] for item in items]
            print_table([column.name for column in shown], rows)
    if not found.nodes:
        click.echo(NO_NODES, err=True)
    if not found.jobs:
        click.echo(EMPTY_LINE, err=True)


def _watch(desk: Desk, whom: Asked) -> None:
    from rich.console import Console
    from rich.live import Live

    from makeway.cli.news import News, in_peace, last_event, patiently

    console = Console(no_color=bool(os.environ.get("NO_COLOR")))
    news = News(whom, last_event(desk))
    with in_peace("stopped watching; the jobs go on."), _keys() as pressed:
        found = look(desk)
        with Live(drawn(found, console.height), console=console, screen=True) as live:
            drawn_at = time.monotonic()
            while not pressed(DRAW_EVERY_S):
                changed = False
                while (entry := news.next(0)) is not None:
                    changed = changed or entry.seq > found.status.last_event
                if changed or time.monotonic() - drawn_at > LOOK_EVERY_S:
                    with again(desk, whom) as now:
                        found = patiently(functools.partial(look, now))
                    drawn_at = time.monotonic()
                live.update(drawn(found, console.height), refresh=True)


def drawn(found: Look, height: int) -> Group:
    """Draw everything; jobs that do not fit are counted, and never left out silently."""
    from rich.console import Group
    from rich.text import Text

    queues = columns_of([one.path for one in found.queues])
    room = max(3, height - len(found.queues) - len(found.nodes) - HEAD_LINES)
    shown = found.jobs[:room]
    rest = len(found.jobs) - len(shown)
    return Group(
        Text(f"{head(found.status)}  {time.strftime('%H:%M:%S')}", style="bold"),
        _table(queues, found.queues),
        _table(NODES, found.nodes),
        _table(LINE, shown),
        Text(f"and {rest} more: makeway queue" if rest else EMPTY_LINE if not shown else ""),
        Text("q ends this, and no job", style="dim"),
    )


def _table(columns: tuple[Column, ...], items: tuple[QueueView | NodeView | JobView, ...]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, expand=False, pad_edge=False)
    used = [column for column in columns if not column.wide]
    for column in used:
        last = column.name in ("why", "text")
        table.add_column(column.name, no_wrap=not last, overflow="ellipsis" if last else "fold")
    for item in items:
        cells = [column.text(item) for column in used]
        table.add_row(*(Text(cell, style=STYLE.get(cell, "")) for cell in cells))
    return table


class Pressed:
    """Says whether a key was pressed that ends it."""

    def __init__(self, descriptor: int) -> None:
        """Take the terminal that is read."""
        self._descriptor = descriptor

    def __call__(self, patience_s: float) -> bool:
        """Wait at most so long for a key."""
        readable, _, _ = select.select([self._descriptor], [], [], patience_s)
        if not readable:
            return False
        return os.read(self._descriptor, 1).decode("ascii", "replace") in QUIT


@contextmanager
def _keys() -> Iterator[Pressed]:
    """Read keys as they are pressed; the terminal is left as it was found."""
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield Pressed(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
