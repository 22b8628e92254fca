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

OPEN = ("/healthz", "/readyz", "/api/v1/session")
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
        for operation in operations.values():
            if path in OPEN:
                operation["security"] = []
            for answer in operation["responses"].values():
                answer.pop("headers", None)
    return described


def text(described: Mapping[str, Any]) -> str:
    """Write a document as it is committed."""
    return json.dumps(described, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
