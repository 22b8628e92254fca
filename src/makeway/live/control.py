"""Answer and carry out what concerns the cluster's rules: its policy, its queues, its history."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from makeway.engine.state import State
from makeway.errors import InvalidInput
from makeway.intake.located import item_of
from makeway.intake.setup import Setup, setup_of
from makeway.intake.written import plain_of
from makeway.live.behind import Behind
from makeway.live.edited import facts_of, in_force
from makeway.live.foreseen import foreseen
from makeway.live.preview import preview
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
    setup = service.inbox.ask(lambda state: in_force(state, owners))
    plain = plain_of(setup)
    policy, queues = plain["policy"], plain["queues"]
    assert isinstance(policy, dict), "a policy is written as a mapping"
    assert isinstance(queues, list), "queues are written as a list"
    return PolicyView(policy=policy, queues=tuple(queues))


def check(service: Behind, body: Mapping[str, object]) -> PreviewView:
    """Say what would change if this were applied."""
    return service.inbox.ask(lambda state: _foreseen(service, state, _setup(state, body)))


def apply(service: Behind, body: Mapping[str, object]) -> PreviewView:
    """Apply it; what is said is what was foreseen a moment before."""
    setup = service.inbox.ask(lambda state: _setup(state, body))
    before = service.inbox.ask(lambda state: _foreseen(service, state, setup))
    rest = replace(setup, nodes=None)
    service.inbox.tell(service.inbox.ask(lambda state: facts_of(state, rest)))
    if (nodes := setup.nodes) is not None:
        service.has_nodes(lambda _known: nodes)
    if setup.queues is not None:
        service.owned_by(setup.users)
    return replace(before, applied=True)


def _setup(state: State, body: Mapping[str, object]) -> Setup:
    fields = item_of(dict(body), "").fields(KEYS, "a policy file")
    return setup_of(fields, tuple(POLICIES), state.rules)


def _foreseen(service: Behind, state: State, setup: Setup) -> PreviewView:
    users = {path: tuple(owners) for path, owners in service.terms().owners.items()}
    return foreseen(preview(state, setup, service.now_ms(), users))


def _told(row: DecisionRow) -> DecisionView:
    return DecisionView(
        seq=row.seq, at_s=row.at_ms / 1000, kind=row.kind, job=row.job,
        beneficiary=row.beneficiary, rule=row.rule, text=row.text,
        lost_worker_s=row.lost_worker_ms / 1000, cause=row.cause,
    )  # fmt: skip
