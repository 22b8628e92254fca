"""Define steps and workflows: what the decorators take, and what a step is anywhere else."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import makeway as mw
from makeway.errors import InvalidInput, InvalidWorkflow
from makeway.model.workflow import Goal
from tests.project import Project


@mw.step(cpus=0.5, memory="1GB", tags={"team": "vision"})
def double(number: int, *, plus: int = 0) -> int:
    """Double a number."""
    return 2 * number + plus


@mw.workflow
def doubled_twice(number: int) -> int:
    return double(double(number))


# ── outside of a workflow ───────────────────────────────────────────────────────────────────────────


def test_a_step_called_outside_a_workflow_just_runs() -> None:
    assert double(4) == 8
    assert double.options(memory="2GB")(4, plus=1) == 9


def test_a_workflow_called_as_a_function_runs_its_steps_one_after_the_other() -> None:
    assert doubled_twice(3) == 12


def test_a_step_keeps_name_signature_and_documentation_of_its_function() -> None:
    assert double.__name__ == "double"  # type: ignore[attr-defined]  # of the function it wraps
    assert double.__doc__ == "Double a number."
    assert list(inspect.signature(double).parameters) == ["number", "plus"]


def test_a_step_can_be_pickled_by_its_name_as_functions_can() -> None:
    assert pickle.loads(pickle.dumps(double)) is double
    assert copy.deepcopy(double) is double


def test_an_exception_of_a_step_called_outside_comes_through_as_it_is() -> None:
    @mw.step
    def fail() -> None:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        fail()


def test_select_top_outside_a_workflow_says_where_it_belongs() -> None:
    with pytest.raises(InvalidWorkflow, match="belongs into a workflow function") as caught:
        mw.select_top([1, 2], metric="accuracy")
    assert caught.value.where.startswith(__file__)


# ── what can be a step ──────────────────────────────────────────────────────────────────────────────


async def fetch() -> int:
    return await asyncio.sleep(0, 1)


def count() -> Any:
    yield 1


async def stream() -> Any:
    yield 1


class Trainer:
    """A class, with what somebody may try to decorate in it."""

    @mw.step
    def train(self, epochs: int = 1) -> int:
        return epochs

    @staticmethod
    @mw.step
    def evaluate(epochs: int = 1) -> int:
        return epochs


@pytest.mark.parametrize(
    "decorated, problem",
    [
        (fetch, "fetch is async"),
        (stream, "stream is async"),
        (count, "count yields its values one by one"),
        (Trainer, "Trainer'> is not a function"),
        (functools.partial(fetch), "is not a function"),
        (len, "is not a function"),
        (3, "3 is not a function"),
        (double, "double is a step already"),
        (doubled_twice, "doubled_twice is a workflow already"),
    ],
)
def test_only_a_plain_function_can_be_decorated(decorated: Any, problem: str) -> None:
    decorators: tuple[Callable[[Any], object], ...] = (mw.step, mw.workflow, mw.step(cpus=1))
    for decorate in decorators:
        with pytest.raises(InvalidWorkflow) as caught:
            decorate(decorated)
        assert problem in caught.value.problem
        assert caught.value.where.startswith(__file__)


def test_a_workflow_needs_a_name() -> None:
    with pytest.raises(InvalidWorkflow, match="has no name, so it cannot be a workflow"):
        mw.workflow(lambda: None)


def test_a_workflow_may_be_decorated_with_empty_brackets() -> None:
    @mw.workflow()
    def flow() -> int:
        return double(1)

    assert flow() == 2


def test_a_step_called_as_a_method_says_that_it_has_no_object() -> None:
    with pytest.raises(InvalidWorkflow, match="called as a method, but steps have no object"):
        Trainer().train(2)  # type: ignore[arg-type]  # which a type checker sees too
    assert Trainer.evaluate(3) == 3


def test_attributes_of_the_function_do_not_cover_those_of_the_step() -> None:
    def plain() -> int:
        return 1

    plain.options = "mine"  # type: ignore[attr-defined]  # Python allows it
    plain._options = "mine"  # type: ignore[attr-defined]  # likewise
    assert mw.step(plain).options(cpus=2)() == 1


# ── settings ────────────────────────────────────────────────────────────────────────────────────────

NOT_A_NUMBER = float("nan")
BAD_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"cpus": -1}, "must be 0, or from 0.001"),
    ({"cpus": 0.0001}, "must be 0, or from 0.001"),
    ({"cpus": NOT_A_NUMBER}, "must be 0, or from 0.001"),
    ({"cpus": float("inf")}, "must be 0, or from 0.001"),
    ({"cpus": 1e300}, "must be 0, or from 0.001"),
    ({"cpus": "2"}, "'2' is not a number"),
    ({"cpus": True}, "True is not a number"),
    ({"gpus": None}, "None is not a number"),
    ({"memory": -5}, "-5 is not a size"),
    ({"memory": "lots"}, "'lots' is not a size"),
    ({"memory": ""}, "'' is not a size"),
    ({"memory": NOT_A_NUMBER}, "nan is not a size"),
    ({"memory": True}, "True is not a size"),
    ({"memory": "9" * 29 + "TB"}, "is more than there can be"),
    ({"workers": 0}, "workers is 0; it must be a whole number from 1"),
    ({"workers": -3}, "workers is -3"),
    ({"workers": 1.0}, "workers is 1.0"),
    ({"workers": True}, "workers is True"),
    ({"workers": 10**9}, "workers is 1000000000"),
    ({"retries": -1}, "retries is -1; it must be a whole number from 0"),
    ({"retries": 10**30}, "retries is 1000000000"),
    ({"max_memory": "lots"}, "'lots' is not a size"),
    ({"memory": "2GB", "max_memory": "1GB"}, "max_memory is less than the memory"),
    ({"min_rate": -0.1}, "min_rate is -0.1; it must be a number, 0 or more"),
    ({"min_rate": True}, "min_rate is True"),
    ({"on_hopeless": "cry"}, "on_hopeless is 'cry'; it can be yield or stop or flag"),
    ({"priority": "high"}, "priority is 'high'"),
    ({"priority": NOT_A_NUMBER}, "priority is nan"),
    ({"priority": 2**70}, "priority is 1180591620717411303424"),
    ({"idempotent": "yes"}, "idempotent is 'yes'; it must be True or False"),
    ({"goal": "accuracy"}, "goal is 'accuracy'; it must be a mw.Goal"),
    ({"goal": Goal(3)}, "the goal's metric is 3"),  # type: ignore[arg-type]  # the mistake
    ({"goal": Goal("loss", mode="down")}, "the goal's mode is 'down'; it can be max or min"),
    ({"goal": Goal("loss", target=NOT_A_NUMBER)}, "the goal's target is nan"),
    ({"tags": ["a"]}, "tags are ['a']; they must be a dict"),
    ({"tags": {"a": 1}}, "the tag 'a' is 1; names and values must be text"),
]


@pytest.mark.parametrize("settings, problem", BAD_SETTINGS)
def test_a_bad_setting_is_refused_at_its_line(settings: dict[str, Any], problem: str) -> None:
    for configure in (mw.step, double.options):
        if configure is not mw.step and None in settings.values():
            continue  # to `options` it means: as it was
        with pytest.raises(InvalidInput) as caught:
            configure(**settings)
        assert problem in caught.value.problem
        assert caught.value.where.startswith(__file__)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "../a", "-a", ".", "ä", "a\n", "a" * 101, 3])
def test_a_name_must_be_fit_for_a_folder(name: Any) -> None:
    with pytest.raises(InvalidWorkflow, match="cannot be the name of a step"):
        double.options(name=name)


def test_options_change_what_they_name_and_nothing_else() -> None:
    goal = mw.Goal("accuracy", target=0.9)
    changed = double.options(memory="2GB", retries=2, goal=goal, idempotent=False)._options
    before = double._options
    assert before.per_worker["memory_bytes"] == 10**9
    assert changed.per_worker["memory_bytes"] == 2 * 10**9
    assert changed.per_worker["cpu_milli"] == before.per_worker["cpu_milli"] == 500
    assert (changed.retries, changed.goal, changed.idempotent) == (2, goal, False)
    assert changed.tags == before.tags == {"team": "vision"}
    assert double.options(gpus=0, cpus=0)._options.per_worker.amounts == {"memory_bytes": 10**9}


def test_tags_are_kept_as_they_were_given() -> None:
    tags = {"team": "vision"}
    marked = double.options(tags=tags)
    tags["team"] = "speech"
    assert marked._options.tags == {"team": "vision"}


# ── in a file ───────────────────────────────────────────────────────────────────────────────────────


def test_what_is_decorated_wrongly_is_told_with_its_line(project: Project) -> None:
    error = project.refused("""
        import makeway as mw

        @mw.step(workers=0)  # <- here
        def train(): ...
    """)
    assert error.problem == "workers is 0; it must be a whole number from 1 to 100000"
