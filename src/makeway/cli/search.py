"""Find runs, steps, models, data sets and artifacts by what is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import click

from makeway.cli.connect import asking
from makeway.cli.job_text import NOTHING, at
from makeway.cli.output import OUTPUT, Column, print_data, print_list
from makeway.lineage.query import Name, parse_name
from makeway.wire.page import PAGE, PAGE_MAX
from makeway.wire.search import KINDS, Found, FoundItem, SearchWanted
from makeway.wire.worth import WorthWanted

DIGEST_SHOWN = 12
SHOWN = 4  # of a program's metrics, in a line


def _id(one: FoundItem) -> str:
    return (
        one.id[:DIGEST_SHOWN] if one.submitted_s is None or one.size_bytes is not None else one.id
    )


def _pairs(values: object) -> str:
    assert isinstance(values, dict)
    return "  ".join(f"{name} {_text(value)}" for name, value in values.items()) or NOTHING


def own(metrics: Mapping[str, float]) -> dict[str, float]:
    """Leave out what agents measure: a program's own metrics are what one compares."""
    return {name: value for name, value in metrics.items() if not name.startswith("system/")}


def _few(values: dict[str, float]) -> str:
    shown = dict(list(values.items())[:SHOWN])
    more = len(values) - len(shown)
    return _pairs(shown) + (f"  and {more} more" if more else "")


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return NOTHING if value is None else str(value)


ALWAYS = (Column("id", _id), Column("name", lambda one: one.name))
STATE = (
    Column("state", lambda one: one.state),
    Column("submitted", lambda one: at(one.submitted_s)),
    Column("user", lambda one: one.user or NOTHING, wide=True),
    Column("queue", lambda one: one.queue or NOTHING, wide=True),
)
KNOWN = (
    Column("metrics", lambda one: _few(own(one.metrics))),
    Column("all metrics", lambda one: _pairs(one.metrics), wide=True),
    Column("params", lambda one: _pairs(one.params), wide=True),
    Column("tags", lambda one: _pairs(one.tags), wide=True),
    Column("data", lambda one: ", ".join(d.name for d in one.datasets) or NOTHING, wide=True),
    Column("cause", lambda one: one.cause or NOTHING),
    Column("text", lambda one: one.text, wide=True),
)
MADE = (
    Column("made by", lambda one: one.made_by or NOTHING),
    Column("made", lambda one: at(one.submitted_s)),
    Column("bytes", lambda one: str(one.size_bytes)),
)


@click.command()
@click.argument("query", default="")
@click.option(
    "--kind", type=click.Choice(KINDS), default="runs", show_default=True, help="What to find."
)
@click.option(
    "--order-by",
    "orders",
    metavar="NAME [ASC|DESC]",
    multiple=True,
    help="What comes first, such as 'metrics.loss ASC'; may be repeated.  [default: the newest]",
)
@click.option("--columns", metavar="NAME,…", help="What to show of each, such as params.lr.")
@click.option("--limit", type=click.IntRange(1, PAGE_MAX), default=PAGE, show_default=True)
@click.option("--cursor", metavar="TEXT", help="Go on behind a page: its next_cursor.")
@click.option("--all", "whole", is_flag=True, help="All of them, not the first page alone.")
@click.option("--pareto", is_flag=True, help="Of models: only those that no other outdoes.")
@click.option(
    "--metric", metavar="NAME", help="By which; with --pareto.  [default: the selection's]"
)
@click.option("--count", is_flag=True, help="Say how many there are, and nothing of them.")
@OUTPUT
@click.pass_context
def search(
    ctx: click.Context,
    /,
    query: str,
    *,
    kind: str,
    orders: Sequence[str],
    columns: str | None,
    limit: int,
    cursor: str | None,
    whole: bool,
    count: bool,
    pareto: bool,
    metric: str | None,
    output: str,
) -> None:
    r"""Find what fulfils QUERY, the newest first; without a QUERY, everything.

    \b
    metrics.accuracy > 0.9 AND params.lr < 0.1      of one step or run
    failure.cause = 'OOM_HOST' AND steps.name = 'train'
    metrics.loss.min < 0.2 OR tags.team LIKE 'nlp%'
    datasets.name = 'towns' AND NOT attributes.state = 'failed'

    docs/search.md describes the language.
    """
    if pareto or metric:
        from makeway.cli.worth import print_models

        if kind != "models" or not pareto:
            raise click.UsageError("--pareto compares models: --kind models --pareto")
        print_models(ctx, WorthWanted(metric=metric, query=query), output)
        return
    names = tuple(name.strip() for name in (columns or "").split(",") if name.strip())
    wanted = SearchWanted(
        query=query, kind=kind, order_by=tuple(orders), columns=names,
        limit=1 if count else limit, cursor=cursor,
    )  # fmt: skip
    with asking(ctx) as desk:
        found = desk.search(wanted)
        items = list(found.items)
        while whole and found.next_cursor is not None:
            found = desk.search(_behind(wanted, found.next_cursor))
            items += found.items
    if count:
        click.echo(found.total)
        return
    _print(
        Found(items=tuple(items), next_cursor=found.next_cursor, total=found.total), wanted, output
    )


def _behind(wanted: SearchWanted, cursor: str) -> SearchWanted:
    import msgspec

    return msgspec.structs.replace(wanted, cursor=cursor)


def _print(found: Found, wanted: SearchWanted, output: str) -> None:
    if output in ("json", "yaml"):
        print_data(found, output)
    elif found.items or output not in ("table", "wide"):
        print_list(found.items, _columns(wanted), output, "id")
    if not found.items:
        click.echo(f"none of the {wanted.kind} fulfil that", err=True)
    elif found.next_cursor is not None:
        told = f"{len(found.items)} of {found.total}; --all prints them all"
        click.echo(told, err=True)


def _columns(wanted: SearchWanted) -> Sequence[Column]:
    if wanted.columns:
        shown = (Column(name, partial(_value, parse_name(name))) for name in wanted.columns)
        return (*ALWAYS, *shown)
    made = wanted.kind in ("models", "datasets", "artifacts")
    return (*ALWAYS, *(MADE if made else STATE), *KNOWN)


def _value(name: Name, one: FoundItem) -> str:
    key = name.name
    match name.prefix:
        case "metrics":
            return _text(one.metrics.get(key))
        case "params":
            return _text(one.params.get(key))
        case "tags":
            return _text(one.tags.get(key))
        case "datasets":
            return ", ".join(each.name for each in one.datasets) or NOTHING
        case "failure":
            return one.cause or NOTHING
        case _:
            return _text(getattr(one, key, None))
