"""Compare annotations with values and with each other: only what is certain is refused."""

from __future__ import annotations

import enum
import typing
from collections import OrderedDict, abc
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any, Generic, Literal, NamedTuple, NewType, Protocol, TypedDict, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeway.workflows.annotation import ANYTHING, fits, hints_of, holds, item_of, name_of, shown

Kind = TypeVar("Kind")
Name = NewType("Name", str)


class Color(enum.Enum):
    RED = 1


class Point(NamedTuple):
    x: int


class Row(TypedDict):
    name: str


class Closable(Protocol):
    label: str

    def close(self) -> None: ...


class Box(Generic[Kind]):
    pass


class Rude:
    """Says no to everything that it is asked."""

    def __repr__(self) -> str:
        raise ValueError("not telling")

    def __eq__(self, other: object) -> bool:
        raise ValueError("not comparing")

    __hash__ = object.__hash__


HOLD: list[tuple[object, object]] = [
    (int, 3), (int, True), (float, 3), (float, 2.5), (float, True), (complex, 3), (bool, True),
    (str, ""), (None, None), (type(None), None), (object, 3), (Any, 3), (ANYTHING, 3),
    (int | None, None), (str | None, "a"), (int | str, "a"),
    (Literal["a", 1], "a"), (Literal["a", 1], 1),
    (list, [1, "a"]), (list[int], [1, 2]), (list[int], []), (list[float], [1]),
    (list[int | None], [1, None]), (list[list[int]], [[1]]), (list[Any], [1, "a"]),
    (dict, {}), (dict[str, int], {"a": 1}), (abc.Mapping[str, float], {"a": 1}),
    (OrderedDict, OrderedDict()), (dict[str, int], OrderedDict(a=1)),
    (tuple[int, str], (1, "a")), (tuple[int, ...], (1, 2, 3)), (tuple[int, ...], ()),
    (tuple[int], (1,)), (tuple, (1, "a")), (Point, Point(1)), (tuple, Point(1)),
    (set[int], {1}), (frozenset[str], frozenset("a")),
    (abc.Sequence[int], (1, 2)), (abc.Sequence[int], [1]), (abc.Iterable, "a"),
    (Color, Color.RED), (Path, Path("a")), (PurePath, Path("a")), (type, int), (type[int], int),
    (Row, {"name": "a"}), (Row, {}), (Name, 3), (Closable, 3), (Kind, 3), ("Missing", 3),
    (Callable[[int], str], len), (Box[int], Box()), (typing.Self, 3),
]  # fmt: skip

DO_NOT_HOLD: list[tuple[object, object]] = [
    (int, "3"), (int, 3.0), (int, None), (float, "3"), (bool, 1), (bool, "true"), (str, 3), (str, None),
    (str, b"a"), (None, 0), (int | None, "a"), (Literal["a"], "b"), (Literal[1], True),
    (Literal[True], 1), (list, (1,)), (list[int], ["a"]), (list[int], [1, None]),
    (list[list[int]], [["a"]]), (dict[str, int], {"a": "b"}), (dict[str, int], {1: 1}),
    (dict, []), (tuple[int, str], (1,)), (tuple[int, str], (1, 2)), (tuple[int, ...], (1, "a")),
    (tuple[int, int], [1, 2]), (set[int], {"a"}), (Color, 1), (Path, "a"), (Row, "a"),
    (Callable[[int], str], 3), (Box[int], 3), (abc.Sequence[int], ["a"]), (Literal["a"], Rude()),
]  # fmt: skip


@pytest.mark.parametrize("wanted, value", HOLD, ids=range(len(HOLD)))
def test_a_value_may_be_passed_where_it_could_be_right(wanted: object, value: object) -> None:
    assert holds(wanted, value)


@pytest.mark.parametrize("wanted, value", DO_NOT_HOLD, ids=range(len(DO_NOT_HOLD)))
def test_a_value_that_is_certainly_wrong_is_refused(wanted: object, value: object) -> None:
    assert not holds(wanted, value)


def test_of_a_long_list_the_first_items_speak_for_the_others() -> None:
    assert holds(list[int], [1] * 1000 + ["a"])
    assert not holds(list[int], [1] * 999 + ["a"])


FIT: list[tuple[object, object]] = [
    (int, int), (int, float), (bool, float), (bool, int), (float, complex), (int, Any), (Any, int),
    (ANYTHING, int), (int, ANYTHING), (object, int), (int, object), (int, int | str),
    (int | str, str), (int | None, int), (list[int], list[int]), (list, list[int]),
    (list[int], abc.Sequence[int]), (list[bool], list[int]), (dict[str, Any], dict[str, int]),
    (tuple[int, ...], tuple[int, ...]), (tuple[int, int], tuple[int, ...]), (Path, PurePath),
    (PurePath, Path), (Row, Row), (Row, dict), (dict[str, str], Row), (None, None), (None, int | None),
    (Literal["a"], str), (str, Literal["a"]), (Kind, int), (int, Kind), (Closable, int),
    (int, Closable), (Name, str), (Box[int], Box[str]), (Callable[[int], str], Callable[[str], str]),
    (type[int], type[str]), ("Missing", int),
]  # fmt: skip

DO_NOT_FIT: list[tuple[object, object]] = [
    (str, int), (float, int), (int, str), (None, int), (int, None), (int | str, bytes),
    (list[int], list[str]), (list[int], int), (dict[str, int], dict[str, str]), (list, dict),
    (list[list[int]], list[list[str]]), (tuple[int, str], tuple[str, int]), (Path, str), (Row, list),
    (int, list[int]), (Box[int], int), (str, abc.Mapping[str, int]),
]  # fmt: skip


@pytest.mark.parametrize("given_, wanted", FIT, ids=range(len(FIT)))
def test_an_output_may_be_passed_where_it_could_be_right(given_: object, wanted: object) -> None:
    assert fits(given_, wanted)


@pytest.mark.parametrize("given_, wanted", DO_NOT_FIT, ids=range(len(DO_NOT_FIT)))
def test_an_output_that_is_certainly_wrong_is_refused(given_: object, wanted: object) -> None:
    assert not fits(given_, wanted)


ANNOTATIONS = st.recursive(
    st.sampled_from([int, float, str, bool, None, Any, Path, Row, Color, Literal["a"], Kind]),
    lambda inner: st.one_of(
        inner.map(lambda item: list[item]),  # type: ignore[valid-type]  # made at run time
        inner.map(lambda item: item | None if item is not None else None),
        st.tuples(inner, inner).map(lambda pair: dict[pair]),  # type: ignore[valid-type, misc]  # likewise
    ),
    max_leaves=4,
)


@given(ANNOTATIONS)
def test_every_annotation_fits_itself(annotation: object) -> None:
    assert fits(annotation, annotation)
    assert name_of(annotation)


@given(
    ANNOTATIONS, ANNOTATIONS, st.one_of(st.none(), st.integers(), st.text(), st.lists(st.text()))
)
def test_any_two_annotations_can_be_compared(one: object, other: object, value: object) -> None:
    assert fits(one, other) in (True, False)
    assert holds(one, value) in (True, False)


@pytest.mark.parametrize(
    "wanted, item",
    [
        (list[int], int), (abc.Sequence[str], str), (abc.Iterable[str], str), (list, ANYTHING),
        (tuple[int, str], ANYTHING), (dict[str, int], ANYTHING), (int, ANYTHING), (Any, ANYTHING),
        (list[int] | None, ANYTHING),
    ],
)  # fmt: skip
def test_the_items_of_a_list_are_known_if_it_says_so(wanted: object, item: object) -> None:
    assert item_of(wanted) == item


@pytest.mark.parametrize(
    "annotation, text",
    [
        (int, "int"), (None, "None"), (list[int], "list[int]"), (Any, "Any"), (int | None, "int | None"),
        (Literal["a"], "Literal['a']"), (Color, "Color"),
    ],
)  # fmt: skip
def test_annotations_are_written_for_a_person(annotation: object, text: str) -> None:
    assert name_of(annotation) == text


def test_values_are_written_in_short() -> None:
    assert shown([0] * 10_000) == "[0, 0, 0, 0, ...]"
    assert len(shown("a" * 10_000)) <= 60
    assert shown(10**5000) == "a value of type int"
    assert shown(Rude()).startswith("<Rude instance at")


# ── reading them ────────────────────────────────────────────────────────────────────────────────────


def test_an_annotation_that_cannot_be_evaluated_hides_no_other() -> None:
    def step(one: Unknown, two: int, three: 1 / 0) -> list[str]: ...  # type: ignore[name-defined,valid-type,empty-body]  # noqa: F821

    assert hints_of(step) == {"two": int, "return": list[str]}


def test_a_default_of_none_may_be_passed_as_well() -> None:
    def step(one: int = None, two: str | None = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013

    hints = hints_of(step)
    assert holds(hints["one"], None)
    assert holds(hints["one"], 3)
    assert not holds(hints["one"], "a")
    assert holds(hints["two"], None)


def test_what_is_only_noted_beside_a_type_does_not_count() -> None:
    def step(one: typing.Annotated[int, "seconds"]) -> None: ...

    assert hints_of(step) == {"one": int, "return": type(None)}
