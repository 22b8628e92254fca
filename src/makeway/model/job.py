"""Describe what is submitted, queued and started as one: the job, and one try at it.

`JobSpec` is what the user asked for; only a resize that was asked for later changes it. `Job` is what is believed about it now,
`Attempt` what is believed about one try; both are replaced, never modified, and only by
`engine.apply`. The identity of a worker is (job, attempt number, fence, rank): the fence rises with
every new attempt, so that a message of an older one is recognised and refused.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from makeway.model.cluster import Allocation
from makeway.model.incident import Past, Seen
from makeway.model.phase import AttemptPhase, JobPhase
from makeway.model.record import Decision, Exit, Symptom
from makeway.model.resources import NOTHING, Resources
from makeway.model.ruling import Rule
from makeway.model.workflow import Binding, Goal

CLASSES = {"low": -100, "medium": 0, "high": 100, "system": 1000}

# From here on a class is the administrators' own; it alone ignores guarantees.
SYSTEM_MIN = 1000


class WorkerGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Workers of one shape. As a gang, `count_min` of them start together or none does."""

    name: str = "worker"
    count_min: int = 1
    count_max: int = 1
    per_worker: Resources = NOTHING


class StepCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a Python step: which function of which file, and its arguments, resolved.

    sources     the executions whose outputs the arguments are
    durability  where its own output is to be kept
    """

    file: str
    function: str
    arguments: dict[str, Binding] = {}
    sources: tuple[str, ...] = ()
    durability: str = "durable"


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What each worker runs: a command line, or a call of a Python step."""

    argv: tuple[str, ...] = ()
    call: StepCall | None = None
    directory: str = ""
    environment: dict[str, str] = {}


class On(StrEnum):
    """Which end of another job a job waits for."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ENDED = "ended"


class After(msgspec.Struct, frozen=True, kw_only=True):
    """A dependency: the job is held until that job has ended so."""

    job: str
    on: On = On.SUCCEEDED


class OnHang(StrEnum):
    """What is done about an attempt that is stuck."""

    REPORT = "report"
    RESTART = "restart"


class OnHopeless(StrEnum):
    """What is done about work that is not worth it: it makes room for others, ends, or is marked."""

    YIELD = "yield"
    STOP = "stop"
    FLAG = "flag"


class Domain(msgspec.Struct, frozen=True, kw_only=True):
    """Nodes with one value of a label (a rack, a switch) that the whole gang should, or must, share."""

    label: str
    required: bool = True


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for. Times in ms; `retries` is the app ledger (N retries, N + 1 attempts).

    time_limit_ms        what the user promised as the longest run of one attempt, from the instant
                         at which all its workers are let go; None: unknown
    expected_ms          what earlier runs of the same step took; None: unknown
    known_ms             the true run time where it is known (a trace that is replayed): only the
                         policies that say so look at it
    preemptible          may be evicted; if not, it is admitted only inside its queue's guarantee
    checkpoint_every_ms  a durable checkpoint is made so often; None: an eviction loses everything
    startup_ms           recorded time from the start until work begins; lost with each eviction
    after                jobs that must have ended before; until then this one is held
    on_hang              what is done when an attempt is stuck: it is told, or it is started again
    nodes                the only nodes it may run on; empty: any
    max_memory_bytes     a worker that ran out of memory never gets more than that; None: no bound
                         but the machines'
    goal                 what a training is to reach; who does not get nearer is not tried again
    min_rate             progress (0 to 1) in an hour below which it is too slow; None: 0.025 while
                         others wait; 0: it is never too slow
    on_hopeless          what is done once it is not worth it
    yielded_from         its priority before it was told to yield: it starts only on what nobody else
                         wants, elastic workers included; None: it does not yield
    sample_ms            how often its workers are measured; None: as everybody's are
    on_failure           its own rules of failures; the first that matches counts
    """

    name: str
    user: str
    queue: str
    priority: int = 0
    groups: tuple[WorkerGroup, ...] = (WorkerGroup(),)
    program: Program = Program()
    retries: int = 0
    idempotent: bool = True
    barrier_ms: int = 60_000
    grace_ms: int = 30_000
    run: str | None = None
    time_limit_ms: int | None = None
    expected_ms: int | None = None
    known_ms: int | None = None
    preemptible: bool = True
    checkpoint_every_ms: int | None = None
    startup_ms: int = 0
    after: tuple[After, ...] = ()
    nodes: tuple[str, ...] = ()
    domain: Domain | None = None
    on_hang: OnHang = OnHang.REPORT
    max_memory_bytes: int | None = None
    goal: Goal | None = None
    min_rate: float | None = None
    on_hopeless: OnHopeless = OnHopeless.YIELD
    yielded_from: int | None = None
    sample_ms: int | None = None
    on_failure: tuple[Rule, ...] = ()

    @property
    def workers_min(self) -> int:
        """Count the workers without which the job does not start."""
        return sum(group.count_min for group in self.groups)

    @property
    def elastic(self) -> bool:
        """Say whether the number of workers may change while the job runs."""
        return any(group.count_min < group.count_max for group in self.groups)

    @property
    def lasts_ms(self) -> int | None:
        """Give the longest time that a run is expected to take, if anybody has said so."""
        return self.time_limit_ms if self.time_limit_ms is not None else self.expected_ms

    @property
    def asked(self) -> Resources:
        """Add up what the job holds when every group is at its maximum."""
        total = NOTHING
        for group in self.groups:
            total = total + group.per_worker.times(group.count_max)
        return total

    def shape(self) -> dict[str, Resources]:
        """Give each group's vector by its name."""
        return {group.name: group.per_worker for group in self.groups}


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """What is believed of one worker of an attempt.

    `since_ms` is when an elastic attempt grew by it: what an earlier worker of its rank says is old.
    """

    rank: int
    node: str
    pid: int = 0
    address: str = ""
    port: int = 0
    ready: bool = False
    started: bool = False
    leaving: bool = False
    since_ms: int = 0
    exit: Exit | None = None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try at a job, from its placement to its end; numbered from 1."""

    job: str
    number: int
    fence: int
    allocation: Allocation
    phase: AttemptPhase
    started_at_ms: int
    barrier_at_ms: int
    workers: tuple[Worker, ...]
    released_at_ms: int | None = None
    stop_cause: str | None = None
    stop_text: str = ""
    stopped_at_ms: int | None = None
    seen: Seen | None = None
    generation: int = 0
    symptom: Symptom | None = None

    @property
    def id(self) -> str:
        """Give the name that is written down: `job/number`."""
        return f"{self.job}/{self.number}"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What is believed about a job now. `submitted_at_ms` is kept over every requeue.

    `inherited` is the highest priority among the jobs that wait for this one, `evicted_at_ms` the
    last time that it was evicted (`evicted_seq`: the entry that says so), `served_ms` how long it has run in all attempts that ended,
    `held` why somebody wants it not to start, if anybody does. `past` is what is known of its attempts
    that have ended; `avoids` names the machines that one of them was ill of, and `only` those that
    are left, where it has room on them; `lacks` the data that must be back before the next one,
    `awaits` the steps of its run that make such data again first;
    `replaced` which workers were too slow: rank, its machine, when (ms); `stop_wanted` who has
    overridden that it goes on, and why.
    """

    id: str
    spec: JobSpec
    order: int
    submitted_at_ms: int
    phase: JobPhase = JobPhase.QUEUED
    not_before_ms: int = 0
    attempts: int = 0
    fence: int = 0
    cancel_wanted: bool = False
    history: tuple[Decision, ...] = ()
    inherited: int | None = None
    evicted_at_ms: int | None = None
    evicted_seq: int | None = None
    served_ms: int = 0
    held: str | None = None
    past: tuple[Past, ...] = ()
    avoids: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    lacks: tuple[str, ...] = ()
    awaits: tuple[str, ...] = ()
    replaced: tuple[tuple[int, str, int], ...] = ()
    stop_wanted: str | None = None

    @property
    def nodes(self) -> tuple[str, ...]:
        """Give the only nodes it may start on now; empty: any."""
        return self.spec.nodes if self.only is None else self.only

    @property
    def priority(self) -> int:
        """Give the effective priority: the job's own, or that of a job which waits for it."""
        own = self.spec.priority
        return own if self.inherited is None else max(own, self.inherited)
