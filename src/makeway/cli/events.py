"""Print the log itself: every fact, in order, of everything or of one run, step or job."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from makeway.cli.connect import Asked, asked, opened
from makeway.cli.news import News, in_peace
from makeway.cli.output import OUTPUT, clock
from makeway.errors import NotFound
from makeway.model.event import Entry

LOOK_EVERY_S = 0.2
BRIEF = 160


@click.command()
@click.argument("wanted", metavar="[ID]", required=False)
@click.option("-w", "--watch", is_flag=True, help="Go on as things happen; Ctrl-C ends it.")
@OUTPUT
@click.pass_context
def events(ctx: click.Context, /, wanted: str | None, watch: bool, output: str) -> None:
    """Print all that happened, one fact a line, with the number of the fact that it follows from.

    ID names a job, a run or a step. Data formats other than `table` print one JSON object a line.
    """
    whom = asked(ctx)
    with in_peace("stopped watching; everything goes on."):
        told = _of_the_store if whom.url is None else _of_a_service
        for entry in told(whom, wanted, watch=watch):
            if output in ("table", "wide"):
                click.echo(_line(entry))
            elif output == "name":
                click.echo(str(entry.seq))
            else:
                click.echo(msgspec.json.encode(entry))
            if watch:
                sys.stdout.flush()


def _of_a_service(whom: Asked, wanted: str | None, *, watch: bool) -> Iterator[Entry]:
    with opened(whom) as desk:
        chosen = None
        if wanted is not None:
            try:
                chosen = desk.job(wanted).id
            except NotFound:
                # A run has no page of its own yet; its id is in its events.
                chosen = wanted
        found = False
        last = desk.status().last_event
        for entry in desk.events(0, follow=False):
            if chosen is None or _about(entry, chosen):
                found = True
                yield entry
            last = max(last, entry.seq)
        if chosen is not None and not found:
            raise NotFound(f"nothing has happened to {chosen!r}", hint="see: makeway jobs")
    if not watch:
        return
    news = News(whom, last)
    while not news.over:
        fresh = news.next()
        if fresh is not None and (chosen is None or _about(fresh, chosen)):
            yield fresh


def _of_the_store(whom: Asked, wanted: str | None, *, watch: bool) -> Iterator[Entry]:
    from makeway.store.database import Database
    from makeway.store.log import Log

    database = Database.open(Path(whom.store), read_only=True)
    try:
        chosen = None if wanted is None else _resolve(database, wanted)
        log, last = Log(database), 0
        while True:
            for entry in log.read(last):
                last = entry.seq
                if chosen is None or _about(entry, chosen):
                    yield entry
            if not watch:
                return
            time.sleep(LOOK_EVERY_S)
    finally:
        database.close()


def _resolve(database: object, text: str) -> str:
    from makeway.store.database import Database
    from makeway.store.resolve import resolve_execution, resolve_run

    assert isinstance(database, Database), "it was opened as one"
    try:
        return resolve_run(database, text)
    except NotFound:
        return resolve_execution(database, text)


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
