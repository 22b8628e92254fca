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
