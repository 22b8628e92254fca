"""Describe routes by the very shapes that are read and written: one description of each.

`documented` says of a route what it takes and gives; the schemas of those shapes come from the
Structs of `wire`, by msgspec. Nothing describes a body a second time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from makeway.model.lineage import Comparison, Lineage
from makeway.wire.cluster import (
    DecisionView,
    Drain,
    NodeView,
    PolicyView,
    PreviewView,
    QueueView,
    StatusView,
)
from makeway.wire.jobs import JobView, Overridden, Override, Resize, WhyView
from makeway.wire.page import Page, Problem
from makeway.wire.runs import RunBrought, RunView
from makeway.wire.search import Found, FoundItem
from makeway.wire.series import SeriesView
from makeway.wire.session import SignIn
from makeway.wire.tokens import TokenMade, TokenRequest, TokenView
from makeway.wire.worth import DatasetView, ModelView

SHAPES: tuple[object, ...] = (
    *(Page[JobView], JobView, WhyView, Resize, Override, Overridden, RunBrought),
    *(Page[QueueView], QueueView, Page[NodeView], NodeView, Drain, Page[DecisionView]),
    *(PolicyView, PreviewView, StatusView),
    *(Page[TokenView], TokenView, TokenMade, TokenRequest, SignIn),
    *(Page[SeriesView], SeriesView),
    *(Page[RunView], RunView),
    *(Found, FoundItem, Lineage, Comparison),
    *(Page[DatasetView], DatasetView, Page[ModelView], ModelView),
    Problem,
)
# A file of a person (a job, a node, a policy): its reader is not a Struct; the docs describe it.
FILE: Mapping[str, Any] = {"type": "object", "additionalProperties": True}


def _anything(kind: type) -> dict[str, Any]:
    """Describe what may be any JSON: a number in a wait's detail, a value in a policy file."""
    if kind is object:
        return {"description": "any JSON"}
    raise NotImplementedError


_REFERENCES, COMPONENTS = msgspec.json.schema_components(
    SHAPES, schema_hook=_anything, ref_template="#/components/schemas/{name}"
)
PROBLEM = "application/problem+json"

ALWAYS = {401: "No token, or one that is worth nothing.", 403: "The caller may not do that."}
READING = {503: "The service cannot answer now; `Retry-After` says when to ask again."}
TAKING = {
    400: "The body is not JSON.",
    413: "The body is too large.",
    415: "The body is of another type.",
}
OTHERS = {
    404: "There is no such thing.",
    409: "It clashes with what is there already.",
    412: "It has changed since the caller read it.",
    422: "A parameter or the body is wrong; `where` names the field.",
    429: "Too many streams are open.",
}


def schema_of(shape: object) -> Mapping[str, Any]:
    """Give the schema of a shape, by reference."""
    return FILE if shape is dict else _REFERENCES[SHAPES.index(shape)]


def documented(
    gives: object = None,
    *,
    status: int | None = None,
    takes: object = None,
    optional: bool = False,
    problems: Sequence[int] = (),
) -> dict[str, Any]:
    """Say what a route takes and gives; `problems` beside those that every route has."""
    good = status or (204 if gives is None else 200)
    told = {**ALWAYS, **READING, 422: OTHERS[422]}
    told |= {code: OTHERS[code] for code in problems}
    extra: dict[str, Any] = {}
    if takes is not None:
        told |= TAKING
        content = {"application/json": {"schema": schema_of(takes)}}
        extra["requestBody"] = {"required": not optional, "content": content}
    return {
        "status_code": good,
        "response_class": Response,
        "response_model": None,
        "responses": {good: _good(gives)} | {code: _bad(told[code]) for code in sorted(told)},
        "openapi_extra": extra,
    }


def also(status: int, gives: object, described: dict[str, Any]) -> dict[str, Any]:
    """Say of a route that it has another good answer."""
    described["responses"][status] = _good(gives)
    return described


def streamed(media_type: str, text: str, *, problems: Sequence[int] = (429,)) -> dict[str, Any]:
    """Say of a route that it answers with a stream."""
    described = documented(None, status=200, problems=problems)
    described["responses"][200] = {
        "description": text,
        "content": {media_type: {"schema": {"type": "string"}}},
    }
    return described


def _good(gives: object) -> dict[str, Any]:
    if gives is None:
        return {"description": "It is done."}
    content = {"application/json": {"schema": schema_of(gives)}}
    return {"description": "What was asked for.", "content": content}


def _bad(text: str) -> dict[str, Any]:
    return {"description": text, "content": {PROBLEM: {"schema": schema_of(Problem)}}}
