"""Describe where artifacts come from: what was made, by which steps, from what, for whom.

A `Lineage` is a piece of the whole graph, around one artifact. Its edges are uses: a step reads an
artifact (`input`) or gives it (`output`). Times are seconds since 1970.
"""

from __future__ import annotations

import msgspec


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """One artifact. `version` counts the contents that had this name, from 1; `made_by` is a step."""

    digest: str
    kind: str
    name: str
    version: int = 1
    size_bytes: int = 0
    state: str = "live"
    made_by: str | None = None
    made_s: float | None = None
    metrics: dict[str, float | None] = {}


class Maker(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a run, or a job that was brought on its own; `code` names what it executed."""

    id: str
    run: str | None = None
    workflow: str = ""
    name: str
    state: str
    user: str | None = None
    code: str = ""
    cause: str | None = None
    started_s: float | None = None
    ended_s: float | None = None
    params: dict[str, object] = {}
    metrics: dict[str, float | None] = {}


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """A step that reads or gives an artifact; `key` is the argument, or the name it was given."""

    step: str
    digest: str
    role: str
    key: str = ""


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """What is around one artifact, `root`; `cut` where there is more than was asked for."""

    root: str
    artifacts: tuple[Made, ...]
    steps: tuple[Maker, ...]
    uses: tuple[Use, ...]
    cut: bool = False


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not the same in two artifacts or runs.

    `what` is code, param, input, metric, state or step; `where` the step that it is about, `depth` how
    many steps before the two that is. What one of them does not have is None.
    """

    what: str
    where: str
    name: str = ""
    left: object = None
    right: object = None
    depth: int = 0


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Why two artifacts or runs differ; no differences: they were made alike."""

    left: str
    right: str
    same: bool
    differences: tuple[Difference, ...]
