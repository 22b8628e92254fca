"""Say what would become of a job if it came now, without letting it come."""

from __future__ import annotations

from msgspec.structs import replace

from makeway.model.cluster import with_parents
from makeway.model.job import Job, JobSpec
from makeway.model.wait import Wait
from makeway.policy.snapshot import Snapshot, kind_of
from makeway.policy.why import READY, why

NAME = "(this job)"


def trial(snapshot: Snapshot, spec: JobSpec) -> Wait:
    """Decide once over the world with this job in it, as the youngest of all."""
    order = 1 + max((job.order for lane in snapshot.lanes.values() for job in lane), default=0)
    job = Job(id=NAME, spec=spec, order=order, submitted_at_ms=snapshot.now_ms)
    kind = next((one for one in snapshot.lanes if one == kind_of(job)), kind_of(job))
    lanes = {**snapshot.lanes, kind: [*snapshot.lanes.get(kind, ()), job]}
    queues = {**snapshot.queues, **with_parents(snapshot.queues, spec.queue)}
    wait = why(replace(snapshot, lanes=lanes, queues=queues), NAME)
    return READY if wait is READY else wait
