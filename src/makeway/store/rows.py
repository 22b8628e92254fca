"""Say what the terminal, the pages and REST are shown of runs, jobs and attempts.

Each is a frozen value with the words of the vocabulary, made from the views by `store.read`; times
are ms since 1970, and None where something has not happened.
"""

from __future__ import annotations

import msgspec

from makeway.model.cluster import Placement
from makeway.model.job import JobSpec
from makeway.model.phase import AttemptPhase, ExecutionPhase, JobPhase, RunPhase
from makeway.model.record import Decision, Diagnosis, ErrorRecord, Output
from makeway.model.wait import Wait
from makeway.model.workflow import Selection, Workflow


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """A run as a list shows it; of its `steps`, `ended` are final and `good` gave an output."""

    id: str
    workflow: str
    user: str
    queue: str
    phase: RunPhase
    text: str
    resumed_from: str | None
    submitted_at_ms: int
    ended_at_ms: int | None
    steps: int
    ended: int
    good: int


class RunDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A run with its parameters and its definition."""

    row: RunRow
    params: dict[str, object]
    workflow: Workflow


class WorkerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One worker of one attempt, and how it ended."""

    job: str
    number: int
    rank: int
    node: str
    pid: int | None
    code: int | None
    signal: int | None
    lost: str | None
    memory_peak_bytes: int | None
    cpu_ms: int | None
    ready_at_ms: int | None
    started_at_ms: int | None
    ended_at_ms: int | None
    error: ErrorRecord | None


class AttemptRow(msgspec.Struct, frozen=True, kw_only=True):
    """One try at a job: who held what, what was concluded from its end, what was done about it.

    `workers` stays empty where only their number is wanted: that is `workers_count`.
    """

    job: str
    number: int
    fence: int
    phase: AttemptPhase
    stop_cause: str | None
    diagnosis: Diagnosis | None
    decision: Decision | None
    placements: tuple[Placement, ...]
    started_at_ms: int
    released_at_ms: int | None
    ended_at_ms: int | None
    workers: tuple[WorkerRow, ...] = ()

    @property
    def id(self) -> str:
        """Give the name that is written down: `job/number`."""
        return f"{self.job}/{self.number}"

    @property
    def workers_count(self) -> int:
        """Count the workers that were placed."""
        return sum(placement.count for placement in self.placements)


class ExecutionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One step in one run: what it gave, and where its job stands."""

    id: str
    run: str
    key: str
    position: int
    phase: ExecutionPhase
    text: str
    output: Output | None
    metrics: dict[str, float]
    cache_key: str
    selection: Selection | None
    started_at_ms: int | None
    ended_at_ms: int | None
    after: tuple[str, ...]
    attempts: int
    attempt: AttemptRow | None
    wait: Wait | None
    not_before_ms: int | None


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A job: what was asked for, where it stands, why it waits if it does, how many workers it has."""

    id: str
    spec: JobSpec
    phase: JobPhase
    text: str
    wait: Wait | None
    attempts: int
    not_before_ms: int | None
    submitted_at_ms: int
    started_at_ms: int | None
    ended_at_ms: int | None
    held: bool
    workers: int | None

    @property
    def run(self) -> str | None:
        """Give the run that the job belongs to, if it belongs to one."""
        return self.spec.run


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs to list, the newest first; `queue` covers what is below it, `before` pages."""

    phases: tuple[JobPhase, ...] = ()
    queue: str | None = None
    user: str | None = None
    name: str | None = None
    run: str | None = None
    limit: int = 100
    before: str | None = None
