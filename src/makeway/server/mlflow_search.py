"""Answer MLflow's client when it searches: runs and experiments, by its filter language."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from makeway.server.mlflow import Spoken

VERSION = "3.17.2"  # of the client whose language is spoken here

routes = APIRouter(route_class=Spoken, include_in_schema=False)


@routes.get("/version")
def version() -> Response:
    """Say which version of MLflow's interface this is."""
    return Response(VERSION, media_type="text/plain")
