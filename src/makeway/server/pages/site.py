"""Add the pages to an app: their routes, the files that they load, a page where nothing is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import cast

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from makeway.server.pages import assets
from makeway.server.pages.places import OTHERS, PLACES
from makeway.server.pages.visit import failed
from makeway.wire.page import Problem

Handler = Callable[[Request, Exception], Awaitable[Response]]
# What is asked for by programs is answered as a problem in JSON, whatever they say they accept.
PROGRAMS = ("/api/", "/metrics", "/healthz", "/readyz", "/static/")


def add_pages(app: FastAPI) -> None:
    """Add every page of the table; call it after the handlers of errors are there."""
    app.include_router(assets.routes)
    for module in (*(place.module for place in PLACES), *OTHERS):
        routes: APIRouter = import_module(module).routes
        app.include_router(routes)
    plain = cast("Handler", app.exception_handlers[HTTPException])

    async def nothing_there(request: Request, error: Exception) -> Response:
        if not _looks(request) or not isinstance(error, HTTPException) or error.status_code != 404:
            return await plain(request, error)
        return failed(
            request,
            Problem(
                title="There is no such page", status=404, code="not-found",
                detail=f"nothing is at {request.url.path}", hint="the navigation has all pages",
            ),
        )  # fmt: skip

    app.add_exception_handler(HTTPException, nothing_there)


def _looks(request: Request) -> bool:
    """Say whether a person asks, with a browser."""
    accepted = request.headers.get("accept", "")
    return "text/html" in accepted and not request.url.path.startswith(PROGRAMS)
