"""Names for MLflow's client: it takes them, none is lost, and no two become one."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from makeway.model.tracked import (
    EXPERIMENT_CHARS_MAX,
    experiment_of_run,
    experiment_of_workflow,
    job_of,
    mlflow_id,
)

# What the client itself asks of a run's id and of an experiment's, but for the length.
TAKEN = re.compile(r"[a-zA-Z0-9][\w-]*", re.ASCII)

letters = st.characters(codec="utf-8")
ids = st.from_regex(r"[0-9a-z]{12}", fullmatch=True)


@given(ids, st.text(letters))
@example("1qqkzfz9aew8", "train_2e")
@example("1qqkzfz9aew8", "train[0].é")
def test_every_job_has_a_name_that_the_client_takes_and_that_leads_back(
    run: str, step: str
) -> None:
    job = f"{run}.{step}"
    assert TAKEN.fullmatch(mlflow_id(job))
    assert job_of(mlflow_id(job)) == job


@given(st.text(letters), st.text(letters))
def test_two_jobs_never_have_one_name(one: str, other: str) -> None:
    assert (mlflow_id(one) == mlflow_id(other)) == (one == other)


def test_a_plain_name_is_itself() -> None:
    assert mlflow_id("1qqkzfz9aew8") == "1qqkzfz9aew8"
    assert mlflow_id("1qqkzfz9aew8.train-2") == "1qqkzfz9aew8_2etrain-2"


@pytest.mark.parametrize("name", ["a_zz", "a_2", "_", "a_ff_fe"])
def test_what_stands_for_no_job_stays_as_it_is(name: str) -> None:
    assert job_of(name) == name


@given(st.text(letters))
def test_every_workflow_is_an_experiment_that_the_client_takes(workflow: str) -> None:
    name = experiment_of_workflow(workflow)
    assert TAKEN.fullmatch(name)
    assert len(name) <= EXPERIMENT_CHARS_MAX


def test_a_job_without_a_run_is_in_the_experiment_that_the_client_takes_by_itself() -> None:
    assert experiment_of_run(None) == "0"
