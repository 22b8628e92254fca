"""Describe the whole interface as an OpenAPI 3.1 document, made from the routes themselves.

FastAPI knows paths, parameters and answers; the schemas of the shapes come from `wire`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from makeway.server.shapes import COMPONENTS

OPEN = ("/healthz", "/readyz", "/api/v1/session")  # without a token
UNASKED = ("/healthz", "/readyz")  # and without any parameter that could be wrong
NOT_MODIFIED = {"description": "It is what `If-None-Match` names."}
SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "makeway_token"},
}
ABOUT = """\
Every request needs a token (`Authorization: Bearer …`), or the cookie that POST /session gives for
one. Whatever goes wrong is told as a problem (RFC 9457) with a `code` that does not change."""


def document(app: FastAPI) -> dict[str, Any]:
    """Describe the routes of an app."""
    described = get_openapi(
        title=app.title, version=app.version, description=ABOUT, routes=app.routes
    )
    components = described.setdefault("components", {})
    components["schemas"] = dict(sorted(COMPONENTS.items()))
    components["securitySchemes"] = SCHEMES
    described["security"] = [{name: []} for name in SCHEMES]
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            _amend(path, method, operation)
    return described


def _amend(path: str, method: str, operation: dict[str, Any]) -> None:
    """Say of one operation what holds for all of its kind."""
    answers = operation["responses"]
    if path in OPEN:
        operation["security"] = []
    if path in UNASKED:
        for needless in ("401", "403", "422"):
            del answers[needless]
    elif method == "get" and "application/json" in answers["200"]["content"]:
        answers["304"] = NOT_MODIFIED


def text(described: Mapping[str, Any]) -> str:
    """Write a document as it is committed."""
    return json.dumps(described, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
