"""Show a run while it happens: a live table on a terminal, else one line for each piece of news."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import click

from makeway.cli.board import Board, Row, metrics_text
from makeway.cli.layers import depths, sign
from makeway.model.phase import ExecutionPhase
from makeway.model.units import size_text

if TYPE_CHECKING:
    from rich.table import Table

BAR = 20
STYLE = {
    "succeeded": "green", "cached": "green", "running": "cyan", "starting": "cyan",
    "failed": "bold red", "backoff": "yellow", "queued": "yellow", "cancelled": "magenta",
    "omitted": "dim", "pending": "dim", "skipped": "dim", "stopped": "magenta",
}  # fmt: skip


class View(Protocol):
    """What watches a board."""

    def show(self) -> None:
        """Show what is new."""
        ...

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End, with the last state shown."""
        ...


def view_for(board: Board, watch: bool | None) -> View:
    """Choose the view: live on a terminal unless told otherwise."""
    live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb" if watch is None else watch
    return LiveView(board) if live else LineView(board)


class LineView:
    """One line for each piece of news, on standard error."""

    def __init__(self, board: Board) -> None:
        """Watch this board."""
        self._board, self._told = board, 0

    def __enter__(self) -> Self:
        """Say what begins."""
        board = self._board
        again = f", resuming {board.resumed_from}" if board.resumed_from else ""
        count = len(board.rows)
        steps = f"{count} step{'s' if count != 1 else ''}"
        click.echo(f"run {board.run_id}: {board.workflow.name}, {steps}{again}", err=True)
        return self

    def show(self) -> None:
        """Print the news."""
        width = max((len(key) for key in self._board.rows), default=0)
        for at_ms, key, text in self._board.news[self._told :]:
            clock = time.strftime("%H:%M:%S", time.localtime(at_ms / 1000))
            click.echo(f"{clock}  {key:<{width}}  {text}", err=True)
        self._told = len(self._board.news)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Print what is left."""
        self.show()


class LiveView:
    """The graph as a table that changes in place, on standard error."""

    def __init__(self, board: Board) -> None:
        """Watch this board."""
        from rich.console import Console
        from rich.live import Live

        self._board = board
        console = Console(stderr=True, no_color="NO_COLOR" in os.environ)
        self._live = Live(console=console, refresh_per_second=8, get_renderable=self._table)

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.__enter__()
        return self

    def show(self) -> None:
        """Do nothing: the table draws itself, eight times a second."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the last state standing."""
        self._live.__exit__(kind, error, trace)

    def _table(self) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        board = self._board
        again = f"  (resuming {board.resumed_from})" if board.resumed_from else ""
        title = f"run {board.run_id}  {board.workflow.name}{again}"
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, expand=False)
        for name in ("step", "state", "progress", "workers", "time", "latest"):
            table.add_column(name, no_wrap=name != "latest", overflow="fold")
        now_ms = time.time_ns() // 1_000_000
        for depth, row in tree(board):
            table.add_row(
                Text("  " * depth + ("└ " if depth else "") + row.key),
                Text(state_text(row), style=STYLE.get(row.phase.value, "")),
                bar(row),
                str(row.workers) if row.workers else "",
                clock_text(row, now_ms),
                latest(row),
            )
        return table


def tree(board: Board) -> list[tuple[int, Row]]:
    """Give the steps with their depth in the graph, in the order of the workflow."""
    depth = depths((row.key, row.upstream) for row in board.rows.values())
    return [(depth[row.key], row) for row in board.rows.values()]


def state_text(row: Row) -> str:
    """Say the state in a word, with its sign, and which attempt it is after the first."""
    attempt = f" (attempt {row.attempt})" if row.attempt > 1 else ""
    return f"{sign(row.phase)} {row.phase.value}{attempt}"


def bar(row: Row) -> str:
    """Draw how much is done."""
    if row.phase.final or row.progress is None:
        return ""
    full = round(row.progress * BAR)
    return "━" * full + "╌" * (BAR - full) + f" {row.progress:4.0%}"


def clock_text(row: Row, now_ms: int) -> str:
    """Say how long the step has taken so far."""
    if row.began_ms is None:
        return ""
    return f"{max(0, (row.ended_ms or now_ms) - row.began_ms) / 1000:.1f} s"


def latest(row: Row) -> str:
    """Say what is known last: why it waits, what it measures, how it ended."""
    if row.phase in (ExecutionPhase.QUEUED, ExecutionPhase.BACKOFF, ExecutionPhase.FAILED):
        return row.text
    if row.text and (row.phase.final or row.phase is ExecutionPhase.RUNNING):
        numbers = metrics_text(row.metrics)
        return f"{numbers}  {row.text}" if numbers else row.text
    words = [metrics_text(row.metrics)]
    if row.memory_bytes and not row.phase.final:
        words.append(size_text(int(row.memory_bytes)))
    return "  ".join(word for word in words if word)
