"""The table of log patterns: each row is found in its own example, and in that of no other cause."""

from __future__ import annotations

import re

import pytest

from makeway.health.rules.signs import SIGNS, joined, sign_of
from makeway.health.rules.table import ROWS, Row

NAMING = [row for row in ROWS if row.role in ("root", "cascade")]


def name(row: Row) -> str:
    return f"{row.cause or row.role}-{re.sub('[^a-z]+', '-', row.pattern.lower())[:30]}"


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_a_row_is_found_in_its_example_and_no_row_of_another_cause_is(row: Row) -> None:
    assert joined([row]).search(row.example)
    others = [one for one in ROWS if one.cause is not row.cause and one.cause and row.cause]
    found = [one.pattern for one in others if joined([one]).search(row.example)]
    assert found == []


@pytest.mark.parametrize("row", NAMING, ids=name)
def test_an_example_tells_its_cause_and_whether_it_only_follows(row: Row) -> None:
    found = sign_of(row.example)
    assert found is not None
    assert (found.cause, found.role) == (row.cause, row.role)


@pytest.mark.parametrize("row", [row for row in ROWS if row.role == "advice"], ids=name)
def test_an_advice_names_no_cause(row: Row) -> None:
    assert sign_of(row.example) is None


def test_rows_of_one_cause_stand_together() -> None:
    kinds = [(sign.cause, sign.role) for sign in SIGNS]
    assert len(kinds) == len(set(kinds))


def test_no_row_is_there_twice() -> None:
    kinds = [(row.pattern, row.role, row.use) for row in ROWS]
    assert len(kinds) == len(set(kinds))
