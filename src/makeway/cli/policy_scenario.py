"""Try a policy file without any service: whether it is right, and what it changes in a scenario."""

from __future__ import annotations

from makeway.cli.itemfile import read_items
from makeway.cli.simulate import instant, open_world, run_to
from makeway.intake.setup import KEYS, Setup, setup_of
from makeway.live.foreseen import foreseen
from makeway.live.preview import preview
from makeway.model.rules import Rules
from makeway.policy.say import count_of
from makeway.wire.cluster import PreviewView


def tried(file: str, scenario: str, at: str | None) -> PreviewView:
    """Say what would change if the file were applied at that instant, or at the end."""
    _, world = open_world(scenario, None)
    end_ms = instant(at)
    if end_ms is None:
        world.run()
    else:
        run_to(world, end_ms)
    state = world.engine.state
    return foreseen(preview(state, read_setup(file, state.rules), world.now_ms))


def read_setup(file: str, rules: Rules) -> Setup:
    """Read a policy file; `rules` are those in force, which hold where it names none."""
    from makeway.policy.choose import POLICIES

    item = read_items(file)
    if item.value in (None, {}):
        raise item.wrong("the file is empty; a policy file has policy, queues or nodes")
    return setup_of(item.fields(KEYS, "a policy file"), tuple(POLICIES), rules)


def said_to_be_right(setup: Setup, file: str) -> str:
    """Say of a file that is right what is in it."""
    parts = [] if setup.rules is None else [f"the policy {setup.rules.name}"]
    for name, rows in (("queue", setup.queues), ("node", setup.nodes)):
        if rows is not None:
            parts.append(count_of(len(rows), name))
    return f"{file} is right: {', '.join(parts) or 'it says nothing'}"
