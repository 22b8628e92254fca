"""Keep jobs away from machines that an attempt of theirs was ill of.

A decision may name machines that the next attempts are to avoid. They are avoided as long as the job
has room on others that are up, however full those are now: what is broken for one must not keep it
from running for ever. Whenever a machine comes or goes this is looked at anew.

Holds:   a job that avoids machines could run on those that are left to it, or may run anywhere
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from makeway.engine import dependencies
from makeway.engine.state import State
from makeway.model.job import Job
from makeway.policy.never import never
from makeway.policy.snapshot import Snapshot, kind_of


def ill_of(state: State, job: Job, nodes: Sequence[str]) -> Job:
    """Give a job that is to avoid these machines as well."""
    avoids = tuple(dict.fromkeys((*job.avoids, *nodes)))
    if not avoids:
        return job
    state.avoiding[job.id] = None
    return _looked_at(state, replace(job, avoids=avoids))


def look_again(state: State) -> None:
    """See where those may run now who avoid machines, after one has come or gone."""
    for name in state.avoiding:
        before = state.jobs[name]
        job = _looked_at(state, before)
        if job.only == before.only:
            continue
        dependencies.put(state, job)
        if name in state.waiting:
            state.untold[name] = None
            state.reserved.pop(name, None)
            state.planned.pop(name, None)


def _looked_at(state: State, job: Job) -> Job:
    allowed = job.spec.nodes or tuple(state.nodes)
    rest = tuple(name for name in allowed if name in state.nodes and name not in job.avoids)
    choice = replace(job, only=rest)
    whole = rest and never(kind_of(choice), _empty(state)) is None
    return choice if whole else replace(job, only=None)


def _empty(state: State) -> Snapshot:
    """Show the machines that are up, whatever runs on them."""
    return Snapshot(
        basis=state.seq, now_ms=0, nodes=state.nodes, free=state.free, queues=state.queues,
        rooms=state.rooms,
    )  # fmt: skip
