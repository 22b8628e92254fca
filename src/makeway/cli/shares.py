"""Show the four numbers of every queue: now, over the past, or in a scenario that is played."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from makeway.cli.amount_text import amounts_text
from makeway.cli.connect import asking
from makeway.cli.listing import print_page
from makeway.cli.output import OUTPUT, Column, print_data, print_table
from makeway.cli.why import AT, SCENARIO
from makeway.errors import InvalidInput, NotFound
from makeway.model.units import NAMES, in_units
from makeway.wire.cluster import QueueView
from makeway.wire.page import Page

if TYPE_CHECKING:
    from makeway.wire.desk import Desk

NOTHING = "–"
EMPTY = "there is no queue yet: one comes with its first job, or with a policy file"


class PastShare(msgspec.Struct, frozen=True, kw_only=True):
    """What a queue has used over a span of time, beside what it is worth now.

    `used` is a fraction of what the cluster had, of the kind of which the queue used most;
    `usage` is what it held on the mean.
    """

    path: str
    share: float
    used: float
    usage: dict[str, float]
    over_s: float


@click.command()
@click.argument("path", required=False)
@click.option("--over", metavar="TIME", help="What was used over so long: 12h, 7d.")
@SCENARIO
@AT
@OUTPUT
@click.pass_context
def shares(
    ctx: click.Context,
    /,
    path: str | None,
    over: str | None,
    scenario: str | None,
    at: str | None,
    output: str,
) -> None:
    """Show what every queue's share is, what it is due, uses and asks for."""
    if scenario is not None:
        if over is not None:
            raise click.UsageError("--over is about the past, and a scenario has none")
        _in_scenario(path, scenario, at, output)
        return
    if at is not None:
        raise click.UsageError("--at is for a scenario: give --scenario FILE too")
    with asking(ctx) as desk:
        if over is None:
            found = tuple(desk.shares(path))
            columns = columns_of([one.path for one in found])
            print_page(Page(items=found), columns, output, "path", EMPTY)
            return
        past = _over(desk, path, span_s(over, "--over"))
    columns = past_columns([one.path for one in past])
    print_page(Page(items=past), columns, output, "path", EMPTY)


def columns_of(paths: Sequence[str]) -> tuple[Column, ...]:
    """Give the columns of the four numbers; each queue is indented under its parent."""
    shown = set(paths)
    return (
        Column("queue", lambda one: indented(one.path, shown)),
        Column("share", lambda one: f"{one.share:.1%}"),
        Column("due", lambda one: amounts_text(one.due) or NOTHING),
        Column("usage", lambda one: amounts_text(one.usage) or NOTHING),
        Column("demand", lambda one: amounts_text(one.demand) or NOTHING),
        Column("running", lambda one: str(one.running or NOTHING)),
        Column("waiting", lambda one: str(one.queued or NOTHING)),
        Column("weight", lambda one: f"{one.weight:g}", wide=True),
        Column("share of", lambda one: amounts_text(one.share_of), wide=True),
    )


def past_columns(paths: Sequence[str]) -> tuple[Column, ...]:
    """Give the columns of what was used."""
    shown = set(paths)
    return (
        Column("queue", lambda one: indented(one.path, shown)),
        Column("share", lambda one: f"{one.share:.1%}"),
        Column("used", lambda one: f"{one.used:.1%}"),
        Column("on the mean", lambda one: amounts_text(one.usage) or NOTHING),
    )


def indented(path: str, shown: set[str]) -> str:
    """Write the last name of a path under its parent, or the whole path if that is not shown."""
    parent, _, name = path.rpartition("/")
    return "  " * (parent.count("/") + 1) + name if parent in shown else path


def span_s(text: str, where: str) -> float:
    """Read a span of time that was typed."""
    from makeway.model.units import BadAmount, ms_of

    try:
        span_ms = ms_of(float(text) if text.replace(".", "", 1).isdigit() else text, where)
    except BadAmount as bad:
        raise InvalidInput(bad.problem, where=where) from None
    if not span_ms:
        raise InvalidInput("it must be longer than nothing", where=where)
    return span_ms / 1000


def _over(desk: Desk, path: str | None, over_s: float) -> tuple[PastShare, ...]:
    from makeway.cli.past_usage import past_usage

    now = {one.path: one for one in desk.shares(path)}
    until_ms = time.time_ns() // 1_000_000
    past = past_usage(desk.events(0, follow=False), until_ms - int(over_s * 1000), until_ms)
    below = "" if path is None else path.strip("/")
    known = {
        *now,
        *(one for one in past.held if not below or f"{one}/".startswith(f"{below}/")),
    }
    return tuple(
        _past_share(one, now.get(one), past.held.get(one, {}), past.there, over_s)
        for one in sorted(known)
    )


def _past_share(
    path: str,
    now: QueueView | None,
    held: dict[str, float],
    there: dict[str, float],
    over_s: float,
) -> PastShare:
    parts = [amount / there[kind] for kind, amount in held.items() if there.get(kind)]
    return PastShare(
        path=path,
        share=0.0 if now is None else now.share,
        used=max(parts, default=0.0),
        usage={NAMES.get(kind, kind): in_units(kind, amount) for kind, amount in held.items()},
        over_s=over_s,
    )


def _in_scenario(path: str | None, scenario: str, at: str | None, output: str) -> None:
    from makeway.cli.scenario_view import queue_rows
    from makeway.cli.simulate import world_at
    from makeway.sim.outcome import queues_of

    rows = queues_of(world_at(scenario, at))
    if path is not None:
        rows = [row for row in rows if f"{row['path']}/".startswith(f"{path.strip('/')}/")]
        if not rows:
            raise NotFound(f"there is no queue {path!r} at that time")
    match output:
        case "table" | "wide":
            print_table(["QUEUE", "SHARE", "DUE", "USAGE", "DEMAND"], queue_rows(rows))
        case "name":
            for row in rows:
                click.echo(row["path"])
        case "jsonl":
            for row in rows:
                click.echo(msgspec.json.encode(row))
        case _:
            print_data(rows, output)
