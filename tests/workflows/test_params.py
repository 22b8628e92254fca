"""Read the parameters of a workflow, given as text, by the annotations of its function."""

from __future__ import annotations

import pytest

from makeway.model.workflow import Constant
from tests.project import Project, built, flow

READ = [
    ("x: int", "3", 3), ("x: int", "-3", -3), ("x: int", "007", 7),
    ("x: float", "3", 3.0), ("x: float", "1e-3", 0.001), ("x: float | None", "3", 3.0),
    ("x: str", "3", "3"), ("x: str", "null", "null"), ("x: str", "", ""), ("x: str = 'a'", "b", "b"),
    ("x: bool", "true", True), ("x: bool", "False", False),
    ("x: str | None", "null", None), ("x: str | None", "None", None), ("x: str | None", "a", "a"),
    ("x: int | str", "3", 3), ("x: str | int", "3", 3), ("x: str | int", "a", "a"),
    ("x: int | float", "3", 3), ("x: int | float", "3.5", 3.5), ("x: None | bool", "true", True),
    ("x: list", "[1, 'a']".replace("'", '"'), [1, "a"]), ("x: list[str]", '["a"]', ["a"]),
    ("x: dict[str, int]", '{"a": 1}', {"a": 1}),
    ("x: Literal['a', 'b']", "b", "b"), ("x: Literal[1, 2]", "2", 2),
    ("x", "3", 3), ("x", "a", "a"), ("x", "True", True), ("x", "[1", "[1"), ("x: Any", "3", 3),
    ("x: Undefined", "3", 3), ("*, x: int", "3", 3), ("x: int, /", "3", 3),
    ("x: int = None", "null", None), ("**x: int", "3", 3),
]  # fmt: skip


@pytest.mark.parametrize("parameter, text, value", READ)
def test_a_parameter_is_read_by_its_annotation(
    project: Project, parameter: str, text: str, value: object
) -> None:
    head = "from __future__ import annotations\nfrom typing import Any, Literal\n"
    passed = "x['x']" if "**" in parameter else "x"
    workflow = project.build(head + flow(f"take({passed})", parameter), x=text)
    given = workflow.step("take").arguments["value"]
    assert given == Constant(value)
    assert isinstance(given, Constant)
    assert type(given.value) is type(value)
    assert workflow.params == {"x": value}
    assert workflow.given == {"x": text}


def test_a_tuple_and_a_set_are_written_as_lists(project: Project) -> None:
    arguments = "pair: tuple[int, int], names: set[str]"
    workflow = built(
        project,
        "assert pair == (1, 2) and names == {'a'}; take(pair)",
        arguments,
        pair="[1, 2]",
        names='["a"]',
    )
    assert workflow.params == {"pair": "(1, 2)", "names": "{'a'}"}


NOT_READ = [
    ("x: int", "a", "'a' is not of type int"),
    ("x: int", "1.5", "'1.5' is not of type int"),
    ("x: int", "true", "'true' is not of type int"),
    ("x: int", "", "'' is not of type int"),
    ("x: int", "9" * 5000, "is not of type int"),
    ("x: float", "a", "'a' is not of type float"),
    ("x: bool", "1", "'1' is not of type bool"),
    ("x: bool", "yes", "'yes' is not of type bool"),
    ("x: list[int]", '["a"]', "is not of type list[int]"),
    ("x: list[str]", "a,b", "'a,b' is not of type list[str]"),
    ("x: list", "[" * 5000, "is not of type list"),
    ("x: dict", "[]", "'[]' is not of type dict"),
    ("x: tuple[int, int]", "[1]", "'[1]' is not of type tuple[int, int]"),
    ("x: tuple[int, int]", '"ab"', "is not of type tuple[int, int]"),
    ("x: set[str]", '[["a"]]', "is not of type set[str]"),
    ("x: Literal['a', 'b']", "c", "'c' is not of type Literal['a', 'b']"),
    ("x: None", "a", "'a' is not of type None"),
    ("x: int | None", "a", "'a' is not of type int | None"),
    ("x: mw.File", "a", "'a' is not of type File"),
    ("x: int, y: int", "3", "workflow main needs a value for y"),
    ("y: int = 3", "3", "workflow main has no such parameter; it has: y"),
    ("", "3", "workflow main has no such parameter; it has: none"),
    ("*x", "3", "workflow main has no such parameter; it has: none"),
    ("x: str", "\udc80", "this is not Unicode"),
]


@pytest.mark.parametrize("parameter, text, problem", NOT_READ, ids=range(len(NOT_READ)))
def test_a_wrong_parameter_is_refused(
    project: Project, parameter: str, text: str, problem: str
) -> None:
    head = "from typing import Literal\n"
    error = project.refused(head + flow("take(1)", parameter), x=text)
    assert problem in error.problem
    assert error.where in ("-P x", "-P y")


def test_defaults_are_among_the_parameters_of_a_run(project: Project) -> None:
    arguments = "rate: float = 0.1, data: object = range(3), *more, big=[0] * 9999, **rest"
    workflow = built(project, "take(rate)", arguments)
    assert workflow.params == {
        "rate": 0.1,
        "data": "range(0, 3)",
        "big": "[0, 0, 0, 0, ...]",
    }
