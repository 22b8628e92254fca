"""Answer MLflow's client about models: begin one, tell of it, say that it is whole."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from starlette.responses import Response

from makeway.live import tracked_files, tracked_models, tracked_search
from makeway.server.mlflow import API, Asked, Asking, Spoken, reply, taking
from makeway.server.mlflow_shapes import Json, Pair, files_json, mapping, model_json
from makeway.store.tracked import TrackedModel, get_model

routes = APIRouter(prefix=f"{API}/logged-models", route_class=Spoken, include_in_schema=False)


class Create(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is to be begun."""

    experiment_id: str = "0"
    name: str = ""
    model_type: str = ""
    source_run_id: str | None = None
    params: tuple[Pair, ...] = ()
    tags: tuple[Pair, ...] = ()


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of a model."""

    status: str


class Pairs(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters, or tags."""

    params: tuple[Pair, ...] = ()
    tags: tuple[Pair, ...] = ()


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """By what models are ordered."""

    field_name: str
    ascending: bool = True


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """Which models are wanted."""

    experiment_ids: tuple[str, ...] = ()
    filter: str = ""
    order_by: tuple[Order, ...] = ()
    max_results: int = 1_000
    page_token: str = ""


CreateBody = Annotated[Create, Depends(taking(Create))]
FinishBody = Annotated[Finish, Depends(taking(Finish))]
PairsBody = Annotated[Pairs, Depends(taking(Pairs))]
SearchBody = Annotated[Search, Depends(taking(Search))]


@routes.post("")
def create(asked: Asked, wanted: CreateBody) -> Response:
    """Begin a model."""
    made = tracked_models.ModelMade(
        experiment=wanted.experiment_id,
        name=wanted.name,
        kind=wanted.model_type,
        run=wanted.source_run_id,
        params=mapping(wanted.params),
        tags=mapping(wanted.tags),
    )
    return _told(asked, tracked_models.make(asked.tracker, asked.teller, made))


@routes.post("/search")
def search(asked: Asked, wanted: SearchBody) -> Response:
    """Give the models of experiments, the newest first."""
    every = tracked_models.models_of(asked.tracker, wanted.experiment_ids)
    asked_for = tracked_search.Wanted(
        filter=wanted.filter,
        order_by=[
            f"{one.field_name} {'ASC' if one.ascending else 'DESC'}" for one in wanted.order_by
        ],
        limit=wanted.max_results,
        token=wanted.page_token,
    )
    found, token = tracked_search.models(
        asked.tracker, tracked_models.told_of(asked.tracker, every), asked_for
    )
    told = [model_json(*each) for each in found]
    return reply({"models": told} if token is None else {"models": told, "next_page_token": token})


@routes.get("/{model}")
def get(asked: Asked, model: str) -> Response:
    """Give a model."""
    return _told(asked, get_model(asked.tracker.reader, model))


@routes.patch("/{model}")
def finish(asked: Asked, model: str, wanted: FinishBody) -> Response:
    """Let a model be whole, or given up."""
    return _told(asked, tracked_models.finish(asked.tracker, asked.teller, model, wanted.status))


@routes.delete("/{model}")
def delete(asked: Asked, model: str) -> Response:
    """Take a model out of the list."""
    tracked_models.remove(asked.tracker, asked.teller, model)
    return reply()


@routes.post("/{model}/params")
def log_params(asked: Asked, model: str, told: PairsBody) -> Response:
    """Take parameters."""
    tracked_models.tell(asked.tracker, asked.teller, model, params=mapping(told.params))
    return reply()


@routes.patch("/{model}/tags")
def set_tags(asked: Asked, model: str, told: PairsBody) -> Response:
    """Take tags."""
    found = tracked_models.tell(asked.tracker, asked.teller, model, tags=mapping(told.tags))
    return _told(asked, found)


@routes.delete("/{model}/tags/{key}")
def delete_tag(asked: Asked, model: str, key: str) -> Response:
    """Take a tag away."""
    tracked_models.untag(asked.tracker, asked.teller, model, key)
    return reply()


@routes.get("/{model}/artifacts/directories")
def files(asked: Asked, model: str) -> Response:
    """Give what lies in a folder of a model."""
    known = get_model(asked.tracker.reader, model)
    inner = asked.query.get("artifact_directory_path", "").strip("/")
    place = f"{tracked_files.MODELS}/{model}/{inner}".rstrip("/")
    listed = files_json(tracked_files.listed(asked.tracker, place), inner)
    return reply({"root_uri": tracked_files.root_of_model(known), "files": listed})


def _told(asked: Asking, model: TrackedModel) -> Response:
    return reply({"model": _written(asked, [model])[0]})


def _written(asked: Asking, models: list[TrackedModel]) -> list[Json]:
    return [model_json(*each) for each in tracked_models.told_of(asked.tracker, models)]
