"""Sum a run up when it is over: what was selected and why, and what the run gives back."""

from __future__ import annotations

import click
import msgspec

from makeway.cli.board import Board
from makeway.model.workflow import Binding, Constant, Many, Selection, Stored


def print_summary(board: Board) -> None:
    """Print it to standard output: this is what was asked for."""
    for row in board.rows.values():
        if row.selection is not None:
            click.echo(selection_text(row.key, row.selection))
    if board.result is not None:
        click.echo(value_text(board.result, board.read))
    text = f": {board.text}" if board.text else ""
    click.echo(f"run {board.run_id} {board.phase.value.replace('_', ' ')}{text}", err=True)


def selection_text(key: str, selection: Selection) -> str:
    """Write a ranking with its losers and the reason for each."""
    least = "" if selection.minimum is None else f", at least {selection.minimum:g}"
    lines = [f"{key}: the best {selection.k} by {selection.metric}{least}"]
    width = max(len(ranked.candidate) for ranked in selection.ranking)
    for ranked in selection.ranking:
        place = f"{ranked.place}." if ranked.place else "–"
        value = "" if ranked.value is None else f"{ranked.value:.4f}"
        word = "chosen" if ranked.chosen else "not chosen"
        lines.append(
            f"  {place:<3} {ranked.candidate:<{width}}  {value:<8} {word}: {ranked.why}".rstrip()
        )
    return "\n".join(lines) + "\n"


def value_text(binding: Binding, read: Reading) -> str:
    """Write a value for a person: text as it is, plain values as JSON, others by their kind."""
    match binding:
        case Constant(value):
            return plain_text(value)
        case Stored(output) if output.codec == "json":
            return plain_text(msgspec.json.decode(read(output.digest)))
        case Stored(output):
            name = f" {output.name}" if output.name else ""
            return f"{output.kind}{name} ({output.codec}, {output.size_bytes} bytes, {output.digest[:12]})"
        case Many(items):
            return "\n".join(value_text(item, read) for item in items)
        case _:
            return str(binding)


def plain_text(value: object) -> str:
    """Write text as it is and everything else as JSON."""
    if isinstance(value, str):
        return value
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
