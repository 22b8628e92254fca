"""A small house to try the engine in: tell it facts, read what follows and what it orders.

Every step is checked against the invariants, and the log is kept, so that each test that uses the
house is a test of both as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from makeway.engine.engine import Engine, Policy, Step, outstanding
from makeway.engine.invariants import check, check_entries
from makeway.model import event as ev
from makeway.model.job import Attempt, Job, JobSpec
from makeway.model.record import ErrorRecord, Exit, Report
from makeway.model.workflow import Execution, Workflow
from makeway.policy.schedule import schedule
from makeway.workflows.cache import NOTHING, Kept
from tests import builders
from tests.engine.story import orders, story


def spec(workers: int = 1, cpus: float = 1, **asked: Any) -> JobSpec:
    """Ask for `workers` of `cpus` each; the rest is as in `JobSpec`."""
    group = builders.group(count=workers, cpus=cpus)
    usual: dict[str, Any] = {"name": "job", "user": "ada", "queue": "lab/ada", "groups": (group,)}
    return JobSpec(**usual | asked)


class House:
    """An engine, its clock, its log, and all that it ordered."""

    def __init__(
        self, *nodes: str, cpus: int = 4, policy: Policy = schedule, kept: Kept = NOTHING
    ) -> None:
        """Begin at 1000 s with these machines, or with n1 and n2."""
        self.kept = kept
        self.engine = Engine(policy, kept)
        self.now_ms = 1_000_000
        self.log: list[ev.Entry] = []
        self.orders: list[str] = []
        self.refused: list[str] = []
        self.wake_at_ms: int | None = None
        names = nodes or ("n1", "n2")
        self.tell(*(ev.NodeJoined(node=builders.node(name, cpus=cpus)) for name in names))

    # ── tell ──────────────────────────────────────────────────────────────────────────────────────

    def tell(self, *events: ev.Event) -> list[str]:
        """Take one step; give what was concluded beyond the events themselves."""
        step = self.engine.step(events, self.now_ms)
        self._take(step)
        believed = [entry.event for entry in step.entries]
        return story(event for event in believed if not any(event is told for told in events))

    def pass_time(self, ms: int) -> list[str]:
        """Let time pass, calling the engine whenever it wants to be called."""
        end_ms, told = self.now_ms + ms, []
        while self.wake_at_ms is not None and self.wake_at_ms <= end_ms:
            self.now_ms = self.wake_at_ms
            told += self.tell()
        self.now_ms = end_ms
        return told

    def wait_for(self, job: str) -> list[str]:
        """Let the time pass that a job waits before its next attempt."""
        return self.pass_time(self.job(job).not_before_ms - self.now_ms)

    def submit(self, job: str, workers: int = 1, cpus: float = 1, **asked: Any) -> list[str]:
        """Submit a job."""
        return self.tell(ev.JobSubmitted(job=job, spec=spec(workers, cpus, **asked)))

    def ready(self, job: str, *ranks: int) -> list[str]:
        """Let workers say that they stand at the barrier; without ranks: all."""
        return self.tell(
            *(self.said(ev.WorkerReady, job, rank) for rank in self._ranks(job, ranks))
        )

    def go(self, job: str) -> None:
        """Let all workers be ready and then start."""
        self.ready(job)
        started = (self.said(ev.WorkerStarted, job, rank) for rank in self._ranks(job, ()))
        self.tell(*started)

    def exits(self, job: str, *ranks: int, **how: Any) -> list[str]:
        """Let workers end, with code 0 if `how` names nothing else; without ranks: all."""
        return self.tell(*(self.exited(job, rank, **how) for rank in self._ranks(job, ranks)))

    def fails(self, job: str, error: str, rank: int = 0, errno: int | None = None) -> list[str]:
        """Let a worker end with an exception."""
        record = ErrorRecord(type=error, message="no", bases=("OSError",), errno=errno)
        return self.exits(job, rank, code=1, error=record)

    def runs(self, run: str, workflow: Workflow, **more: Any) -> list[str]:
        """Submit a run."""
        return self.tell(
            ev.RunSubmitted(run=run, workflow=workflow, user="ada", queue="lab/ada", **more)
        )

    def finish(self, job: str, **metrics: float) -> list[str]:
        """Let a job go through to a good end and leave these metrics behind."""
        self.go(job)
        return self.exits(job, report=Report(metrics=metrics))

    def restart(self) -> list[str]:
        """Forget everything but the log; give the orders that are to be repeated."""
        self.engine = Engine(self.engine._policy, self.kept)
        self.engine.replay(self.log)
        return orders(outstanding(self.engine.state))

    # ── ask ───────────────────────────────────────────────────────────────────────────────────────

    def job(self, job: str) -> Job:
        return self.engine.state.jobs[job]

    def attempt(self, job: str) -> Attempt:
        return self.engine.state.attempts[job]

    def execution(self, execution: str) -> Execution:
        found = self.engine.state.execution(execution)
        assert found is not None, f"no {execution}"
        return found

    def free_cpus(self) -> dict[str, float]:
        """Say how many processors are free on each machine."""
        return {name: room["cpu_milli"] / 1000 for name, room in self.engine.state.free.items()}

    def last(self, kind: type[ev.Fact]) -> Any:
        """Find the last event of a kind in the log."""
        return next(entry.event for entry in reversed(self.log) if isinstance(entry.event, kind))

    def said(
        self, kind: type[ev.WorkerReady | ev.WorkerStarted], job: str, rank: int
    ) -> ev.WorkerReady | ev.WorkerStarted:
        """Make what a worker of the living attempt would say."""
        if kind is ev.WorkerStarted:
            return ev.WorkerStarted(job=job, fence=self.job(job).fence, rank=rank, pid=10 + rank)
        address, port = f"10.0.0.{rank}", 29_500 + rank
        return ev.WorkerReady(
            job=job, fence=self.job(job).fence, rank=rank, address=address, port=port
        )

    def exited(self, job: str, rank: int, **how: Any) -> ev.WorkerExited:
        """Make the message of the end of a worker of the living attempt."""
        known = {"at_ms": self.now_ms} | (how if {"signal", "lost"} & {*how} else {"code": 0} | how)
        return ev.WorkerExited(job=job, fence=self.job(job).fence, rank=rank, exit=Exit(**known))

    def _ranks(self, job: str, ranks: Sequence[int]) -> Sequence[int]:
        alive = [worker.rank for worker in self.attempt(job).workers if worker.exit is None]
        return ranks or alive

    def _take(self, step: Step) -> None:
        check(self.engine.state, self.now_ms)
        self.log += step.entries
        check_entries(self.log)
        self.orders = orders(step.effects)
        self.refused = [refused.why for refused in step.refused]
        self.wake_at_ms = step.wake_at_ms
