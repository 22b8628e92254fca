"""Describe what is recorded while a worker runs, how it ended, and what was concluded.

One direction, one type a station: samples and exits come in, a diagnosis names the cause with its
evidence, a decision says what is done about it and which ledger pays.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Cause(StrEnum):
    """Why an attempt ended as it did: one closed list of codes (docs/failures.md)."""

    NONE = "NONE"
    CANCELLED = "CANCELLED"
    PREEMPTED = "PREEMPTED"
    CANCELLED_EXTERNALLY = "CANCELLED_EXTERNALLY"
    START_TIMEOUT = "START_TIMEOUT"
    NODE_LOST = "NODE_LOST"
    PARTITION = "PARTITION"
    CONNECTION = "CONNECTION"
    AUTH = "AUTH"
    OOM_HOST = "OOM_HOST"
    OOM_IMPOSSIBLE = "OOM_IMPOSSIBLE"
    OOM_VICTIM = "OOM_VICTIM"
    MEMORY_LEAK = "MEMORY_LEAK"
    OOM_GPU = "OOM_GPU"
    GPU_FRAGMENT = "GPU_FRAGMENT"
    SHM_FULL = "SHM_FULL"
    GPU_HARDWARE = "GPU_HARDWARE"
    GPU_USER_FAULT = "GPU_USER_FAULT"
    NETWORK_COLLECTIVE = "NETWORK_COLLECTIVE"
    DISK_FULL = "DISK_FULL"
    STORAGE = "STORAGE"
    MISSING_INPUT = "MISSING_INPUT"
    DATA_LOST = "DATA_LOST"
    DATA_UNAVAILABLE = "DATA_UNAVAILABLE"
    BAD_DATA = "BAD_DATA"
    BAD_OUTPUT = "BAD_OUTPUT"
    CODE_ERROR = "CODE_ERROR"
    ENV_MISMATCH = "ENV_MISMATCH"
    PERMISSION = "PERMISSION"
    CRASH_NATIVE = "CRASH_NATIVE"
    DIVERGED = "DIVERGED"
    TIMED_OUT = "TIMED_OUT"
    HUNG = "HUNG"
    LAUNCHER_STUCK = "LAUNCHER_STUCK"
    NOT_IMPROVING = "NOT_IMPROVING"
    TOO_SLOW = "TOO_SLOW"
    STRAGGLER = "STRAGGLER"
    DATA_SKEW = "DATA_SKEW"
    DATA_STARVED = "DATA_STARVED"
    DEGRADED = "DEGRADED"
    SDC_SUSPECTED = "SDC_SUSPECTED"
    NO_PROGRESS = "NO_PROGRESS"
    KILLED_UNKNOWN = "KILLED_UNKNOWN"
    USER_PERMANENT = "USER_PERMANENT"
    NO_QUALIFIED_MODEL = "NO_QUALIFIED_MODEL"
    UNSCHEDULABLE = "UNSCHEDULABLE"
    UNKNOWN = "UNKNOWN"


class CauseClass(StrEnum):
    """Whether trying again can help, and what it would need."""

    NONE = "none"
    PERMANENT = "permanent"
    TEMPORARY = "temporary"
    RESOURCE = "resource"
    DATA = "data"
    PREEMPTED = "preempted"
    CANCELLED = "cancelled"
    HOPELESS = "hopeless"
    UNKNOWN = "unknown"


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a traceback; `user` tells the user's own code from a library's."""

    file: str
    line: int
    function: str
    user: bool = False


class ErrorRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An exception as the worker's own runner wrote it down."""

    type: str
    message: str
    bases: tuple[str, ...] = ()
    errno: int | None = None
    frames: tuple[Frame, ...] = ()
    at_ms: int = 0


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact at rest: its content address, how to read it, and what it is.

    durability  `memory`: as long as who holds it lives; `node`: a file of its machine; `durable`
    """

    digest: str
    codec: str
    size_bytes: int
    kind: str = "value"
    name: str = ""
    metrics: dict[str, float] = {}
    durability: str = "durable"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a step that ended well leaves behind: its output, other artifacts, final metrics."""

    output: Output | None = None
    artifacts: tuple[Output, ...] = ()
    metrics: dict[str, float] = {}
    params: dict[str, object] = {}
    dropped: int = 0


class Yielded(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says that leaves with its work saved (exit code 75): `yield.json` in its folder.

    `fence` is that of the attempt that saved: the record of an older one says nothing.
    """

    fence: int
    step: int | None = None
    checkpoint: str = ""


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """How one worker ended, written by its agent. Exactly one of code and signal, or `lost`.

    `step` is the last training step that it reported, if it reported any. `oom_kills` are the
    kernel's, in the worker's own cgroup; `host_oom_kills` those anywhere else on the machine a moment
    before it was killed; `over_memory`: our guard ended it.
    """

    at_ms: int
    code: int | None = None
    signal: int | None = None
    lost: str | None = None
    started: bool = True
    error: ErrorRecord | None = None
    report: Report | None = None
    memory_peak_bytes: int = 0
    cpu_ms: int = 0
    step: int | None = None
    yielded: Yielded | None = None
    oom_kills: int = 0
    over_memory: bool = False
    host_oom_kills: int = 0

    @property
    def good(self) -> bool:
        """Say whether the worker ended well."""
        return self.code == 0 and self.lost is None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One fact that a diagnosis stands on, and where it is to be found."""

    text: str
    ref: str


NOT_READY = "not_ready"  # the symptom of workers that have not met yet: nothing is wrong so far
SLOW = "slow"  # the symptom of a worker for which all others wait
# What is said of an attempt by its metric and its pace, the words of an outlook.
NOT_IMPROVING, TOO_SLOW, CONVERGED = "not_improving", "too_slow", "converged"


class Symptom(msgspec.Struct, frozen=True, kw_only=True):
    """What is seen of an attempt that still runs: a pattern, since when, at which workers."""

    name: str
    text: str
    since_ms: int
    ranks: tuple[int, ...] = ()
    evidence: tuple[Evidence, ...] = ()


class RuledOut(msgspec.Struct, frozen=True, kw_only=True):
    """A cause that was thought of, and what speaks against it."""

    cause: Cause
    why: str


class Cascade(msgspec.Struct, frozen=True, kw_only=True):
    """A failure of another worker that only follows from the first one."""

    rank: int | None
    text: str


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """Whether it is worth it to go on: promising, converged, not_improving, too_slow, unknown."""

    verdict: str
    text: str


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """A named cause with its evidence; `rank` is the worker that failed first."""

    cause: Cause
    cause_class: CauseClass
    confidence: str
    text: str
    hint: str = ""
    fingerprint: str = ""
    rank: int | None = None
    evidence: tuple[Evidence, ...] = ()
    ruled_out: tuple[RuledOut, ...] = ()
    cascade: tuple[Cascade, ...] = ()
    outlook: Outlook | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What is done about a diagnosis, which rule said so, and which ledger pays.

    memory_bytes   what the next attempt gets, where that is known to differ
    resume_from    the progress, 0 to 1, that is saved
    rerun          steps whose lost outputs must be made again first
    lacks          paths of data that must be there again before the next attempt
    ledger_before  of the ledger that is named: used before, and allowed (None: without limit)
    """

    action: str
    cause: Cause
    fingerprint: str
    text: str
    rule: str
    after_ms: int = 0
    ledger: str | None = None
    ledger_used: int = 0
    ledger_allowed: int = 0
    hint: str = ""
    memory_bytes: int | None = None
    resume_from: float | None = None
    exclude_nodes: tuple[str, ...] = ()
    rerun: tuple[str, ...] = ()
    replace_ranks: tuple[int, ...] = ()
    sample_interval_ms: int | None = None
    ledger_before: tuple[int, int | None] | None = None
    ledger_after: tuple[int, int | None] | None = None
    lacks: tuple[str, ...] = ()


class Sample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One reading of one series of one worker; `step` is the training step, if it has one.

    `worker` is the rank that it is about, where another worker tells it.
    """

    name: str
    at_ms: int
    value: float
    step: int | None = None
    worker: int | None = None


class Note(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fact that a program tells of itself while it runs; unlike a sample it is no number.

    kind   `param`, `tag`, `input`, `artifact`, `checkpoint`, `phase`, `model`
    key    the name of the parameter, tag, dataset, artifact, phase
    value  what JSON has: the value of a parameter or tag; of the others, what is known by name
    """

    kind: str
    key: str
    at_ms: int
    value: object = None
