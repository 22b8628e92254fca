"""Show a cluster as if it were set up otherwise: an edited copy, and the events that would make it so.

Takes:   state of the engine, which is only read; a Setup
Gives:   Snapshot for a decision that is only tried; events
Holds:   nothing of the state changes
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from makeway.engine.past import Past, wanted
from makeway.engine.presence import configure
from makeway.engine.state import State
from makeway.intake.queues import under
from makeway.intake.setup import Setup
from makeway.model.cluster import ROOT, Node, Queue
from makeway.model.event import (
    Event,
    FailuresConfigured,
    NodeDrained,
    NodeJoined,
    NodeRemoved,
    NodeUndrained,
    QueuesConfigured,
    RulesConfigured,
)
from makeway.model.rules import Rules
from makeway.policy.rooms import Rooms
from makeway.policy.snapshot import Running, Snapshot
from makeway.policy.why import with_node, without

# Why a machine drains that a setup does not name any more.
LEAVING = "it is being taken out"


def in_force(state: State, users: Mapping[str, tuple[str, ...]]) -> Setup:
    """Give what a file would say that sets policy and share tree up as they are now."""
    queues = tuple(named(state).values())
    return Setup(rules=state.rules, queues=queues, users=dict(users))


def facts_of(state: State, setup: Setup) -> tuple[Event, ...]:
    """Give the events by which a cluster becomes what a setup says; none for what is so already."""
    rules, queues = intended(state, setup)
    facts: list[Event] = []
    if rules != state.rules:
        facts.append(RulesConfigured(rules=rules))
    if {queue.path: queue for queue in queues} != named(state):
        facts.append(QueuesConfigured(queues=queues))
    if setup.failures is not None and setup.failures != state.failures:
        facts.append(FailuresConfigured(failures=setup.failures))
    if setup.nodes is not None:
        facts += _moved(state, setup.nodes)
    return tuple(facts)


def _moved(state: State, nodes: Sequence[Node]) -> Iterator[Event]:
    """Let machines come, change and go; whether one drains is not a file's business.

    Where anything runs, it has to leave first: a machine that is forgotten before its workers are
    gone would let them go on beside those that take their place. So the last facts come later.
    """
    there = {**state.nodes, **state.draining}
    for node in nodes:
        known = there.get(node.name)
        if known is None or (known.capacity, known.labels) != (node.capacity, node.labels):
            yield NodeJoined(node=node)
        if known is not None and known.drain_text == LEAVING:
            yield NodeUndrained(name=node.name)
    names = {node.name for node in nodes}
    for name in (*there, *state.lost):
        if name in names:
            continue
        if name in state.lost or not _works(state, name):
            yield NodeRemoved(name=name)
        elif there[name].drain_text != LEAVING:
            yield NodeDrained(name=name, text=LEAVING, evict=True)


def _works(state: State, node: str) -> bool:
    """Say whether anything holds a place on a machine."""
    rows = (row for one in state.running.values() for row in one.allocation.placements)
    return any(row.node == node for row in rows)


def intended(state: State, setup: Setup) -> tuple[Rules, tuple[Queue, ...]]:
    """Give rules and share tree as they would be; what is not said stays."""
    rules = state.rules if setup.rules is None else setup.rules
    tree = named(state)
    if setup.queues is None:
        return rules, under(tree.values(), state.rules, rules)
    kept = {path: queue.past_usage for path, queue in tree.items()}
    return rules, tuple(
        queue
        if queue.past_usage
        else replace(queue, past_usage=kept.get(queue.path, queue.past_usage))
        for queue in setup.queues
    )


def named(state: State) -> dict[str, Queue]:
    """Give the queues that were set, by path."""
    return {path: queue for path, queue in state.declared.items() if path != ROOT}


def edited(state: State, setup: Setup, now_ms: int) -> tuple[Snapshot, list[Running]]:
    """Show the world as if it were set up so, and give who would lose a node."""
    rules, queues = intended(state, setup)
    after = copy.copy(state)  # what is set below is the copy's own; all else is only read
    after.past = _past(state, rules, queues, now_ms)
    after.rules = rules
    configure(after, queues)
    snapshot = after.snapshot(now_ms)
    return (snapshot, []) if setup.nodes is None else _with_nodes(snapshot, setup.nodes)


def _past(state: State, rules: Rules, queues: Sequence[Queue], now_ms: int) -> Past | None:
    """Give the past as it would count from now on."""
    if not wanted(rules.usage):
        return None
    if state.past is None:
        past, told = Past(half_life_ms=rules.usage.half_life_ms), queues
    else:
        past, tree = copy.deepcopy(state.past), named(state)
        told = tuple(
            queue
            for queue in queues
            if queue.path not in tree or queue.past_usage != tree[queue.path].past_usage
        )
        past.decay(rules.usage.half_life_ms, now_ms)
    past.start(told, now_ms)
    return past


def _with_nodes(snapshot: Snapshot, nodes: Sequence[Node]) -> tuple[Snapshot, list[Running]]:
    """Show other nodes: a node that is down stays so, and who is on one that goes is gone as well."""
    wanted_now = {node.name: node for node in nodes if node.name not in snapshot.lost}
    gone = snapshot.nodes.keys() - wanted_now.keys()
    losers = [
        row
        for row in snapshot.running.values()
        if any(one.node in gone for one in row.allocation.placements)
    ]
    for row in losers:
        snapshot = without(snapshot, row)
    free = {
        name: room + wanted_now[name].capacity - snapshot.nodes[name].capacity
        for name, room in snapshot.free.items()
        if name not in gone
    }
    snapshot = replace(
        snapshot,
        nodes={name: wanted_now[name] for name in snapshot.nodes if name not in gone},
        free=free,
        rooms=Rooms(free),
        reserved={
            name: kept
            for name, kept in snapshot.reserved.items()
            if not any(row.node in gone for row in kept.placements)
        },
    )
    for name, node in wanted_now.items():
        if name not in snapshot.nodes:
            snapshot = with_node(snapshot, node)
    return snapshot, losers
