"""Sum a run up when it is over: what was selected and why, and what the run gives back."""

from __future__ import annotations

import click
import msgspec

from makeway.cli.view import RunView
from makeway.model.workflow import Binding, Constant, Failure, Many, Selection, Stored
from makeway.store.blobs import Blobs


def print_summary(view: RunView, blobs: Blobs) -> None:
    """Print it to standard output: this is what was asked for."""
    for step in view.steps:
        if step.selection is not None:
            click.echo(selection_text(step.key, step.selection))
    if view.result is not None:
        click.echo(value_text(view.result, blobs))


def selection_text(key: str, selection: Selection) -> str:
    """Write a ranking with its losers and the reason for each."""
    least = "" if selection.minimum is None else f", at least {selection.minimum:g}"
    again = f" (version {selection.version})" if selection.version > 1 else ""
    lines = [f"{key}: the best {selection.k} by {selection.metric}{least}{again}"]
    width = max(len(ranked.candidate) for ranked in selection.ranking)
    for ranked in selection.ranking:
        place = f"{ranked.place}." if ranked.place else "–"
        value = "" if ranked.value is None else f"{ranked.value:.4f}"
        word = "chosen" if ranked.chosen else "not chosen"
        lines.append(
            f"  {place:<3} {ranked.candidate:<{width}}  {value:<8} {word}: {ranked.why}".rstrip()
        )
    return "\n".join(lines) + "\n"


def value_text(binding: Binding, blobs: Blobs) -> str:
    """Write a value for a person: text as it is, plain values as JSON, others by their kind."""
    match binding:
        case Constant(value):
            return plain_text(value)
        case Stored(output) if output.codec == "json":
            return plain_text(msgspec.json.decode(blobs.read(output.digest)))
        case Stored(output):
            name = f" {output.name}" if output.name else ""
            what = f"{output.codec}, {output.size_bytes} bytes, {output.digest[:12]}"
            return f"{output.kind}{name} ({what})"
        case Failure(step, text):
            return f"{step} gave nothing: {text}"
        case Many(items):
            return "\n".join(value_text(item, blobs) for item in items)
        case _:
            return str(binding)


def plain_text(value: object) -> str:
    """Write text as it is and everything else as JSON."""
    if isinstance(value, str):
        return value
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
