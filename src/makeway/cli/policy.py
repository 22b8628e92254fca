"""Try a policy file: say whether it is right, and what it would change."""

from __future__ import annotations

import click
import msgspec

from makeway.cli.itemfile import read_items
from makeway.cli.output import OUTPUT, print_data, print_table
from makeway.cli.simulate import instant, open_world, run_to
from makeway.errors import InvalidInput
from makeway.intake.setup import KEYS, Setup, setup_of
from makeway.live.changes import Changed
from makeway.live.preview import Consequence, Moved, Preview, preview
from makeway.model.rules import LIVE, Rules

NOTHING = "–"
SAYS = {
    "start": "would start now",
    "reserve": "would start when its victims have left",
    "evict": "would be evicted",
    "grow": "would grow",
    "shrink": "would shrink",
    "refuse": "would be refused",
    "lose": "would lose a node",
    "wait": "would not start now",
    "keep": "would be left alone",
}


@click.group()
def policy() -> None:
    """Try a policy file before it is applied."""


@policy.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--scenario", metavar="FILE", help="Say what it would change in this scenario.")
@click.option("--at", metavar="TIME", help="Change it at this instant; default: the end.")
@OUTPUT
def check(file: str, scenario: str | None, at: str | None, output: str) -> None:
    """Check FILE, and say what would change if it were applied.

    FILE is YAML or TOML with `policy`, `queues` and `nodes`, written as in a scenario
    (docs/scenarios.md) or in the configuration (docs/operations.md). What it does not name stays.
    """
    if scenario is None:
        if at is not None:
            raise InvalidInput("--at is an instant of a scenario", hint="name one: --scenario FILE")
        _print_setup(read_setup(file, LIVE), file, output)
        return
    _, world = open_world(scenario, None)
    end_ms = instant(at)
    if end_ms is None:
        world.run()
    else:
        run_to(world, end_ms)
    state = world.engine.state
    found = preview(state, read_setup(file, state.rules), world.now_ms)
    if output in ("table", "wide"):
        print_preview(found)
    else:
        print_data(found, output)


def read_setup(file: str, rules: Rules) -> Setup:
    """Read a policy file; `rules` are those in force, which hold where it names none."""
    from makeway.policy.choose import POLICIES

    item = read_items(file)
    if item.value in (None, {}):
        raise item.wrong("the file is empty; a policy file has policy, queues or nodes")
    return setup_of(item.fields(KEYS, "a policy file"), tuple(POLICIES), rules)


def _print_setup(setup: Setup, file: str, output: str) -> None:
    from makeway.intake.written import plain_of

    if output not in ("table", "wide"):
        print_data(plain_of(setup), output)
        return
    parts = [] if setup.rules is None else [f"the policy {setup.rules.name}"]
    for name, rows in (("queue", setup.queues), ("node", setup.nodes)):
        if rows is not None:
            parts.append(f"{len(rows)} {name}{'' if len(rows) == 1 else 's'}")
    click.echo(f"{file} is right: {', '.join(parts) or 'it says nothing'}")


def print_preview(found: Preview) -> None:
    """Write for people what would change; without a change, that there is none."""
    if found == Preview():
        click.echo("nothing would change")
        return
    for title, names, rows in (
        ("settings", ("setting", "now", "then"), [_changed(one) for one in found.changes]),
        ("jobs", ("job", "queue", "what"), [_job(one) for one in found.consequences]),
        (
            "queues",
            ("queue", "share", "then", "due", "then"),
            [_queue(one) for one in found.shares],
        ),
    ):
        if rows:
            print_table(names, rows)
        else:
            click.echo(f"no change for {title}")
        click.echo()


def _changed(one: Changed) -> list[str]:
    name = " ".join(part for part in (one.what, one.name, one.key) if part)
    now, then = (_value(value) if one.key else _whole(value) for value in (one.old, one.new))
    return [name, now, then]


def _whole(value: object) -> str:
    """Say of a whole queue or node what is not as it is anyway, or that it is there."""
    return "there" if value == {} else _value(value)


def _job(one: Consequence) -> list[str]:
    text = SAYS[one.kind]
    if one.kind in ("grow", "shrink"):
        text += f" from {one.before} to {one.workers} workers"
    if one.beneficiary is not None:
        text += f" for {one.beneficiary} ({one.rule})"
    return [one.job, one.queue, text + (f": {one.text}" if one.text else "")]


def _queue(one: Moved) -> list[str]:
    shares = (one.share_before, one.share_after)
    parts = [NOTHING if share is None else f"{share:.1%}" for share in shares]
    return [one.path, *parts, _value(one.due_before), _value(one.due_after)]


def _value(value: object) -> str:
    if value is None or value == {}:
        return NOTHING
    if isinstance(value, dict):
        return " ".join(f"{key} {_value(one)}" for key, one in value.items())
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
