"""Hold a scenario: a cluster, a share tree, jobs and events, and what is expected of them.

Takes:   an `Item` tree of a scenario file (docs/scenarios.md describes the format)
Gives:   `Scenario`, all checked: what is wrong has raised InvalidInput with file and line
"""

from __future__ import annotations

import msgspec

from makeway.intake.located import Item
from makeway.model.cluster import Allocation, Node, Queue
from makeway.model.job import JobSpec
from makeway.model.rules import Rules

KEYS = ("cluster", "policy", "queues", "jobs", "events", "expect")


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """One job of a scenario: when it comes, how long it truly takes, and how it leaves.

    allocation, since_ms   it runs already, there, since then
    scaling                throughput by number of workers, from 1; empty: linear
    """

    name: str
    spec: JobSpec
    at_ms: int
    runtime_ms: int | None
    scaling: tuple[float, ...] = ()
    exit_ms: int = 0
    allocation: Allocation | None = None
    since_ms: int = 0


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happens: `what` is the event's key, `about` whom it concerns."""

    at_ms: int
    what: str
    about: str
    rank: int = 0
    queues: tuple[Queue, ...] = ()


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What must be so at an instant; `item` is the entry of the file, by key."""

    at_ms: int
    item: Item
    fields: dict[str, Item]


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """All of a scenario file."""

    nodes: tuple[Node, ...]
    rules: Rules
    queues: tuple[Queue, ...]
    jobs: tuple[Given, ...]
    changes: tuple[Change, ...]
    expected: tuple[Expected, ...]
