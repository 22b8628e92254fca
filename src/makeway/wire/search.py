"""Say what can be searched for, and what is found.

A run is one of a workflow, or a job that was brought on its own; a step is one of a run, or such a
job. Models and data sets are artifacts. Times are seconds since 1970.
"""

from __future__ import annotations

import msgspec

KINDS = ("runs", "steps", "models", "datasets", "artifacts")


class SearchWanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is searched for: `query` as docs/search.md says; no query finds everything.

    `order_by` names what comes first (`metrics.loss ASC`); `columns` what is told of each, where
    not all of it is wanted. `cursor` goes on behind a page.
    """

    query: str = ""
    kind: str = "runs"
    order_by: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    limit: int = 100
    cursor: str | None = None


class LineageWanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the lineage of an artifact is wanted for: so many steps before it, and after it.

    `ref` is the beginning of a digest, a name, `name:version`, a step, or `@last`.
    """

    ref: str
    up: int = 20
    down: int = 20


class DatasetRef(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact that something was made from."""

    name: str
    digest: str


class FoundItem(msgspec.Struct, frozen=True, kw_only=True):
    """One of what was found. `metrics` are final ones; `cause` is why it last failed, if it did.

    Of an artifact, `id` is the digest and `made_by` the step; its `params`, `tags`, `datasets` and
    `cause` are those of that step.
    """

    kind: str
    id: str
    name: str
    run: str | None = None
    state: str = ""
    user: str | None = None
    queue: str | None = None
    submitted_s: float | None = None
    started_s: float | None = None
    ended_s: float | None = None
    made_by: str | None = None
    size_bytes: int | None = None
    cause: str | None = None
    text: str = ""
    metrics: dict[str, float | None] = {}
    params: dict[str, object] = {}
    tags: dict[str, str] = {}
    datasets: tuple[DatasetRef, ...] = ()


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A page of what was found; `total` counts all of it, on whatever page."""

    items: tuple[FoundItem, ...]
    next_cursor: str | None
    total: int
