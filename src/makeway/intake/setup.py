"""Read how a cluster is set up: `policy`, `queues` and `nodes`, of a file of their own or a whole one.

What is not named stays as it is, so each part may be None. The share tree is one thing: who names
queues names all of them.

Takes:   an `Item`, a mapping with these keys; the names of the policies; the rules in force
Gives:   Setup
Raises:  InvalidInput, with the place
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from makeway.intake.located import Item, option
from makeway.intake.nodes import nodes_of
from makeway.intake.queues import check_guarantees, queues_of
from makeway.intake.rules import rules_of
from makeway.model.cluster import Node, Queue
from makeway.model.rules import LIVE, Rules
from makeway.model.ruling import FailureRules

KEYS = ("policy", "queues", "nodes")


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says of a cluster; None: it says nothing of that.

    users    who may submit, by the path of each queue that names them
    """

    rules: Rules | None = None
    queues: tuple[Queue, ...] | None = None
    users: dict[str, tuple[str, ...]] = {}
    nodes: tuple[Node, ...] | None = None
    failures: FailureRules | None = None


def setup_of(fields: Mapping[str, Item], names: Sequence[str], rules: Rules = LIVE) -> Setup:
    """Read the three parts out of the keys of a file; `rules` are those in force until now."""
    policy, nodes = option(fields, "policy"), option(fields, "nodes")
    wanted = None if policy is None else rules_of(policy, names, rules)
    setup = Setup(rules=wanted, nodes=None if nodes is None else nodes_of(nodes))
    tree = option(fields, "queues")
    if tree is None:
        return setup
    read = [*queues_of(tree, rules if wanted is None else wanted, ("users",))]
    queues = {queue.path: queue for queue, _ in read}
    check_guarantees(queues, {queue.path: at for queue, at in read})
    users = {
        queue.path: _users(item)
        for queue, at in read
        if (item := option(at.mapping("a queue"), "users")) is not None
    }
    return msgspec.structs.replace(setup, queues=tuple(queues.values()), users=users)


def _users(item: Item) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.text("a user") for one in item.items("users")))
