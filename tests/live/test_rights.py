"""Who may do what: whose queues, whose jobs, which classes."""

from __future__ import annotations

import pytest

from makeway.errors import NotAllowed
from makeway.live.rights import assert_may, assert_may_use, assert_owns, own_queue, uses
from makeway.wire.tokens import Caller, Scope

ADA = Caller(user="ada", scopes=frozenset({Scope.READ, Scope.SUBMIT}))
WATCH = Caller(user="eve", scopes=frozenset({Scope.READ, Scope.SUBMIT, Scope.OPERATE}))
ROOT = Caller(user="root", scopes=frozenset(Scope))
OWNERS = {"lab": ("ada", "bob"), "lab/quiet": ("bob",), "open": ("*",)}


@pytest.mark.parametrize(
    "user, queue, may",
    [
        ("ada", "ada", True),
        ("ada", "lab2/ada/big", True),
        ("ada", "adam", False),
        ("ada", "lab/deep/down", True),
        ("ada", "lab/quiet", False),
        ("bob", "lab/quiet/x", True),
        ("eve", "open/x", True),
        ("eve", "lab", False),
        ("eve", "nobodys", False),
    ],
)
def test_a_queue_is_of_those_whose_name_it_bears_or_that_the_nearest_names(
    user: str, queue: str, may: bool
) -> None:
    assert uses(user, queue, OWNERS) is may


def test_another_persons_queue_is_refused_and_ones_own_are_named() -> None:
    with pytest.raises(NotAllowed, match="ada may not submit to queue eve") as refused:
        assert_may_use(ADA, "eve", 0, OWNERS)
    assert refused.value.hint == "you may use lab, open"


def test_the_administrators_classes_are_the_administrators_alone() -> None:
    with pytest.raises(NotAllowed, match="for administrators"):
        assert_may_use(WATCH, "eve", 1000, OWNERS)
    assert_may_use(ROOT, "anything", 1000, OWNERS)
    assert_may_use(WATCH, "anything", 999, OWNERS)


def test_jobs_are_their_users_and_the_operators_business() -> None:
    assert_owns(ADA, "ada", "job a")
    assert_owns(WATCH, "ada", "job a")
    with pytest.raises(NotAllowed, match="it is bob's"):
        assert_owns(ADA, "bob", "job b")


def test_a_scope_that_is_not_there_is_named() -> None:
    with pytest.raises(NotAllowed, match="this needs the scope operate"):
        assert_may(ADA, Scope.OPERATE)
    assert_may(ROOT, Scope.OPERATE)


@pytest.mark.parametrize(
    "user, queue",
    [("ada", "vision/ada"), ("bob", "lab"), ("eve", "open")],
)
def test_who_names_no_queue_gets_their_own(user: str, queue: str) -> None:
    assert own_queue(user, ["vision", "vision/ada", "lab"], OWNERS) == queue


def test_who_has_none_gets_one_of_their_name() -> None:
    assert own_queue("zoe", ["lab"], {}) == "zoe"
