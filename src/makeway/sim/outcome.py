"""Say what a simulated world looks like at an instant: queues, jobs, decisions, figures.

Folded from the log and the engine's state, in the shape that `makeway simulate -o json` prints
(docs/scenarios.md). Amounts are in the units of people: processors, devices, bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from makeway.model import event as ev
from makeway.model.cluster import Allocation
from makeway.model.job import JobSpec
from makeway.model.phase import JobPhase
from makeway.model.record import Cause
from makeway.model.resources import CPU, GPU, MEMORY, Resources
from makeway.model.wait import Wait
from makeway.policy.share import standings
from makeway.policy.why import why
from makeway.report import report
from makeway.sim.scenario import Scenario
from makeway.sim.world import World

Row = dict[str, object]
NAMES = {CPU: "cpus", GPU: "gpus", MEMORY: "memory"}
ENDS = {Cause.NONE: "succeeded", Cause.PREEMPTED: "preempted", Cause.CANCELLED: "cancelled"}


def outcome(scenario: Scenario, world: World, wall_s: float) -> Row:
    """Describe the world as it is now."""
    story = _Story()
    for entry in world.log:
        story.add(entry)
    return {
        "at_s": world.now_ms / 1000,
        "queues": queues_of(world, [queue.path for queue in scenario.queues]),
        "jobs": [_job(one, world) for one in story.jobs.values()],
        "decisions": story.decisions,
        "metrics": _metrics(world, story, wall_s),
    }


def amounts(vector: Resources, kinds: Iterable[str]) -> dict[str, float]:
    """Write a vector in people's units, every kind of `kinds`."""
    return {NAMES.get(kind, kind): in_units(kind, vector[kind]) for kind in kinds}


def in_units(kind: str, amount: float) -> float:
    """Write an amount in people's units."""
    return amount / 1000 if kind in (CPU, GPU) else amount


def wait_of(world: World, name: str) -> Wait | None:
    """Explain a job that waits now."""
    state = world.engine.state
    if name in state.waiting:
        return why(state.snapshot(world.now_ms), name)
    return state.waits.get(name)


class _Story:
    """What the log tells of each job."""

    def __init__(self) -> None:
        self.jobs: dict[str, Row] = {}
        self.specs: dict[str, JobSpec] = {}
        self.decisions: list[Row] = []
        self._held: dict[str, Allocation] = {}

    def add(self, entry: ev.Entry) -> None:
        """Take in one entry."""
        at_s, event = entry.at_ms / 1000, entry.event
        match event:
            case ev.JobSubmitted(job=job, spec=spec, since_ms=since_ms):
                self.specs[job] = spec
                since_s = at_s if since_ms is None else since_ms / 1000
                self.jobs[job] = _row(job, spec, since_s)
            case ev.AttemptAdopted(job=job, allocation=allocation, started_at_ms=started_ms):
                self._begin(job, 1, allocation, started_ms / 1000)
            case ev.AttemptStarted(job=job, number=number, allocation=allocation):
                self._begin(job, number, allocation, at_s)
                self._decide(at_s, "start", job, workers=allocation.workers)
            case ev.AttemptResized(job=job, allocation=allocation):
                self._hold(job, allocation)
                self._decide(
                    at_s, "resize", job, workers=allocation.workers,
                    **{"for": event.beneficiary, "rule": event.rule},
                )  # fmt: skip
            case ev.AttemptStopped(job=job, cause=cause):
                self.jobs[job]["phase"] = "evicting"
                if cause == "preempted":
                    self._preempt(at_s, event)
            case ev.AttemptEnded(job=job, diagnosis=diagnosis):
                self._end(job, at_s, ENDS.get(diagnosis.cause, "failed"))
            case ev.JobRequeued(job=job):
                self.jobs[job]["phase"] = "queued"
            case ev.JobFinished(job=job, phase=phase):
                self.jobs[job] |= {"phase": phase.value, "ended_s": at_s}
            case ev.JobRejected(job=job, wait=wait):
                self.jobs[job]["wait"] = written(wait)
                self._decide(at_s, "reject", job, reason=wait.reason.value)
            case ev.JobWaiting(job=job, wait=wait):
                self.jobs[job]["wait"] = written(wait)
                self._decide(at_s, "wait", job, reason=wait.reason.value)
            case ev.SlotsReserved(job=job, allocation=allocation, rule=rule):
                self._decide(at_s, "reserve", job, workers=allocation.workers, rule=rule)
            case ev.StartPlanned(job=job):
                self._decide(at_s, "reserve", job)
            case _:
                pass

    def _begin(self, job: str, number: int, allocation: Allocation, at_s: float) -> None:
        row = self.jobs[job]
        row["phase"], row["wait"] = "running", None
        if row["started_s"] is None:
            row["started_s"] = at_s
        attempts = row["attempts"]
        assert isinstance(attempts, list)
        attempts.append(
            {"number": number, "started_s": at_s, "ended_s": None, "end": None, "workers_max": 0}
        )
        self._hold(job, allocation)

    def _hold(self, job: str, allocation: Allocation) -> None:
        row = self.jobs[job]
        row["workers"] = allocation.workers
        row["placement"] = _placement(allocation, self.specs[job])
        attempts = row["attempts"]
        assert isinstance(attempts, list)
        attempts[-1]["workers_max"] = max(attempts[-1]["workers_max"], allocation.workers)

    def _preempt(self, at_s: float, event: ev.AttemptStopped) -> None:
        row = self.jobs[event.job]
        row["preemptions"] = int(str(row["preemptions"])) + 1
        self._decide(
            at_s, "preempt", event.job, workers=row["workers"], reason=event.text or None,
            **{"for": event.beneficiary, "rule": event.rule},
        )  # fmt: skip

    def _end(self, job: str, at_s: float, end: str) -> None:
        row = self.jobs[job]
        row["workers"], row["placement"] = 0, {}
        attempts = row["attempts"]
        assert isinstance(attempts, list)
        attempts[-1] |= {"ended_s": at_s, "end": end}

    def _decide(self, at_s: float, kind: str, job: str, **more: object) -> None:
        row: Row = {"at_s": at_s, "kind": kind, "job": job, "workers": None, "for": None}
        self.decisions.append(row | {"rule": None, "reason": None} | more)


def _row(name: str, spec: JobSpec, since_s: float) -> Row:
    return {
        "name": name, "queue": spec.queue, "phase": "queued", "workers": 0, "placement": {},
        "submitted_s": since_s, "started_s": None, "ended_s": None, "preemptions": 0,
        "attempts": [], "wait": None,
    }  # fmt: skip


def _job(row: Row, world: World) -> Row:
    """Say why it waits now; what is over keeps only the reason of a refusal."""
    name, phase = str(row["name"]), row["phase"]
    if phase == "queued":
        wait = wait_of(world, name)
        row["wait"] = None if wait is None else written(wait)
    elif phase in (JobPhase.RUNNING, JobPhase.SUCCEEDED, "evicting") or row["attempts"]:
        row["wait"] = None
    return row


def written(wait: Wait) -> Row:
    """Write a wait as it is printed."""
    starts_s = None if wait.starts_at_ms is None else wait.starts_at_ms / 1000
    return {
        "reason": wait.reason.value, "text": wait.text, "detail": wait.detail,
        "blocked_by": [*wait.blocked_by], "unblock": [*wait.unblock], "starts_s": starts_s,
    }  # fmt: skip


def _placement(allocation: Allocation, spec: JobSpec) -> Mapping[str, object]:
    by_group: dict[str, dict[str, int]] = {}
    for row in allocation.placements:
        nodes = by_group.setdefault(row.group, {})
        nodes[row.node] = nodes.get(row.node, 0) + row.count
    alone = len(spec.groups) == 1 and spec.groups[0].name == "worker"
    return by_group.get("worker", {}) if alone else by_group


def queues_of(world: World, order: Sequence[str] = ()) -> list[Row]:
    """Give the four numbers of every queue, those of `order` first."""
    snapshot = world.engine.state.snapshot(world.now_ms)
    found = standings(snapshot)
    whole = Resources()
    for node in snapshot.nodes.values():
        whole = whole + node.capacity
    declared = [path for path in order if path in found]
    others = [path for path in found if path and path not in declared]
    rows = []
    for path in [*declared, *sorted(others)]:
        one = found[path]
        asked = {kind for vector in (one.due, one.usage, one.demand) for kind in vector}
        kinds = [kind for kind in whole if kind in asked] or [*whole]
        share_of = {
            NAMES.get(kind, kind): round(one.share * in_units(kind, whole[kind]), 6)
            for kind in kinds
        }
        rows.append(
            {
                "path": path, "share": one.share, "share_of": share_of,
                "due": amounts(one.due, kinds), "usage": amounts(one.usage, kinds),
                "demand": amounts(one.demand, kinds),
            }
        )  # fmt: skip
    return rows


def _metrics(world: World, story: _Story, wall_s: float) -> Row:
    figures = report(world.log)

    def seconds(ms: float | None) -> float | None:
        return None if ms is None else ms / 1000

    return {
        "makespan_s": seconds(figures.makespan_ms),
        "mean_completion_s": seconds(figures.mean_completion_ms),
        "p99_completion_s": seconds(figures.p99_completion_ms),
        "mean_wait_s": seconds(figures.mean_wait_ms),
        "utilisation": figures.utilisation,
        "jain": figures.jain,
        "preemptions": sum(int(str(row["preemptions"])) for row in story.jobs.values()),
        "lost_worker_s": figures.lost_worker_ms / 1000,
        "events": figures.events,
        "wall_s": round(wall_s, 3),
    }
