"""Say what data sets add, and which models no other outdoes.

A lift of too few pairs has no interval and no rank: it is said to be of too few, and never placed.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import msgspec
from fastapi import APIRouter
from markupsafe import Markup
from starlette.responses import Response

from makeway.errors import NotFound
from makeway.server.pages.ranges import Dot, Scale, range_of, scale_of, scatter
from makeway.server.pages.visit import Face, PageRoute, Visit, Visiting
from makeway.wire.worth import PAIRS_MIN, DatasetView, ModelView, WorthWanted

ROWS_MAX = 200
MODES = {"": "as models are selected", "max": "more is better", "min": "less is better"}

routes = APIRouter(include_in_schema=False, route_class=PageRoute)


class DataLine(msgspec.Struct, frozen=True, kw_only=True):
    """A data set; `picture` is its lift, None where too few pairs tell nothing."""

    view: DatasetView
    picture: Markup | None
    told: str


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """Models as points: by the metric, and by something else."""

    title: str
    picture: Markup


@routes.get("/datasets")
def datasets(visit: Visiting, metric: str = "", mode: str = "", q: str = "") -> Response:
    """Give the page; `q` restricts the models to those that fulfil a search."""
    wanted = WorthWanted(metric=metric or None, mode=mode or None, query=q.strip())
    found, models = _worth(visit, wanted)
    said = metric or next((one.metric for some in (found, models) for one in some), "")
    scale = _scale(found)
    return visit.page(
        "datasets.html",
        Face(title="Datasets", place="Datasets", command=_command(metric, mode), live="runs"),
        metric=said, filters={"metric": metric, "mode": mode, "q": q.strip()}, modes=MODES,
        rows=[_line(one, scale) for one in found[:ROWS_MAX]], pairs_min=PAIRS_MIN,
        ranked=any(one.rank is not None for one in found), models=models[:ROWS_MAX],
        hidden=max(0, len(found) - ROWS_MAX), hidden_models=max(0, len(models) - ROWS_MAX),
        pictures=_pictures(models, said), models_command=_models_command(metric, q.strip()),
    )  # fmt: skip


def _worth(visit: Visit, wanted: WorthWanted) -> tuple[Sequence[DatasetView], Sequence[ModelView]]:
    """Ask for both; that nothing was recorded yet is no mistake of who looks."""
    try:
        return visit.desk.datasets(wanted), visit.desk.models(wanted)
    except NotFound as error:
        if error.where == "metric":
            raise
        return (), ()


def _scale(found: Sequence[DatasetView]) -> Scale:
    bounds = [
        value for one in found for value in (one.lift.low, one.lift.mean, one.lift.high)
        if value is not None
    ]  # fmt: skip
    return scale_of([0.0, *bounds])


def _line(view: DatasetView, scale: Scale) -> DataLine:
    lift = view.lift
    if lift.mean is None or lift.low is None or lift.high is None:
        return DataLine(view=view, picture=None, told="too few")
    told = f"{lift.mean:+.4g} ({lift.low:+.4g} to {lift.high:+.4g})"
    picture = range_of(scale, (lift.low, lift.mean, lift.high), told=f"lift {told}, n {lift.n}")
    return DataLine(view=view, picture=picture, told=told)


def _pictures(models: Sequence[ModelView], metric: str) -> Sequence[Picture]:
    """Draw the metric against cost, and against latency where any is known."""
    found = []
    for title, unit, across in (
        ("cost", "worker seconds to train", [one.cost_worker_s for one in models]),
        ("latency", "latency, as recorded", [one.latency for one in models]),
    ):
        dots = [
            Dot(x=x, y=one.value, path=f"/lineage?ref={one.digest}", best=one.pareto,
                chosen=one.selected, told=f"{one.name} {one.digest[:8]}: {metric} {one.value:.4g}, "
                f"{title} {x:.4g}")
            for one, x in zip(models, across, strict=True)
            if x is not None and one.value is not None
        ]  # fmt: skip
        if dots:
            picture = scatter(dots, across=unit, upward=metric)
            found.append(Picture(title=f"{metric} by {title}", picture=picture))
    return found


def _command(metric: str, mode: str) -> str:
    words = ["makeway datasets"]
    words += [f"--metric {shlex.quote(metric)}"] if metric else []
    words += [f"--mode {mode}"] if mode else []
    return " ".join(words)


def _models_command(metric: str, query: str) -> str:
    words = ["makeway search"]
    words += [shlex.quote(query)] if query else []
    words.append("--kind models --pareto")
    words += [f"--metric {shlex.quote(metric)}"] if metric else []
    return " ".join(words)
