"""Name what is believed of runs: brought, step by step, and at their end; members of `event`."""

from __future__ import annotations

import msgspec

from makeway.model import fact
from makeway.model.phase import ExecutionPhase, RunPhase
from makeway.model.record import Output
from makeway.model.workflow import Binding, Reusable, Selection, Workflow

Fact = fact.Fact


# ── of runs ───────────────────────────────────────────────────────────────────────────────────────


class RunSubmitted(Fact, frozen=True):
    """A workflow was accepted, with its parameters bound."""

    run: str
    workflow: Workflow
    user: str
    queue: str
    priority: int = 0
    resumed_from: str | None = None
    reusable: tuple[Reusable, ...] = ()
    fresh: tuple[str, ...] = ()


class ExecutionSubmitted(Fact, frozen=True):
    """A step's inputs are complete; its job follows. `key_parts`: what its key is made of."""

    execution: str
    cache_key: str
    key_parts: dict[str, str] = msgspec.field(default_factory=dict)


class ExecutionEnded(Fact, frozen=True):
    """A step has reached its final phase; `waived`: what reads it goes on without."""

    execution: str
    phase: ExecutionPhase
    text: str = ""
    output: Output | None = None
    metrics: dict[str, float] = msgspec.field(default_factory=dict)
    cache_key: str = ""
    selection: Selection | None = None
    key_parts: dict[str, str] = msgspec.field(default_factory=dict)
    waived: bool = False


class ExecutionReopened(Fact, frozen=True):
    """A step that had been given up may run after all: somebody has overridden one before it."""

    execution: str
    text: str = ""


class RunFinished(Fact, frozen=True):
    """Every step of a run is final."""

    run: str
    phase: RunPhase
    text: str = ""


class LateResult(Fact, frozen=True):
    """Candidates have ended after the selection was made; `selection` is what holds from here on."""

    execution: str
    candidates: tuple[str, ...]
    selection: Selection
    text: str = ""


class ExecutionReplaced(Fact, frozen=True):
    """A step is done again, by a new execution, since what it reads was replaced.

    `remakes`: or since what it gave, the output `lost`, is gone, and this execution needs it.
    """

    execution: str
    replaces: str
    position: int
    upstream: tuple[str, ...] = ()
    text: str = ""
    remakes: str = ""
    lost: str = ""


class InputsRestored(Fact, frozen=True):
    """What a job had lost was made again; it reads this from here on, and may start."""

    job: str
    arguments: dict[str, Binding]
    sources: tuple[str, ...] = ()
    text: str = ""


class OutputDiverged(Fact, frozen=True):
    """A lost output was made again and is another one; `consumers` had read what was lost."""

    execution: str
    replaces: str
    before: str
    after: str
    consumers: tuple[str, ...] = ()
    text: str = ""
