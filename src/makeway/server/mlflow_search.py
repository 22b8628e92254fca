"""Answer MLflow's client when it searches: runs and experiments, by its filter language."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from starlette.responses import Response

from makeway.live import tracked_runs, tracked_search
from makeway.live.tracked_search import Wanted
from makeway.server.mlflow import API, Asked, Spoken, reply, taking
from makeway.server.mlflow_experiments import written
from makeway.server.mlflow_runs import inputs_json
from makeway.server.mlflow_shapes import run_json, whole

VERSION = "3.17.2"  # of the client whose language is spoken here

routes = APIRouter(route_class=Spoken, include_in_schema=False)


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted."""

    experiment_ids: tuple[str, ...] = ()
    filter: str = ""
    run_view_type: str = "ACTIVE_ONLY"
    view_type: str = "ACTIVE_ONLY"
    max_results: int | str = 1_000
    order_by: tuple[str, ...] = ()
    page_token: str = ""


SearchBody = Annotated[Search, Depends(taking(Search))]


@routes.post(f"{API}/runs/search")
def search_runs(asked: Asked, wanted: SearchBody) -> Response:
    """Give a page of the runs that fulfil a filter."""
    found, token = tracked_search.runs(
        asked.tracker, wanted.experiment_ids, _wanted(wanted, wanted.run_view_type)
    )
    told = [
        run_json(facts, inputs_json(asked.tracker, facts.told))
        for facts in tracked_runs.facts_of(asked.tracker, found)
    ]
    return reply({"runs": told} if token is None else {"runs": told, "next_page_token": token})


@routes.post(f"{API}/experiments/search")
def search_experiments(asked: Asked, wanted: SearchBody) -> Response:
    """Give a page of the experiments that fulfil a filter."""
    found, token = tracked_search.experiments(asked.tracker, _wanted(wanted, wanted.view_type))
    told = written(asked.tracker, found)
    return reply(
        {"experiments": told} if token is None else {"experiments": told, "next_page_token": token}
    )


@routes.get("/version")
def version() -> Response:
    """Say which version of MLflow's interface this is."""
    return Response(VERSION, media_type="text/plain")


def _wanted(search: Search, view: str) -> Wanted:
    return Wanted(
        filter=search.filter,
        order_by=search.order_by,
        view=view,
        limit=whole(search.max_results, "max_results") or 0,
        token=search.page_token,
    )
