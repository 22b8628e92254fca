"""Describe the interface as it is: the committed document is the generated one, and complete."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from makeway.server.openapi import page

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"
DOCUMENT = json.loads(page())
OPERATIONS = [
    (f"{method.upper()} {path}", operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]
OPEN = ("/healthz", "/readyz", "/api/v1/session")


def test_the_document_that_is_committed_is_the_one_that_is_generated() -> None:
    assert COMMITTED.read_text("utf-8") == page(), "run: make docs"


def test_it_is_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")


def test_every_reference_leads_to_a_schema() -> None:
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', page()))
    assert named == {*DOCUMENT["components"]["schemas"]}


def test_no_shape_is_described_a_second_time() -> None:
    titles = [schema.get("title") for schema in DOCUMENT["components"]["schemas"].values()]
    assert len(titles) == len(set(titles))
    assert "HTTPValidationError" not in page()


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for _, operation in OPERATIONS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name, operation", OPERATIONS, ids=[name for name, _ in OPERATIONS])
def test_an_operation_says_what_it_takes_gives_and_refuses(
    name: str, operation: dict[str, Any]
) -> None:
    method, _, path = name.partition(" ")
    assert operation["summary"]
    assert operation["tags"]
    answers = operation["responses"]
    assert [code for code in answers if code.startswith("2")]
    for code, answer in answers.items():
        if code >= "400":
            assert [*answer["content"]] == ["application/problem+json"]
    if path not in OPEN:
        assert {"401", "403", "503"} <= {*answers}
    if method == "PUT" or "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert schema
        assert {"400", "413", "415", "422"} <= {*answers}
    for parameter in operation.get("parameters", ()):
        assert parameter["in"] == "path" or parameter["description"]
