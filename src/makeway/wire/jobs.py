"""Say what a job is like to whoever asks: one shape for lists, single jobs and every output."""

from __future__ import annotations

import msgspec

from makeway.wire.amounts import Amounts
from makeway.wire.placed import Placed


class WaitView(msgspec.Struct, frozen=True, kw_only=True):
    """Why a job does not run; docs/policy.md has the reasons. Times in seconds since 1970.

    `unblock` says what would start it, `starts_s` when it is expected to; both only in `why`.
    """

    reason: str
    text: str
    detail: dict[str, object] = {}
    blocked_by: tuple[str, ...] = ()
    unblock: tuple[str, ...] = ()
    starts_s: float | None = None


class SymptomView(msgspec.Struct, frozen=True, kw_only=True):
    """What is seen of a job that runs and comes no further; `since_s` in seconds since 1970."""

    name: str
    text: str
    since_s: float
    ranks: tuple[int, ...] = ()
    evidence: tuple[str, ...] = ()


class WorkerView(msgspec.Struct, frozen=True, kw_only=True):
    """One worker of an attempt, and how it ended if it has."""

    rank: int
    node: str
    pid: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    lost: str | None = None
    memory_peak: int | None = None
    cpu_s: float | None = None
    started_s: float | None = None
    ended_s: float | None = None


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One try at a job: where it ran, how it ended and what was made of that."""

    number: int
    phase: str
    started_s: float
    ended_s: float | None = None
    end: str | None = None
    text: str = ""
    hint: str = ""
    decision: str = ""
    placement: Placed = {}
    workers: tuple[WorkerView, ...] = ()


class GroupView(msgspec.Struct, frozen=True, kw_only=True):
    """Workers of one shape: how many are asked for, and what each takes."""

    name: str
    min: int
    max: int
    per_worker: Amounts


class JobView(msgspec.Struct, frozen=True, kw_only=True, rename={"job_class": "class"}):
    """A job. `workers` and `placement` are those that it holds now; `position` its place in line.

    `attempts` is filled where one job is asked for; `attempt` is the number of the latest.
    `symptom` is there while it runs and something is seen to be wrong with it: it is stuck.
    """

    id: str
    name: str
    user: str
    queue: str
    job_class: str
    priority: int
    phase: str
    held: bool = False
    text: str = ""
    wait: WaitView | None = None
    symptom: SymptomView | None = None
    workers: int = 0
    placement: Placed = {}
    groups: tuple[GroupView, ...] = ()
    attempt: int = 0
    preemptions: int = 0
    position: int | None = None
    command: tuple[str, ...] = ()
    directory: str = ""
    run: str | None = None
    after: tuple[str, ...] = ()
    time_limit_s: float | None = None
    submitted_s: float
    started_s: float | None = None
    ended_s: float | None = None
    attempts: tuple[AttemptView, ...] = ()


class CacheView(msgspec.Struct, frozen=True, kw_only=True):
    """Why a step was computed and not reused: its key beside the nearest that was computed before.

    hit          an earlier output stands in for it
    parts        what its key is made of
    nearest      the step whose key differs in least from it, which ended at `nearest_s`
    differences  in what it differs, one sentence each
    """

    step: str
    phase: str
    hit: bool
    text: str
    parts: dict[str, str] = {}
    nearest: str | None = None
    nearest_s: float | None = None
    differences: tuple[str, ...] = ()


class WhyView(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `why`: the job, its wait, and whom it waits for, link by link.

    `chain` begins with the job itself: each next one is what the one before waits for, and says of
    itself in a sentence where it stands. Of a step of a run, `cache` says why it was computed, or
    what was reused; one that was reused, or has not begun, has no `job`.
    """

    job: JobView | None = None
    wait: WaitView | None = None
    chain: tuple[str, ...] = ()
    cache: CacheView | None = None


class JobsWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs to list, the newest first; `phases` empty: all. A queue covers those below it."""

    phases: tuple[str, ...] = ()
    queue: str | None = None
    user: str | None = None
    run: str | None = None
    limit: int = 100
    cursor: str | None = None


class Resize(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many workers a job may have from now on, in one of its groups."""

    min: int
    max: int
    group: str | None = None


class Override(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants instead of what was decided: `retry`, `stop` or `skip`; and why."""

    act: str
    reason: str = ""


class Overridden(msgspec.Struct, frozen=True, kw_only=True):
    """What was overridden, by whom, against what; `state` is where the step or job stands then."""

    step: str
    act: str
    user: str
    reason: str
    against: str
    text: str
    state: str
