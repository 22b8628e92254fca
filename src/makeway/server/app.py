"""Put the app together: routes, the guard before them, one shape for what goes wrong.

Routes are plain functions that block while the controller thinks, so they run in threads, of which
there are `Settings.threads`; streams take none of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from anyio import to_thread
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from makeway.live.tracker import Tracker
from makeway.server import (
    cluster,
    identity,
    jobs,
    mlflow_artifacts,
    mlflow_experiments,
    mlflow_metrics,
    mlflow_models,
    mlflow_runs,
    mlflow_search,
    probes,
    runs,
    search,
    series,
    service,
    steps,
    streams,
)
from makeway.server.describe import document
from makeway.server.front import Front
from makeway.server.guard import Guard
from makeway.server.identity import AtDesk
from makeway.server.office import Office, Settings
from makeway.server.pages.site import add_pages
from makeway.server.problems import install
from makeway.server.replies import answer

API = "/api/v1"
VERSION = "1"  # of the interface, not of makeway: GET /status says that

# Requests hold tokens: no library passes on what it sees of them, whatever the environment says.
UNTOLD: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
# What a browser lets the pages of `allowed_origins` send and read; never with the cookie.
PAGES: dict[str, Any] = {
    "allow_methods": ("GET", "POST", "PUT", "DELETE"),
    "allow_headers": (
        *("Authorization", "Content-Type", "Idempotency-Key"),
        *("If-Match", "If-None-Match", "Last-Event-ID"),
    ),
    "expose_headers": ("ETag", "Location", "Retry-After"),
}


def create_app(office: Office, settings: Settings | None = None) -> FastAPI:
    """Make the app in front of an office."""
    front = Front(office, settings or Settings())
    app = FastAPI(
        title="makeway",
        version=VERSION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        generate_unique_id_function=_name,
        telemetry=UNTOLD,
    )
    app.state.front = front
    for part in (jobs, runs, steps, series, streams, search, cluster, service, identity):
        app.include_router(part.routes, prefix=API)
    app.include_router(probes.routes)
    _speak_mlflow(app)
    app.add_api_route(f"{API}/openapi.json", _describe, include_in_schema=False)
    if origins := front.settings.allowed_origins:
        app.add_middleware(CORSMiddleware, allow_origins=origins, **PAGES)
    app.add_middleware(Guard, front=front)
    install(app)
    add_pages(app)
    return app


def create_tracking_app(office: Office, tracker: Tracker) -> FastAPI:
    """Make the app where there is no service: MLflow's routes, and nothing else."""
    front = Front(office, Settings())
    front.tracker = tracker
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, telemetry=UNTOLD)
    app.state.front = front
    _speak_mlflow(app)
    app.add_middleware(Guard, front=front)
    install(app)
    return app


def _speak_mlflow(app: FastAPI) -> None:
    # The search comes first, and what takes every path that is left over comes last.
    for part in (mlflow_search, mlflow_runs, mlflow_metrics, mlflow_experiments, mlflow_models):
        app.include_router(part.routes)
    app.include_router(mlflow_artifacts.routes)


def _name(route: APIRoute) -> str:
    """Name a route in the description as its function is named."""
    return route.name


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    front: Front = app.state.front
    to_thread.current_default_thread_limiter().total_tokens = front.settings.threads
    front.feed.start()
    try:
        yield
    finally:
        front.feed.close()


def _describe(request: Request, _desk: AtDesk) -> Response:
    """Give the description of this interface."""
    described: dict[str, Any] = document(request.app)
    return answer(request, described)
