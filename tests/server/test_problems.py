"""Tell every error by one table, which the docs repeat."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from makeway import errors
from makeway.errors import InvalidWorkflow, MakewayError, Unreachable
from makeway.server.problems import BUG, KINDS, kind_of, problem_of

PAGE = (Path(__file__).parents[2] / "docs" / "rest.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| `([a-z-]+)` \| ([\d, ]+) \|", PAGE, re.MULTILINE))
# Those that a step raises to say what its failure means have something of their own to say.
EVERY = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and kind is not MakewayError and "__init__" not in vars(kind)
]


def test_the_page_lists_the_codes_with_their_statuses() -> None:
    told: dict[str, set[str]] = {"wrong-method": {"405"}, BUG.code: {str(BUG.status)}}
    for kind in KINDS.values():
        told.setdefault(kind.code, set()).add(str(kind.status))
    del told["failed"]  # the base of all, which nothing raises by itself
    assert {code: {*statuses.split(", ")} for code, statuses in ROWS.items()} == told


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_error_has_a_way_to_be_told(kind: type[MakewayError]) -> None:
    problem = problem_of(kind("it broke", where="there", hint="mend it"))
    assert (problem.detail, problem.where, problem.hint) == ("it broke", "there", "mend it")
    assert 400 <= problem.status < 600


def test_a_special_error_is_told_as_the_one_that_it_is_a_kind_of() -> None:
    assert kind_of(InvalidWorkflow("no")).code == "bad-input"
    assert kind_of(Unreachable("no")).status == 503
