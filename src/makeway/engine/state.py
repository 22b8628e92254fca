"""Hold all that is believed at one point of the log.

Only `apply` changes it. The sums beside the records (`free`, `held`, `waiting`) are kept with each
event, so that a decision costs what has changed and not what is there; `invariants` counts them
again. `changed` says that the policy may decide differently now, `touched` which runs may go on.
What is final leaves the state: its history is in the log and in the store's views.
"""

from __future__ import annotations

import heapq

from makeway.model.cluster import ROOT, Node, Queue
from makeway.model.job import Attempt, Job
from makeway.model.phase import AttemptPhase
from makeway.model.resources import Resources
from makeway.model.wait import Wait
from makeway.model.workflow import Execution, Run, run_of
from makeway.policy.snapshot import Running, Snapshot


class State:
    """What is believed now; see the module."""

    __slots__ = (
        "attempts", "changed", "executions", "free", "held", "jobs", "nodes", "order", "queues",
        "running", "runs", "seq", "timers", "touched", "waiting", "waits",
    )  # fmt: skip

    def __init__(self) -> None:
        """Begin with an empty world at seq 0."""
        self.seq = 0
        self.order = 0
        self.nodes: dict[str, Node] = {}
        self.queues: dict[str, Queue] = {ROOT: Queue(path=ROOT)}
        self.free: dict[str, Resources] = {}
        self.held: dict[str, Resources] = {}
        self.jobs: dict[str, Job] = {}
        self.attempts: dict[str, Attempt] = {}
        self.running: dict[str, Running] = {}
        self.waiting: dict[str, Job] = {}
        self.waits: dict[str, Wait] = {}
        self.runs: dict[str, Run] = {}
        self.executions: dict[str, dict[str, Execution]] = {}
        self.timers: list[tuple[int, str]] = []
        self.changed = False
        self.touched: dict[str, int] = {}

    def snapshot(self, now_ms: int) -> Snapshot:
        """Show a decision what it may see; nothing in it changes before the next `apply`."""
        return Snapshot(
            basis=self.seq,
            now_ms=now_ms,
            nodes=self.nodes,
            free=self.free,
            queues=self.queues,
            held=self.held,
            running=self.running,
            waiting=sorted(self.waiting.values(), key=_order),
        )

    def execution(self, job: str) -> Execution | None:
        """Find the step that a job stands for; a job submitted by itself has none."""
        return self.executions.get(run_of(job), {}).get(job)

    def wake_at(self, at_ms: int, job: str) -> None:
        """Remember that something about this job is due at that instant."""
        heapq.heappush(self.timers, (at_ms, job))

    def next_timer_ms(self) -> int | None:
        """Give the next instant at which anything is due; timers of jobs that are gone fall."""
        while self.timers and not self._pending(*self.timers[0]):
            heapq.heappop(self.timers)
        return self.timers[0][0] if self.timers else None

    def pop_due(self, now_ms: int) -> list[str]:
        """Take the jobs about which something is due by now, earliest first."""
        jobs = []
        while (at_ms := self.next_timer_ms()) is not None and at_ms <= now_ms:
            jobs.append(heapq.heappop(self.timers)[1])
        return jobs

    def _pending(self, at_ms: int, job: str) -> bool:
        known, attempt = self.jobs.get(job), self.attempts.get(job)
        if attempt is not None:
            return attempt.phase is AttemptPhase.PREPARING and attempt.barrier_at_ms == at_ms
        return known is not None and known.not_before_ms == at_ms


def _order(job: Job) -> int:
    return job.order
