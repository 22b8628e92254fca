"""Say what data sets add to a metric, and which models no other one outdoes."""

from __future__ import annotations

import click

from makeway.cli.connect import asking
from makeway.cli.job_text import NOTHING
from makeway.cli.listing import print_page
from makeway.cli.output import OUTPUT, Column
from makeway.wire.page import Page
from makeway.wire.worth import PAIRS_MIN, DatasetView, ModelView, WorthWanted

SHOWN = 12
TOO_FEW = "too few"


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4g}"


def _lift(one: DatasetView) -> str:
    lift = one.lift
    if lift.mean is None or lift.low is None or lift.high is None:
        return TOO_FEW
    return f"{lift.mean:+.4g} ({lift.low:+.4g} to {lift.high:+.4g})"


DATASETS = (
    Column("rank", lambda one: NOTHING if one.rank is None else str(one.rank)),
    Column("data set", lambda one: one.name),
    Column("digest", lambda one: one.digest[:SHOWN]),
    Column("runs", lambda one: str(one.runs)),
    Column("selected", lambda one: str(one.selected)),
    Column("metric", lambda one: one.metric),
    Column("mean", lambda one: _number(one.mean)),
    Column("lift", _lift),
    Column("pairs", lambda one: str(one.lift.n)),
)
MODELS = (
    Column("model", lambda one: one.name),
    Column("digest", lambda one: one.digest[:SHOWN]),
    Column("made by", lambda one: one.made_by or NOTHING),
    Column("metric", lambda one: f"{one.metric} {_number(one.value)}"),
    Column("cost", lambda one: f"{_number(one.cost_worker_s)} worker s"),
    Column("latency", lambda one: _number(one.latency)),
    Column("selected", lambda one: "yes" if one.selected else "no"),
    Column("data", lambda one: ", ".join(each.name for each in one.datasets) or NOTHING),
)


@click.command()
@click.option("--metric", metavar="NAME", help="By which metric.  [default: the selections']")
@click.option(
    "--mode",
    type=click.Choice(("max", "min")),
    help="What of it is better.  [default: as selected]",
)
@OUTPUT
@click.pass_context
def datasets(ctx: click.Context, /, metric: str | None, mode: str | None, output: str) -> None:
    """Say of each data set how many runs read it, how many of their models were selected, what it adds.

    The lift is the mean difference to siblings: steps with the same code, parameters and other
    inputs, but another data set in its place; with the interval that holds it in 95 of 100 cases. Of
    fewer than 5 such pairs there is no lift and no rank.
    """
    with asking(ctx) as desk:
        found = desk.datasets(WorthWanted(metric=metric, mode=mode))
    print_page(Page(items=tuple(found)), DATASETS, output, "digest", "no data set is on record")
    if output == "table" and any(one.rank is None for one in found):
        click.echo(f"{TOO_FEW}: fewer than {PAIRS_MIN} pairs of siblings", err=True)


def print_models(ctx: click.Context, wanted: WorthWanted, output: str) -> None:
    """Print the models that no other outdoes."""
    with asking(ctx) as desk:
        found = desk.models(wanted)
    best = tuple(one for one in found if one.pareto)
    empty = "no model that fulfils that has a value of the metric"
    page: Page[ModelView] = Page(items=best)
    print_page(page, MODELS, output, "digest", empty)
    if output in ("table", "wide") and len(found) > len(best):
        click.echo(f"{len(found) - len(best)} others are outdone by one of these", err=True)
