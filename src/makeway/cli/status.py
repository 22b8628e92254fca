"""Say how the service is, and let it end."""

from __future__ import annotations

import time
from pathlib import Path

import click

from makeway.cli.amount_text import amounts_text
from makeway.cli.connect import asked, no_service, opened
from makeway.cli.job_text import at, lasting
from makeway.cli.listing import print_one
from makeway.cli.output import OUTPUT
from makeway.errors import Unavailable, Unreachable
from makeway.wire.cluster import StatusView

GONE_WITHIN_S, LOOK_EVERY_S = 30.0, 0.05


@click.command()
@OUTPUT
@click.pass_context
def status(ctx: click.Context, /, output: str) -> None:
    """Say how the service is, what runs and waits, and as whom you ask."""
    whom = asked(ctx)
    with opened(whom) as desk:
        found = desk.status()
    print_one(found, output, "url", lambda: _show(found, whom.because))


def _show(found: StatusView, because: str) -> None:
    facts = {
        "service": f"{found.url or 'none; the store is read'}  ({because})",
        "version": found.version,
        "process": f"{found.pid}, up for {lasting(found.since_s)} since {at(found.since_s)}",
        "store": f"{found.store} ({found.database})",
        "events": str(found.last_event),
        "nodes": str(found.nodes),
        "jobs": f"{found.running} running, {found.queued} waiting",
        "in use": f"{amounts_text(found.usage) or 'nothing'} of "
        f"{amounts_text(found.capacity) or 'nothing'}",
        "you": f"{found.user}: {', '.join(found.scopes) or 'no scope'}",
        "writing": "" if found.storing else "NOT STORING: what happens is kept in memory",
        "text": found.text,
    }
    for name, text in facts.items():
        if text:
            click.echo(f"{name:<8} {text}")


@click.command()
@click.pass_context
def down(ctx: click.Context, /) -> None:
    """Let the service end; what runs goes on, and the next service finds it again."""
    from makeway.client.local import held

    whom = asked(ctx)
    if whom.url is None:
        raise no_service(whom)
    with opened(whom) as desk:
        before = desk.status()
        desk.stop()
        until = time.monotonic() + GONE_WITHIN_S
        while time.monotonic() < until:
            try:
                gone = desk.status().pid != before.pid
            except Unreachable:
                gone = True
            except Unavailable:
                gone = False  # it is ending
            if gone and not held(Path(before.store)):
                click.echo(f"the service {whom.url} has ended; what runs goes on", err=True)
                return
            time.sleep(LOOK_EVERY_S)
    problem = f"it was told to end, and is still there after {GONE_WITHIN_S:g} s"
    raise Unavailable(problem, where=whom.url, hint="see its log; makeway doctor looks at the rest")
