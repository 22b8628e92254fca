"""Describe one incident: what is known of an attempt that ended, or that runs and is judged.

It is the evidence document of `makeway diagnose --evidence-file` as a value, and what the engine
makes of an attempt of its own. Every field may be absent (`None`, or nothing in it): absent is
unknown, never false. Times are seconds since the attempt started.
"""

from __future__ import annotations

import math

import msgspec

from makeway.model.record import Cause, Evidence, Frame
from makeway.model.ruling import Rule


class Point(msgspec.Struct, frozen=True):
    """One sample; `index` is its place in the document, where it can be looked up."""

    index: int
    at_s: float
    value: float


Series = tuple[Point, ...]


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a process ended: its exit code, or the signal that ended it, as far as that is known.

    vanished  nobody saw it end: why not (its agent is silent); its machine is told of elsewhere
    early     it left before its program began, so that even code 0 is no good end
    record    of who left with code 75: the record of what is saved is this attempt's (`own`), an
              older one's (`older`), or not there (`none`)
    """

    at_s: float | None = None
    exit_code: int | None = None
    signal: int | None = None
    vanished: str | None = None
    early: bool = False
    record: str | None = None


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, a worker; `min_rate` is progress (0 to 1) in an hour."""

    memory_bytes: int | None = None
    max_memory_bytes: int | None = None
    cpus: float | None = None
    gpus: float | None = None
    workers_min: int | None = None
    workers_max: int | None = None
    elastic: bool | None = None
    retries: int | None = None
    time_limit_s: float | None = None
    grace_s: float | None = None
    min_rate: float | None = None
    on_hopeless: str | None = None
    idempotent: bool | None = None

    @property
    def resizes(self) -> bool:
        """Say whether it can go on with other workers than it has."""
        if self.elastic is not None:
            return self.elastic
        least, most = self.workers_min, self.workers_max
        return least is not None and most is not None and least < most


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """What makeway itself had ordered; `text` says why, `ranks` who had brought it about.

    `cause` is what the order to end was for, where the attempt had been judged while it ran.
    """

    kind: str
    at_s: float | None = None
    text: str = ""
    evidence: tuple[Evidence, ...] = ()
    ranks: tuple[int, ...] = ()
    cause: Cause | None = None


class Kernel(msgspec.Struct, frozen=True, kw_only=True):
    """What the kernel counted; `cgroup` of False: it could not be asked."""

    oom_kill: int | None = None
    host_oom_kill: int | None = None
    memory_peak_bytes: int | None = None
    cgroup: bool | None = None

    @property
    def readable(self) -> bool:
        """Say whether the counter of the worker's own cgroup was read."""
        return self.oom_kill is not None and self.cgroup is not False


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An exception that a worker wrote down."""

    type: str = ""
    message: str = ""
    bases: tuple[str, ...] = ()
    errno: int | None = None
    frames: tuple[Frame, ...] = ()
    rank: int | None = None
    at_s: float | None = None


class WorkerSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One worker of the attempt; without `ended` it runs."""

    rank: int
    node: str | None = None
    ended: Ended | None = None
    error: Failure | None = None


class NodeSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A machine of the attempt."""

    name: str | None = None
    alive: bool | None = None
    draining: bool | None = None
    silent_for_s: float | None = None
    faults: tuple[str, ...] = ()
    labels: dict[str, str] = {}


class InputSeen(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the step reads."""

    name: str | None = None
    producer: str | None = None
    durability: str | None = None
    managed: bool | None = None
    available: bool | None = None
    path: str | None = None

    @property
    def ours(self) -> bool:
        """Say whether makeway keeps it: it says so, or it knows the step that made it."""
        return self.managed if self.managed is not None else self.producer is not None


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The latest work that is saved; `step` is the training step, where no progress is known."""

    progress: float | None = None
    at_s: float | None = None
    step: int | None = None


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """What the step is to reach."""

    metric: str
    mode: str | None = None
    target: float | None = None
    min_delta: float | None = None


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier attempt of the step: how it ended, how far it came, how far its work was saved.

    `step` and `checkpoint_step` are training steps, in whose order attempts are where they report
    no progress. `by_itself`: it left with its work saved, and nobody had told it to.
    """

    attempt: int | None = None
    cause: Cause | None = None
    fingerprint: str | None = None
    progress: float | None = None
    checkpoint: float | None = None
    node: str | None = None
    memory_bytes: int | None = None
    ranks: tuple[int, ...] = ()
    step: int | None = None
    checkpoint_step: int | None = None
    by_itself: bool = False


class Replaced(msgspec.Struct, frozen=True, kw_only=True):
    """A worker of this attempt that was replaced; `node` is where it went."""

    rank: int | None = None
    node: str | None = None
    at_s: float | None = None


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """The part of its program that the step says it is in."""

    name: str | None = None
    since_s: float | None = None


class OutputSeen(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the step said it would leave behind."""

    name: str | None = None
    exists: bool | None = None
    valid: bool | None = None


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """What is free on the volume that the step writes to, and of shared memory."""

    bytes_free: int | None = None
    inodes_free: int | None = None
    shm_free_bytes: int | None = None


class PastRuns(msgspec.Struct, frozen=True, kw_only=True):
    """Successful attempts of the same step: how long, and how much memory."""

    p90_s: float | None = None
    memory_p95_bytes: int | None = None


class OtherHit(msgspec.Struct, frozen=True, kw_only=True):
    """Another step that failed lately."""

    step: str | None = None
    node: str | None = None
    cause: Cause | None = None


class Amounts(msgspec.Struct, frozen=True, kw_only=True):
    """Amounts of resources; cpus and gpus in whole ones, others by name."""

    memory_bytes: int | None = None
    cpus: float | None = None
    gpus: float | None = None


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the rest of the cluster."""

    largest_node: Amounts = Amounts()
    free: Amounts = Amounts()
    waiting: int | None = None
    deadline_in_s: float | None = None
    other_nodes: int | None = None
    others_hit: tuple[OtherHit, ...] = ()


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one attempt; see the module.

    name          tells this attempt from all others, so that a crowd does not come back at once
    step_reached  the last training step that was reported
    begun         False: its program had not begun, so that nothing was done twice if it is repeated
    on_failure    the step's own rules
    """

    name: str = ""
    step: str | None = None
    step_reached: int | None = None
    begun: bool | None = None
    now_s: float | None = None
    ended: Ended | None = None
    request: Request = Request()
    intent: Intent | None = None
    kernel: Kernel = Kernel()
    error: Failure | None = None
    workers: tuple[WorkerSeen, ...] = ()
    samples: dict[str, Series] = {}
    available: dict[str, Series] = {}
    worker_samples: dict[int, dict[str, Series]] = {}
    log: tuple[str, ...] = ()
    nodes: tuple[NodeSeen, ...] = ()
    node_key: str = "nodes"  # how the document says it: `nodes`, or `node` for a single one
    inputs: tuple[InputSeen, ...] = ()
    checkpoint: Checkpoint = Checkpoint()
    goal: Goal | None = None
    history: tuple[Past, ...] = ()
    replaced: tuple[Replaced, ...] = ()
    stacks: dict[int, str] = {}
    phase: Phase | None = None
    outputs: tuple[OutputSeen, ...] = ()
    disk: Disk = Disk()
    past_runs: PastRuns = PastRuns()
    ledgers: dict[str, tuple[int, int | None]] = {}
    cluster: Cluster = Cluster()
    on_failure: tuple[Rule, ...] = ()

    @property
    def end_s(self) -> float | None:
        """Give the instant that is judged: the end, else now, else the latest that is known of."""
        if self.ended is not None and self.ended.at_s is not None:
            return self.ended.at_s
        if self.now_s is not None:
            return self.now_s
        if self.error is not None and self.error.at_s is not None:
            return self.error.at_s
        last = [series[-1].at_s for series in self.samples.values() if series]
        return max(last, default=None)

    def series(self, name: str) -> Series:
        """Give the samples of a name; nothing if there are none."""
        return self.samples.get(name, ())

    def node_ref(self, at: int, key: str) -> str:
        """Say where something about a node stands in the document."""
        place = "node" if self.node_key == "node" else f"nodes[{at}]"
        return f"{place}.{key}"


Track = tuple[tuple[float, float | None], ...]  # seconds, value; None: it is no number


class Seen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What only the outside knows of an attempt that fails: who drives the engine hands it in.

    `samples` and the like are the series as the rules name them, thinned so that the least, the
    largest, the first and the last of each stay.
    """

    samples: dict[str, Track] = {}
    available: dict[str, Track] = {}
    worker_samples: dict[int, dict[str, Track]] = {}
    log: tuple[str, ...] = ()
    disk: Disk = Disk()
    inputs: tuple[InputSeen, ...] = ()
    checkpoint: Checkpoint = Checkpoint()
    past_runs: PastRuns = PastRuns()
    stacks: dict[int, str] = {}
    phase: Phase | None = None
    faults: dict[str, tuple[str, ...]] = {}


def series_of(track: Track) -> Series:
    """Make a series of what was handed in; a place in it is its index."""
    return tuple(
        Point(index=at, at_s=at_s, value=math.nan if value is None else value)
        for at, (at_s, value) in enumerate(track)
    )
