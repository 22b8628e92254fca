"""Say what would happen if a cluster were set up otherwise, before it is: nothing is changed here.

The policy decides twice on the same instant: as things are, and on a copy that is set up as a file
wants it. What the two plans have not in common is what the change would do at once. What follows
later (who is served after the victims have left, who grows then) is for a simulation to say.

Takes:   state of the engine, which is only read; a Setup; who may submit where, as it is in force
Gives:   Preview
Holds:   what is set up as it was gives an empty preview
Cost:    two cycles of the policy, and the shares of all queues twice
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from makeway.engine.state import State
from makeway.intake.setup import Setup
from makeway.intake.written import amounts_plain
from makeway.live.changes import Changed, changes
from makeway.live.edited import edited
from makeway.model.cluster import ROOT
from makeway.model.resources import NOTHING
from makeway.policy.choose import decide
from makeway.policy.plan import Decided, Plan, Preempt, Reject, Reserve, Resize, Start
from makeway.policy.share import Standing, standings
from makeway.policy.snapshot import Snapshot

# What became of it, as a person says it: where it is decided now, and where it is no more.
KINDS = {Start: "start", Reserve: "reserve", Preempt: "evict", Reject: "refuse"}
NO_MORE = {"start": "wait", "reserve": "wait"}


class Consequence(msgspec.Struct, frozen=True, kw_only=True):
    """What would be decided about one job that is not decided as things are.

    kind         `start`, `reserve` (it starts when its victims have left), `evict`, `grow`, `shrink`,
                 `refuse`, `lose` (a node that it is on goes); and of what would be decided as things
                 are, and then not: `wait` (it would start), `keep` (all else)
    before       workers that it has now
    workers      those that it would have
    beneficiary  for whom, and by which rule, it gives anything up
    """

    kind: str
    job: str
    queue: str
    before: int
    workers: int
    beneficiary: str | None = None
    rule: str | None = None
    text: str = ""


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A queue whose share or due would change; None: the queue is not there. Dues in people's units."""

    path: str
    share_before: float | None
    share_after: float | None
    due_before: dict[str, object]
    due_after: dict[str, object]


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What would change in the settings, at once in the cluster, and in what queues are worth."""

    changes: tuple[Changed, ...] = ()
    consequences: tuple[Consequence, ...] = ()
    shares: tuple[Moved, ...] = ()


def preview(
    state: State, setup: Setup, now_ms: int, users: Mapping[str, tuple[str, ...]] | None = None
) -> Preview:
    """Say what would change if this were applied now; `users` are those in force."""
    before = state.snapshot(now_ms)
    after, losers = edited(state, setup, now_ms)
    lost = (
        Consequence(
            kind="lose",
            job=row.job.id,
            queue=row.job.spec.queue,
            before=row.allocation.workers,
            workers=0,
            text="a node that it is on goes",
        )
        for row in losers
    )
    return Preview(
        changes=tuple(changes(state, setup, users or {})),
        consequences=(*lost, *_consequences(before, decide(before), decide(after))),
        shares=tuple(_moved(standings(before), standings(after))),
    )


def _consequences(before: Snapshot, plan: Plan, other: Plan) -> Iterator[Consequence]:
    queues = {job.id: job.spec.queue for job in before.waiting()}
    queues |= {name: row.job.spec.queue for name, row in before.running.items()}
    old, new = (_decided(before, one, queues) for one in (plan, other))
    yield from (one for key, one in new.items() if key not in old)
    for key, one in old.items():
        if key not in new:
            kind = NO_MORE.get(one.kind, "keep")
            yield Consequence(
                kind=kind, job=one.job, queue=one.queue, before=one.before, workers=one.before
            )


def _decided(
    before: Snapshot, plan: Plan, queues: Mapping[str, str]
) -> dict[tuple[str, str, int], Consequence]:
    """Give what a plan decides about jobs, by what makes two such decisions the same."""
    found = {}
    for one in plan.decisions:
        has = _workers(before, one.job)
        kind, workers = _what(one, has)
        if kind:
            found[kind, one.job, workers] = Consequence(
                kind=kind,
                job=one.job,
                queue=queues[one.job],
                before=has,
                workers=workers,
                beneficiary=getattr(one, "beneficiary", None),
                rule=getattr(one, "rule", None),
                text=one.wait.text if isinstance(one, Reject) else getattr(one, "text", ""),
            )
    return found


def _what(decision: Decided, has: int) -> tuple[str, int]:
    match decision:
        case Resize():
            workers = decision.allocation.workers
            return ("grow" if workers > has else "shrink"), workers
        case Start() | Reserve():
            return KINDS[type(decision)], decision.allocation.workers
        case Preempt() | Reject():
            return KINDS[type(decision)], 0
    return "", 0


def _workers(snapshot: Snapshot, name: str) -> int:
    """Count the workers that stay of those that a job has."""
    row = snapshot.running.get(name)
    if row is None:
        return 0
    return row.allocation.workers - sum(one.count for one in snapshot.leaving.get(name, ()))


def _moved(before: Mapping[str, Standing], after: Mapping[str, Standing]) -> Iterator[Moved]:
    for path in sorted((before.keys() | after.keys()) - {ROOT}):
        shares = [one[path].share if path in one else None for one in (before, after)]
        dues = [one[path].due if path in one else NOTHING for one in (before, after)]
        if shares[0] != shares[1] or dues[0] != dues[1]:
            yield Moved(
                path=path,
                share_before=shares[0],
                share_after=shares[1],
                due_before=amounts_plain(dues[0].amounts),
                due_after=amounts_plain(dues[1].amounts),
            )
