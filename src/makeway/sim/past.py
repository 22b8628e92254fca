"""Write the recorded past as a scenario: what was asked of a cluster, when, and what it took.

A job of the scenario comes when the real one came, counted from the first of them, and has as much
to do as the real one did: the time of all its attempts but those whose work was lost, counted in
workers, over the most workers that it may have. What still runs, or was cancelled, is as long as it
was until then; what never ran is left out, since nobody knows how long it would have been. Jobs of
one name get numbers. Nodes, queues and policy are those of the end.

Takes:   entries   a log from its first entry on; the instant from which jobs count
Gives:   plain values, as a scenario file says them (docs/scenarios.md)
Raises:  NotFound: no job that has run was submitted since then
Holds:   what is written is read again as a scenario
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from makeway.errors import NotFound
from makeway.intake.setup import Setup
from makeway.intake.written import Plain, amounts_plain, plain_of, span
from makeway.model import event as ev
from makeway.model.cluster import ROOT, Allocation, Node, Queue
from makeway.model.job import JobSpec, On, WorkerGroup
from makeway.model.record import Cause
from makeway.model.rules import Rules

# What an attempt did that ended otherwise is done once more by the next one, if there is one.
KEPT = (Cause.NONE, Cause.CANCELLED, Cause.PREEMPTED)


class _Job(msgspec.Struct, kw_only=True, eq=False):
    """One job of the past; `worker_ms` is what its attempts did that counts, `lost_ms` perhaps."""

    name: str
    spec: JobSpec
    at_ms: int
    worker_ms: int = 0
    lost_ms: int = 0
    attempt_ms: int = 0
    workers: int = 0
    since_ms: int | None = None

    def go_on(self, at_ms: int, workers: int) -> None:
        """Count up to now, and with so many workers from now on."""
        if self.since_ms is not None:
            self.attempt_ms += (at_ms - self.since_ms) * self.workers
        self.since_ms, self.workers = at_ms, workers

    def end(self, at_ms: int, *, counts: bool) -> None:
        """End an attempt; what it did counts, unless it was lost and another one does it again."""
        if self.since_ms is not None:
            self.go_on(at_ms, 0)
            self.lost_ms = 0 if counts else self.attempt_ms
            self.worker_ms += self.attempt_ms if counts else 0
        self.since_ms, self.attempt_ms = None, 0


class Past:
    """What a log says of jobs, machines, queues and rules; see the module."""

    def __init__(self, since_ms: int) -> None:
        """Take the instant from which jobs count."""
        self._since_ms, self._now_ms = since_ms, since_ms
        self._jobs: dict[str, _Job] = {}
        self._planned: dict[str, int] = {}  # workers of the attempt that was started
        self._nodes: dict[str, Node] = {}
        self._queues: tuple[Queue, ...] = ()
        self._rules = Rules()
        self._names: Counter[str] = Counter()

    def take(self, entry: ev.Entry) -> None:
        """Take one entry of the log."""
        event, at_ms = entry.event, entry.at_ms
        self._now_ms = max(self._now_ms, at_ms)
        match event:
            case ev.NodeJoined(node=node):
                self._nodes[node.name] = node
            case ev.NodeLost(name=name) | ev.NodeRemoved(name=name):
                self._nodes.pop(name, None)
            case ev.QueuesConfigured(queues=queues):
                self._queues = queues
            case ev.RulesConfigured(rules=rules):
                self._rules = rules
            case ev.JobSubmitted(job=job, spec=spec) if at_ms >= self._since_ms:
                self._names[spec.name] += 1
                number = self._names[spec.name]
                name = spec.name if number == 1 else f"{spec.name}-{number}"
                self._jobs[job] = _Job(name=name, spec=spec, at_ms=at_ms)
            case _:
                self._work(event, at_ms)

    def _work(self, event: ev.Event, at_ms: int) -> None:
        job = self._jobs.get(getattr(event, "job", ""))
        if job is None:
            return
        match event:
            case ev.JobChanged(spec=spec):
                job.spec = spec
            case ev.AttemptStarted(job=name, allocation=allocation):
                self._planned[name] = _workers(allocation)
            case ev.AttemptReleased(job=name):
                job.go_on(at_ms, self._planned[name])
            case ev.AttemptResized(allocation=allocation) if job.since_ms is not None:
                job.go_on(at_ms, _workers(allocation))
            case ev.AttemptEnded(diagnosis=diagnosis):
                job.end(at_ms, counts=diagnosis.cause in KEPT)
            case _:
                pass

    def scenario(self) -> Plain:
        """Write all that was taken as a scenario."""
        jobs = {}
        for key, job in self._jobs.items():
            job.end(self._now_ms, counts=True)  # what still runs
            job.worker_ms += job.lost_ms
            if job.worker_ms > 0:
                jobs[key] = job
        if not jobs:
            hint = "see what there is: makeway jobs"
            raise NotFound("no job that has run was submitted in this time", hint=hint)
        first_ms = min(job.at_ms for job in jobs.values())
        names = {key: job.name for key, job in jobs.items()}
        queues = tuple(queue for queue in self._queues if queue.path != ROOT)
        setup = plain_of(Setup(rules=self._rules, queues=queues))
        return {
            "cluster": {"nodes": [_node(node) for node in self._nodes.values()]},
            "policy": setup["policy"],
            **({"queues": _without_users(setup["queues"])} if queues else {}),
            "jobs": [_plain(job, first_ms, names) for job in jobs.values()],
        }


def scenario_of(entries: Iterable[ev.Entry], since_ms: int) -> Plain:
    """Write the past since an instant as a scenario."""
    past = Past(since_ms)
    for entry in entries:
        past.take(entry)
    return past.scenario()


def _workers(allocation: Allocation) -> int:
    return sum(row.count for row in allocation.placements)


def _plain(job: _Job, first_ms: int, names: dict[str, str]) -> Plain:
    spec = job.spec
    most = sum(group.count_max for group in spec.groups)
    plain: Plain = {
        "name": job.name,
        "queue": spec.queue,
        "user": spec.user,
        "at": span(job.at_ms - first_ms),
        "priority": spec.priority,
        "runtime": span(max(1, job.worker_ms // most)),
    }
    if len(spec.groups) == 1:
        plain |= _group(spec.groups[0])
    else:
        plain["groups"] = [{"name": group.name, **_group(group)} for group in spec.groups]
    if spec.time_limit_ms is not None:
        plain["time_limit"] = span(spec.time_limit_ms)
    if not spec.preemptible:
        plain["preemptible"] = False
    after = [
        {"job": names[one.job], "on": str(one.on)} if one.on is not On.SUCCEEDED else names[one.job]
        for one in spec.after
        if one.job in names
    ]
    return {**plain, "after": after} if after else plain


def _group(group: WorkerGroup) -> Plain:
    workers: object = group.count_max
    if group.count_min != group.count_max:
        workers = {"min": group.count_min, "max": group.count_max}
    plain: Plain = {"workers": workers}
    if group.per_worker:
        plain["per_worker"] = amounts_plain(group.per_worker.amounts)
    return plain


def _node(node: Node) -> Plain:
    plain: Plain = {"name": node.name, **amounts_plain(node.capacity.amounts)}
    return {**plain, "labels": dict(node.labels)} if node.labels else plain


def _without_users(queues: object) -> object:
    """Leave away whose a queue is: a scenario asks for no rights."""
    assert isinstance(queues, list), "queues are written as a list"
    rows = []
    for queue in queues:
        row = {key: value for key, value in queue.items() if key != "users"}
        if "queues" in row:
            row["queues"] = _without_users(row["queues"])
        rows.append(row)
    return rows
