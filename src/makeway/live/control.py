"""Answer and carry out what concerns the cluster's rules: its policy, its queues, its history."""

from __future__ import annotations

from collections.abc import Mapping

from makeway.errors import InvalidInput
from makeway.intake.located import Item, item_of
from makeway.intake.setup import Setup, setup_of
from makeway.intake.written import plain_of
from makeway.live.behind import Behind
from makeway.live.preview import preview
from makeway.model.cluster import ROOT
from makeway.model.event import Event, NodeJoined, NodeRemoved, QueuesConfigured, RulesConfigured
from makeway.policy.choose import POLICIES
from makeway.store.database import Database
from makeway.store.decisions import DecisionFilter, DecisionRow, list_decisions
from makeway.wire.cluster import DecisionView, PolicyView, PreviewView
from makeway.wire.page import PAGE, Page

KEYS = ("policy", "queues", "nodes")


def decisions(
    database: Database, since_s: float | None, job: str | None, cursor: str | None
) -> Page[DecisionView]:
    """List what was decided, the newest first."""
    if cursor is not None and not cursor.isdecimal():
        raise InvalidInput("it is not a cursor of this list", where="cursor")
    wanted = DecisionFilter(
        since_ms=None if since_s is None else int(since_s * 1000),
        job=job,
        limit=PAGE,
        before=None if cursor is None else int(cursor),
    )
    rows = list_decisions(database, wanted)
    more = str(rows[-1].seq) if len(rows) == PAGE else None
    return Page(items=tuple(_told(row) for row in rows), next_cursor=more)


def policy_of(service: Behind) -> PolicyView:
    """Give the policy and the queues in force, as a file would say them."""
    owners = {path: tuple(users) for path, users in service.terms().owners.items()}

    def written(setup: Setup) -> dict[str, object]:
        return plain_of(setup)

    setup = service.inbox.ask(
        lambda state: Setup(
            rules=state.rules,
            queues=tuple(queue for path, queue in state.declared.items() if path != ROOT),
            users=owners,
        )
    )
    plain = written(setup)
    policy, queues = plain["policy"], plain["queues"]
    assert isinstance(policy, dict), "a policy is written as a mapping"
    assert isinstance(queues, list), "queues are written as a list"
    return PolicyView(policy=policy, queues=tuple(queues))


def check(service: Behind, body: Mapping[str, object]) -> PreviewView:
    """Say what would change if this were applied."""
    setup = _setup(service, body)
    return service.inbox.ask(lambda state: preview(service.snapshot(state), setup))


def apply(service: Behind, body: Mapping[str, object]) -> PreviewView:
    """Apply it; what is said is what was foreseen a moment before."""
    setup = _setup(service, body)
    foreseen = service.inbox.ask(lambda state: preview(service.snapshot(state), setup))
    events: list[Event] = []
    if setup.rules is not None:
        events.append(RulesConfigured(rules=setup.rules))
    if setup.queues is not None:
        events.append(QueuesConfigured(queues=setup.queues))
    if setup.nodes is not None:
        names = {node.name for node in setup.nodes}
        there = service.inbox.ask(lambda state: [*state.nodes, *state.lost])
        events += [NodeJoined(node=node) for node in setup.nodes]
        events += [NodeRemoved(name=name) for name in there if name not in names]
    service.inbox.tell(events)
    return foreseen
