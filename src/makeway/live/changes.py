"""Compare how a cluster is set up with how a file wants it, setting by setting.

Takes:   state of the engine; a Setup; who may submit where, as it is in force
Gives:   Changed, in the order of the policy, the queues, the nodes
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from makeway.engine.state import State
from makeway.intake.setup import Setup
from makeway.intake.written import leaves, node_plain, queue_plain, rules_plain
from makeway.live.edited import intended, named
from makeway.model.cluster import Queue
from makeway.model.rules import Rules

# What a queue has where nothing is written.
UNSAID: Mapping[str, object] = {"weight": 1, "borrow": True, "users": None}
Plain = Mapping[str, object]


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """One setting that would change, as files write it; None: it is not set.

    what   `policy`, `queue` or `node`; `name` is the path or the node's
    key    "" where the whole queue or node comes or goes
    """

    what: str
    name: str
    key: str
    old: object
    new: object


def changes(state: State, setup: Setup, users: Mapping[str, tuple[str, ...]]) -> Iterator[Changed]:
    """Name every setting that would change."""
    yield from _policy(state, setup)
    yield from _queues(state, setup, users)
    yield from _nodes(state, setup)


def _policy(state: State, setup: Setup) -> Iterator[Changed]:
    if setup.rules is not None:
        old, new = (dict(leaves(rules_plain(one))) for one in (state.rules, setup.rules))
        yield from _keys("policy", "", old, new)


def _queues(state: State, setup: Setup, users: Mapping[str, tuple[str, ...]]) -> Iterator[Changed]:
    if setup.queues is None:
        return
    rules, queues = intended(state, setup)
    old = {path: _queue(queue, state.rules, users) for path, queue in named(state).items()}
    new = {queue.path: _queue(queue, rules, setup.users) for queue in queues}
    yield from _rows("queue", old, new)


def _queue(queue: Queue, rules: Rules, users: Mapping[str, tuple[str, ...]]) -> Plain:
    plain = {**UNSAID, **queue_plain(queue, rules)}
    return {**plain, "users": [*users[queue.path]]} if queue.path in users else plain


def _nodes(state: State, setup: Setup) -> Iterator[Changed]:
    if setup.nodes is not None:
        there = {**state.nodes, **state.lost}
        old = {name: node_plain(node) for name, node in there.items()}
        yield from _rows("node", old, {node.name: node_plain(node) for node in setup.nodes})


def _rows(what: str, old: Mapping[str, Plain], new: Mapping[str, Plain]) -> Iterator[Changed]:
    for name in dict.fromkeys((*old, *new)):
        if name in old and name in new:
            yield from _keys(what, name, old[name], new[name])
        else:
            before, after = _said(old.get(name)), _said(new.get(name))
            yield Changed(what=what, name=name, key="", old=before, new=after)


def _keys(what: str, name: str, old: Plain, new: Plain) -> Iterator[Changed]:
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key):
            yield Changed(what=what, name=name, key=key, old=old.get(key), new=new.get(key))


def _said(row: Plain | None) -> Plain | None:
    """Leave away what is so anyway."""
    if row is None:
        return None
    return {key: value for key, value in row.items() if key not in UNSAID or value != UNSAID[key]}
