"""Print the history of decisions: who was started, resized and evicted, for whom, by which rule."""

from __future__ import annotations

import time

import click

from makeway.cli.connect import asking
from makeway.cli.job_text import NOTHING, at
from makeway.cli.listing import every, print_page
from makeway.cli.output import OUTPUT, Column
from makeway.cli.shares import span_s
from makeway.wire.cluster import DecisionView


def _rule(one: DecisionView) -> str:
    """Give the rule, unless the sentence says it already."""
    return NOTHING if not one.rule or one.text.endswith(one.rule) else one.rule


EMPTY = "nothing was decided in that time"
DECISIONS = (
    Column("seq", lambda one: str(one.seq)),
    Column("at", lambda one: at(one.at_s)),
    Column("decision", lambda one: one.kind),
    Column("job", lambda one: one.job),
    Column("for", lambda one: one.beneficiary or NOTHING),
    Column("rule", _rule),
    Column("lost", lambda one: f"{one.lost_worker_s:g} s" if one.lost_worker_s else NOTHING),
    Column("cause", lambda one: one.cause or NOTHING, wide=True),
    Column("text", lambda one: one.text),
)


@click.command()
@click.option("--since", metavar="TIME", help="Only those of the last 30m, 12h, 7d.")
@click.option("--job", metavar="ID", help="Only those about this job.")
@click.option("--all", "whole", is_flag=True, help="All of them, not the latest page alone.")
@OUTPUT
@click.pass_context
def decisions(
    ctx: click.Context, /, since: str | None, job: str | None, whole: bool, output: str
) -> None:
    """List what was decided, the newest first: who evicted whom, by which rule, at what cost."""
    since_s = None if since is None else time.time() - span_s(since, "--since")
    with asking(ctx) as desk:
        chosen = None if job is None else desk.job(job).id
        if whole or since_s is not None:
            page = every(lambda cursor: desk.decisions(since_s, chosen, cursor))
        else:
            page = desk.decisions(since_s, chosen)
    print_page(page, DECISIONS, output, "seq", EMPTY)
