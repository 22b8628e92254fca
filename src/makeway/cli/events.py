"""Print the log itself: every fact, in order, of everything or of one run, step or job."""

from __future__ import annotations

import time
from collections.abc import Iterator

import click
import msgspec

from makeway.cli.history import opened
from makeway.cli.output import OUTPUT, clock
from makeway.errors import NotFound
from makeway.model.event import Entry
from makeway.store.database import Database
from makeway.store.log import Log
from makeway.store.resolve import resolve_execution, resolve_run

LOOK_EVERY_S = 0.2
BRIEF = 160


@click.command()
@click.argument("wanted", metavar="[RUN|STEP]", required=False)
@click.option("-w", "--watch", is_flag=True, help="Go on as things happen; Ctrl-C ends it.")
@OUTPUT
@click.pass_context
def events(ctx: click.Context, /, wanted: str | None, watch: bool, output: str) -> None:
    """Print all that happened, one fact a line, with the number of the fact that it follows from.

    Data formats other than `table` print one JSON object a line.
    """
    with opened(ctx) as database:
        chosen = None if wanted is None else _resolve(database, wanted)
        for entry in _entries(Log(database), follow=watch):
            if chosen is None or _about(entry, chosen):
                click.echo(
                    _line(entry) if output in ("table", "wide") else msgspec.json.encode(entry)
                )


def _resolve(database: Database, text: str) -> str:
    try:
        return resolve_run(database, text)
    except NotFound:
        return resolve_execution(database, text)


def _entries(log: Log, *, follow: bool) -> Iterator[Entry]:
    last = 0
    while True:
        for entry in log.read(last):
            last = entry.seq
            yield entry
        if not follow:
            return
        time.sleep(LOOK_EVERY_S)


def _about(entry: Entry, chosen: str) -> bool:
    for name in ("run", "execution", "job"):
        value = getattr(entry.event, name, None)
        if isinstance(value, str) and (value == chosen or value.startswith(f"{chosen}.")):
            return True
    return False


def _line(entry: Entry) -> str:
    fields = msgspec.to_builtins(entry.event)
    kind = fields.pop("type")
    brief = " ".join(f"{name}={_brief(value)}" for name, value in fields.items() if value)
    cause = f"← {entry.cause}" if entry.cause else ""
    return f"{entry.seq:>6} {cause:<8} {clock(entry.at_ms)}  {kind:<20} {brief}".rstrip()


def _brief(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= BRIEF else text[: BRIEF - 1] + "…"
