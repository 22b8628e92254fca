"""List the machines, and say what may start on them."""

from __future__ import annotations

import click

from makeway.cli.amount_text import amounts_text
from makeway.cli.connect import asking, ordering
from makeway.cli.listing import print_one, print_page
from makeway.cli.output import OUTPUT, Column
from makeway.errors import InvalidInput
from makeway.policy.say import count_of
from makeway.wire.cluster import Drain, NodeView
from makeway.wire.page import Page

NOTHING = "–"
EMPTY = "there is no machine yet; add one with: makeway nodes add NAME --cpus N"
NODES = (
    Column("node", lambda node: node.name),
    Column("state", lambda node: node.state),
    Column("free", lambda node: amounts_text(node.free) or "nothing"),
    Column("of", lambda node: amounts_text(node.capacity) or "nothing"),
    Column("jobs", lambda node: str(len(node.jobs) or NOTHING)),
    Column("labels", lambda node: labels_text(node) or NOTHING, wide=True),
    Column("job ids", lambda node: ", ".join(node.jobs) or NOTHING, wide=True),
    Column("text", lambda node: node.text),
)
NAME = click.argument("name")


@click.group(invoke_without_command=True)
@OUTPUT
@click.pass_context
def nodes(ctx: click.Context, /, output: str) -> None:
    """List the machines: what each has, what of it is free, and whether it may be used."""
    if ctx.invoked_subcommand is not None:
        return
    with asking(ctx) as desk:
        found = tuple(desk.nodes())
    print_page(Page(items=found), NODES, output, "name", EMPTY)


@nodes.command()
@NAME
@click.option("--evict", is_flag=True, help="Send away what runs there; else it ends in peace.")
@click.option("--text", default="", help="Why, for whoever asks.")
@OUTPUT
@click.pass_context
def drain(ctx: click.Context, /, name: str, evict: bool, text: str, output: str) -> None:
    """Let nothing new start on a machine."""
    with ordering(ctx) as desk:
        _print(desk.drain(name, Drain(evict=evict, text=text)), output)


@nodes.command()
@NAME
@OUTPUT
@click.pass_context
def undrain(ctx: click.Context, /, name: str, output: str) -> None:
    """Let a drained machine work again."""
    with ordering(ctx) as desk:
        _print(desk.undrain(name), output)


@nodes.command()
@NAME
@click.option("--cpus", type=float, required=True, help="Processors.")
@click.option("--memory", metavar="SIZE", default="0", help="Memory: 64GiB.")
@click.option("--gpus", type=float, default=0, help="GPUs.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Such as rack=r1.")
@OUTPUT
@click.pass_context
def add(
    ctx: click.Context,
    /,
    name: str,
    cpus: float,
    memory: str,
    gpus: float,
    labels: tuple[str, ...],
    output: str,
) -> None:
    """Let a machine take part, or change what it has."""
    body: dict[str, object] = {"name": name, "cpus": cpus, "memory": memory, "gpus": gpus}
    if labels:
        body["labels"] = dict(_label(text) for text in labels)
    with ordering(ctx) as desk:
        _print(desk.add_node(body), output)


@nodes.command()
@NAME
@OUTPUT
@click.pass_context
def remove(ctx: click.Context, /, name: str, output: str) -> None:
    """Take a machine out; what runs there leaves first, as for a drain, and queues again."""
    with ordering(ctx) as desk:
        gone = desk.remove_node(name)
    print_one(gone, output, "name", lambda: click.echo(_gone_text(gone)))


def _gone_text(node: NodeView) -> str:
    if node.state == "removed":
        return f"{node.name} takes no part any more"
    jobs = count_of(len(node.jobs), "job")
    return f"{node.name} goes when {jobs} on it {'has' if len(node.jobs) == 1 else 'have'} left"


def labels_text(node: NodeView) -> str:
    """Write the labels of a machine."""
    return ", ".join(f"{key}={value}" for key, value in node.labels.items())


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise InvalidInput(f"{text!r} is no label", where="--label", hint="write KEY=VALUE")
    return key, value


def _print(node: NodeView, output: str) -> None:
    said = f": {node.text}" if node.text else ""
    print_one(node, output, "name", lambda: click.echo(f"{node.name} is {node.state}{said}"))
