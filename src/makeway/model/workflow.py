"""Describe a workflow, one run of it, and one step in that run.

A `Workflow` is the definition: a graph of steps, already bound to its parameters. Its edges are the
bindings of its arguments. A `Run` is one execution of all of it; an `Execution` one step in that
run, which is either a job or something the controller decides by itself (a selection).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from makeway.model.phase import ExecutionPhase, RunPhase
from makeway.model.record import Output
from makeway.model.resources import NOTHING, Resources
from makeway.model.ruling import Rule


class Constant(msgspec.Struct, frozen=True, tag="constant"):
    """A value known before the run starts; `value` is plain JSON."""

    value: object


class Stored(msgspec.Struct, frozen=True, tag="stored"):
    """An artifact by its content address."""

    output: Output


class FromStep(msgspec.Struct, frozen=True, tag="step"):
    """The output of another step."""

    step: str


class FromSlot(msgspec.Struct, frozen=True, tag="slot"):
    """The output of the candidate that a selection put at place `slot` (counted from 0)."""

    step: str
    slot: int


class Many(msgspec.Struct, frozen=True, tag="many"):
    """A list of bindings: a fan-in.

    wait         None: until all have ended; else so many have to succeed, and those are taken
    min_success  None: all have to succeed; else this part of them, and the others are a `Failure` each
    """

    items: tuple[Binding, ...]
    wait: int | None = None
    min_success: float | None = None


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """What stands in a list for a step that gave nothing, and why it did."""

    step: str
    text: str


AGAIN = "~"  # no key of a step has it

Binding = Constant | Stored | FromStep | FromSlot | Many | Failure


class Goal(msgspec.Struct, frozen=True):
    """What a training step is trying to reach."""

    metric: str
    mode: str = "max"
    target: float | None = None
    min_delta: float | None = None


class SelectTop(msgspec.Struct, frozen=True, kw_only=True):
    """A decision at run time: the best `k` candidates whose metric is at least `minimum`.

    wait           `all` candidates, as soon as `k` are `qualified`, or as soon as so many have ended
    reselect       a candidate that ends later may take a place: the next version of the selection
    cancel_losers  candidates that still run when it is made are not needed any more
    """

    candidates: tuple[str, ...]
    metric: str
    k: int
    minimum: float | None = None
    mode: str = "max"
    if_fewer: str = "proceed"
    wait: str | int = "all"
    reselect: bool = False
    cancel_losers: bool = False


class Parallel(msgspec.Struct, frozen=True, kw_only=True):
    """Of the steps of one group, so many are submitted at a time."""

    group: str
    most: int


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One node of the graph. A step with `select` is decided by the controller, without a job.

    `trigger` says what has to have become of the steps before it; empty: all have succeeded. It is
    skipped if anything in `when` turns out to be false. It is a program if it has a `command`.
    Its own rules of failures are in `on_failure`.
    """

    key: str
    function: str = ""
    arguments: dict[str, Binding] = {}
    after: tuple[str, ...] = ()
    workers: int = 1
    per_worker: Resources = NOTHING
    retries: int = 0
    idempotent: bool = True
    priority: int = 0
    code_digest: str = ""
    goal: Goal | None = None
    select: SelectTop | None = None
    tags: dict[str, str] = {}
    max_memory_bytes: int | None = None
    min_rate: float | None = None
    on_hopeless: str = "yield"
    cache: Caching | None = None
    trigger: str = ""
    parallel: Parallel | None = None
    when: tuple[Binding, ...] = ()
    command: tuple[str, ...] = ()
    durability: str = "durable"
    on_failure: tuple[Rule, ...] = ()


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """A graph of steps bound to its parameters; `result` binds what the run gives back.

    `code` says of each code digest of its steps what it is made of: `file:name` and a digest.
    """

    name: str
    file: str
    steps: tuple[Step, ...]
    result: Binding = Constant(None)
    params: dict[str, object] = {}
    given: dict[str, str] = {}
    document: str = ""
    code: dict[str, dict[str, str]] = {}
    on_failure: str = "continue"

    def step(self, key: str) -> Step:
        """Find a step by its key."""
        return next(step for step in self.steps if step.key == key)


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate of a selection: its value, its place (from 1), and why it was (not) taken.

    One that is `open` had not ended when the selection was made.
    """

    candidate: str
    value: float | None
    place: int | None
    chosen: bool
    why: str
    open: bool = False


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What a `SelectTop` decided, with every candidate in it, losers too.

    Each time that late results change who is chosen, it has the next `version`.
    """

    metric: str
    k: int
    minimum: float | None
    ranking: tuple[Ranked, ...]
    version: int = 1

    @property
    def chosen(self) -> tuple[str, ...]:
        """Give the chosen candidates, best first."""
        return tuple(ranked.candidate for ranked in self.ranking if ranked.chosen)


class Reusable(msgspec.Struct, frozen=True, kw_only=True):
    """An output of an earlier run that may stand in for a step with the same cache key."""

    cache_key: str
    output: Output | None
    metrics: dict[str, float] = {}
    run: str = ""


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One step in one run; `id` is `run.key`, and is its job's id too.

    A step that is done again in the same run, since its input was replaced or its output was lost, is
    another execution of it: `serve`, then `serve~2`.

    awaits   steps that make its lost inputs again before its job is tried again
    remakes  it makes a lost output again: for this execution
    waived   somebody has skipped it: what reads it goes on with None in its place, or in a list with
             a `Failure`
    """

    id: str
    run: str
    key: str
    phase: ExecutionPhase = ExecutionPhase.PENDING
    text: str = ""
    output: Output | None = None
    metrics: dict[str, float] = {}
    cache_key: str = ""
    selection: Selection | None = None
    ended_at_ms: int = 0
    awaits: tuple[str, ...] = ()
    remakes: str = ""
    waived: bool = False


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a workflow, in a user's name and on a queue's account.

    Steps in `fresh` are computed anew, whatever was computed before.
    """

    id: str
    workflow: Workflow
    user: str
    queue: str
    priority: int = 0
    resumed_from: str | None = None
    reusable: dict[str, Reusable] = {}
    submitted_at_ms: int = 0
    phase: RunPhase = RunPhase.RUNNING
    fresh: tuple[str, ...] = ()


def execution_id(run: str, key: str) -> str:
    """Name one step in one run; its job bears the same id. Run ids hold no dot."""
    return f"{run}.{key}"


def step_key(key: str) -> str:
    """Give the step of which this is the key of an execution: `serve` for `serve~2`."""
    return key.partition(AGAIN)[0]


def next_key(key: str) -> str:
    """Name the execution that replaces the one of this key."""
    return f"{step_key(key)}{AGAIN}{turn_of(key) + 1}"


def turn_of(key: str) -> int:
    """Say the how-many-th execution of its step this is, from 1."""
    return int(key.partition(AGAIN)[2] or 1)


def latest(executions: Mapping[str, Execution]) -> dict[str, Execution]:
    """Give the execution that counts of each step, by the step's key."""
    plain = {execution.key: execution for execution in executions.values()}
    if not any(AGAIN in key for key in plain):
        return plain
    newest: dict[str, Execution] = {}
    for execution in executions.values():
        step = step_key(execution.key)
        if step not in newest or turn_of(execution.key) > turn_of(newest[step].key):
            newest[step] = execution
    return newest


def run_of(execution: str) -> str:
    """Give the run that an execution, or its job, belongs to."""
    return execution.partition(".")[0]


# ── what may be reused from any earlier run ───────────────────────────────────────────────────────


class Cache(msgspec.Struct, frozen=True):
    """How a step's output may be reused by later runs, as a user writes it.

    version    counts in place of the code: the same as long as it is the same; empty: the code
    ttl        how old an output may be: `"12h"`, or seconds; None: any age
    ignore     arguments that do not change what is computed
    serialize  one computes, and whoever wants the same at that time waits for it
    cache_env  True: other versions of installed packages are another environment, or a lock file
    """

    version: str | int = ""
    ttl: str | float | None = None
    ignore: tuple[str, ...] | list[str] = ()
    serialize: bool = False
    cache_env: bool | str = False


class Caching(msgspec.Struct, frozen=True, kw_only=True):
    """The same, read and checked; `environment` is the digest of the lock once it is known."""

    version: str = ""
    ttl_ms: int | None = None
    ignore: tuple[str, ...] = ()
    serialize: bool = False
    lock: str = ""
    environment: str = ""
