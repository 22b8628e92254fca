"""Say what data sets and models were worth: by a metric, by cost, by latency.

A lift is what a data set adds to the metric: the mean difference to siblings that differ in nothing
but that data set, with an interval that holds it in 95 of 100 cases. Of fewer than `PAIRS_MIN` pairs
there is no interval and no rank, since so few may have gone either way by chance.
"""

from __future__ import annotations

import msgspec

from makeway.wire.search import DatasetRef

PAIRS_MIN = 5


class Lift(msgspec.Struct, frozen=True, kw_only=True):
    """What a data set adds, over `n` pairs; `low` and `high` bound it. Of too few, it is nothing."""

    n: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None


class DatasetView(msgspec.Struct, frozen=True, kw_only=True):
    """A data set: how many runs read it, how many models of it were selected, what it adds."""

    name: str
    digest: str
    runs: int
    selected: int
    metric: str
    mean: float | None
    lift: Lift
    rank: int | None = None


class ModelView(msgspec.Struct, frozen=True, kw_only=True):
    """A model by its final metric, what it cost to train, and how long it takes to answer.

    `pareto`: no other is at least as good in all of these, and better in one.
    """

    name: str
    digest: str
    made_by: str | None
    run: str | None
    metric: str
    value: float | None
    cost_worker_s: float | None
    latency: float | None
    selected: bool
    pareto: bool
    params: dict[str, object] = {}
    datasets: tuple[DatasetRef, ...] = ()


class WorthWanted(msgspec.Struct, frozen=True, kw_only=True):
    """By which metric; None: the one by which models were selected. `mode` is max or min.

    `query` restricts models to those that fulfil a search.
    """

    metric: str | None = None
    mode: str | None = None
    query: str = ""
