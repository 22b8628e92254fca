"""How a user says that a selection does not wait for all candidates, and what is refused."""

from __future__ import annotations

import pytest

from makeway.model.workflow import SelectTop
from tests.project import Project, built, flow

MODELS = "[train('a'), train('b'), train('c')]"


def select(project: Project, words: str) -> SelectTop:
    """Build a selection with these further words."""
    body = f"mw.select_top({MODELS}, k=2, metric='accuracy', {words})"
    found = built(project, body).steps[-1].select
    assert found is not None
    return found


def test_it_waits_for_all_if_nothing_is_said(project: Project) -> None:
    assert select(project, "").wait == "all"


@pytest.mark.parametrize(
    "said, meant", [("'qualified'", "qualified"), ("'first'", 1), ("3", 3), ("'all'", "all")]
)
def test_it_may_wait_for_fewer(project: Project, said: str, meant: str | int) -> None:
    assert select(project, f"wait={said}").wait == meant


def test_late_ones_may_take_a_place(project: Project) -> None:
    assert select(project, "wait='qualified', reselect=True").reselect


def test_late_ones_may_be_needed_no_more(project: Project) -> None:
    assert select(project, "wait='qualified', cancel_losers=True").cancel_losers


@pytest.mark.parametrize(
    "words, says",
    [
        ("wait='some'", "wait is 'some'; it can be all or qualified or first"),
        ("wait=4", "wait is 4; it must be a whole number from 1 to 3"),
        ("wait=0", "wait is 0"),
        ("wait=True", "wait is True"),
        ("reselect=True", "with reselect it must not wait for all"),
        ("wait=1, reselect=True, cancel_losers=True", "nor cancel the losers"),
        ("wait=1, reselect=1", "reselect is 1; it must be True or False"),
    ],
)
def test_what_makes_no_sense_is_refused(project: Project, words: str, says: str) -> None:
    call = f"mw.select_top({MODELS}, k=2, metric='accuracy', {words})  # <- here"
    assert says in project.refused(flow(call)).problem
