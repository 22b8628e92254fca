"""Answer MLflow's client about experiments."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from starlette.responses import Response

from makeway.live import tracked_experiments
from makeway.live.tracker import Tracker
from makeway.server.mlflow import API, Asked, Asking, Spoken, named, reply, taking
from makeway.server.mlflow_shapes import Json, Pair, experiment_json, mapping
from makeway.store.tracked import ACTIVE, DELETED, TrackedExperiment

routes = APIRouter(prefix=f"{API}/experiments", route_class=Spoken, include_in_schema=False)


class Create(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment that is to be made."""

    name: str
    tags: tuple[Pair, ...] = ()


class Which(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment, and perhaps its new name."""

    experiment_id: str
    new_name: str | None = None


class OnePair(msgspec.Struct, frozen=True, kw_only=True):
    """A tag of an experiment."""

    experiment_id: str
    key: str
    value: str = ""


CreateBody = Annotated[Create, Depends(taking(Create))]
WhichBody = Annotated[Which, Depends(taking(Which))]
OnePairBody = Annotated[OnePair, Depends(taking(OnePair))]


@routes.post("/create")
def create(asked: Asked, wanted: CreateBody) -> Response:
    """Make an experiment."""
    made = tracked_experiments.make(asked.tracker, wanted.name, asked.teller)
    tracked_experiments.tag(asked.tracker, asked.teller, made.id, mapping(wanted.tags))
    return reply({"experiment_id": made.id})


@routes.get("/get")
def get(asked: Asked) -> Response:
    """Give the experiment of an id."""
    which = named(asked, "experiment_id")
    return _told(asked, tracked_experiments.experiment(asked.tracker, which, asked.teller))


@routes.get("/get-by-name")
def get_by_name(asked: Asked) -> Response:
    """Give the experiment of a name."""
    name = named(asked, "experiment_name")
    return _told(asked, tracked_experiments.experiment_named(asked.tracker, name, asked.teller))


@routes.post("/update")
def rename(asked: Asked, wanted: WhichBody) -> Response:
    """Give an experiment another name."""
    tracked_experiments.change(
        asked.tracker, asked.teller, wanted.experiment_id, name=wanted.new_name
    )
    return reply()


@routes.post("/delete")
def delete(asked: Asked, wanted: WhichBody) -> Response:
    """Put an experiment away."""
    tracked_experiments.change(asked.tracker, asked.teller, wanted.experiment_id, stage=DELETED)
    return reply()


@routes.post("/restore")
def restore(asked: Asked, wanted: WhichBody) -> Response:
    """Bring an experiment back."""
    tracked_experiments.change(asked.tracker, asked.teller, wanted.experiment_id, stage=ACTIVE)
    return reply()


@routes.post("/set-experiment-tag")
def set_tag(asked: Asked, told: OnePairBody) -> Response:
    """Take a tag."""
    tags = {told.key: told.value}
    tracked_experiments.tag(asked.tracker, asked.teller, told.experiment_id, tags)
    return reply()


@routes.post("/delete-experiment-tag")
def delete_tag(asked: Asked, told: OnePairBody) -> Response:
    """Take a tag away."""
    tracked_experiments.untag(asked.tracker, asked.teller, told.experiment_id, told.key)
    return reply()


def _told(asked: Asking, experiment: TrackedExperiment) -> Response:
    return reply({"experiment": written(asked.tracker, [experiment])[0]})


def written(tracker: Tracker, experiments: list[TrackedExperiment]) -> list[Json]:
    """Write experiments with their tags."""
    tags = tracked_experiments.tags(tracker, [one.id for one in experiments])
    return [experiment_json(one, tags[one.id]) for one in experiments]
