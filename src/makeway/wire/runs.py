"""Say what a run is like to whoever brings it to a service, and how the service answers.

A workflow is Python; it is built where its file is, by whoever brings it, and comes as the graph
that `makeway.model.workflow` describes. Its artifacts lie in the store of the service.
"""

from __future__ import annotations

import msgspec

from makeway.model.workflow import Workflow


class RunWanted(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"job_class": "class"},
):
    """A workflow that is to run. `resumes`: the run whose outputs may stand in for its steps.

    `fresh` are steps that are computed anew, whatever was computed before.
    """

    workflow: Workflow
    queue: str | None = None
    job_class: str = "medium"
    resumes: str | None = None
    fresh: tuple[str, ...] = ()


class RunBrought(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is on record."""

    id: str
    workflow: str
    user: str
    queue: str
    phase: str
    resumed_from: str | None = None


class TroubleView(msgspec.Struct, frozen=True, kw_only=True):
    """A step that failed, or is in trouble as it runs: why, and which steps it holds up."""

    step: str
    phase: str
    cause: str
    text: str
    hint: str
    attempts: int
    holds_up: tuple[str, ...]


class RunStepView(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a run; `after` are those that it waits for, `wait` says why it does not run."""

    id: str
    key: str
    phase: str
    text: str
    cause: str | None
    wait: str | None
    metrics: dict[str, float]
    after: tuple[str, ...]
    attempts: int
    started_at_ms: int | None
    ended_at_ms: int | None


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """A run, and what is wrong in it. Of its `count` steps `good` gave an output.

    A list gives the runs alone: of one that is asked for by itself there are `params` and `steps` too.
    """

    id: str
    workflow: str
    user: str
    queue: str
    phase: str
    text: str
    resumed_from: str | None
    submitted_at_ms: int
    ended_at_ms: int | None
    count: int
    ended: int
    good: int
    troubles: tuple[TroubleView, ...] = ()
    params: dict[str, object] = {}
    steps: tuple[RunStepView, ...] = ()
