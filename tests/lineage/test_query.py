"""A search is read as it is meant, and what cannot be read is shown with a caret."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeway.errors import InvalidInput
from makeway.lineage.query import (
    CHARACTERS_MAX,
    NESTED_MAX,
    And,
    Compare,
    Name,
    Not,
    Or,
    compares,
    parse,
    parse_name,
)


def only(text: str) -> Compare:
    """Read a search of one condition."""
    found = parse(text)
    assert isinstance(found, Compare)
    return found


def refused(text: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        parse(text)
    return caught.value


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_no_condition_means_everything(text: str) -> None:
    assert parse(text) is None
    assert compares(None) == []


@pytest.mark.parametrize(
    "text,operator,values",
    [
        ("metrics.a = 1", "=", (1.0,)),
        ("metrics.a!=-.5", "!=", (-0.5,)),
        ("metrics.a<1e-3", "<", (0.001,)),
        ("metrics.a <= 1.", "<=", (1.0,)),
        ("params.a = 'it''s'", "=", ("it's",)),
        ('params.a = "cnn"', "=", ("cnn",)),
        ("params.a = true", "=", (True,)),
        ("params.a like 'x%'", "LIKE", ("x%",)),
        ("params.a ILIKE 'x%'", "ILIKE", ("x%",)),
        ("params.a in ('x', 2)", "IN", ("x", 2.0)),
        ("params.a is Null", "NULL", ()),
    ],
)
def test_every_operator(text: str, operator: str, values: tuple[object, ...]) -> None:
    found = only(text)
    assert (found.name, found.operator, found.values) == ("a", operator, values)


@pytest.mark.parametrize(
    "text,operator,values",
    [("NOT IN (1)", "IN", (1.0,)), ("NOT LIKE 'x'", "LIKE", ("x",)), ("IS NOT NULL", "NULL", ())],
)
def test_a_negated_operator_is_the_negation_of_the_operator(
    text: str, operator: str, values: tuple[object, ...]
) -> None:
    found = parse(f"params.a {text}")
    assert isinstance(found, Not)
    [term] = compares(found)
    assert (term.operator, term.values) == (operator, values)


def test_and_binds_closer_than_or_and_not_closest() -> None:
    found = parse("not a = 1 or b = 2 and c = 3")
    assert isinstance(found, Or)
    first, second = found.terms
    assert isinstance(first, Not)
    assert isinstance(second, And)
    assert [one.name for one in compares(found)] == ["a", "b", "c"]


def test_parentheses_go_before() -> None:
    found = parse("(a = 1 OR b = 2) AND c = 3")
    assert isinstance(found, And)
    assert isinstance(found.terms[0], Or)


@pytest.mark.parametrize(
    "text,name",
    [
        ("metrics.`my loss`", "my loss"),
        ('metrics."my loss"', "my loss"),
        ("metrics.`a``b`", "a`b"),
        ("metrics.system/memory_usage_bytes", "system/memory_usage_bytes"),
        ("metrics.val-loss", "val-loss"),
        ("metrics.top.5", "top.5"),
        ("metrics.in", "in"),
        ("metrics.größe", "größe"),
        ("metrics.min", "min"),
        ("metrics.`loss.min`", "loss.min"),
    ],
)
def test_a_name_may_hold_anything(text: str, name: str) -> None:
    assert parse_name(text) == Name(prefix="metrics", name=name)


@pytest.mark.parametrize("aggregate", ["min", "max", "last", "first", "mean"])
def test_a_metric_may_be_asked_for_by_its_sums(aggregate: str) -> None:
    asked = Name(prefix="metrics", name="my loss", aggregate=aggregate)
    assert parse_name(f"metrics.`my loss`.{aggregate}") == asked


def test_only_a_metric_has_sums() -> None:
    assert parse_name("params.loss.min") == Name(prefix="params", name="loss.min")


@pytest.mark.parametrize(
    "text,prefix",
    [("metric.a", "metrics"), ("Param.a", "params"), ("a", "attributes"), ("step.a", "steps")],
)
def test_prefixes_are_named_as_mlflow_names_them_too(text: str, prefix: str) -> None:
    assert parse_name(text) == Name(prefix=prefix, name="a")


@pytest.mark.parametrize(
    "text,problem,hint",
    [
        ("mertics.a > 1", "'mertics' is no prefix", "metrics"),
        ("metrics.a >", "a value", ""),
        ("metrics.a > x", "a value", "single quotes"),
        ("metrics.a == 1", "not '='", "equal is written ="),
        ("metrics.a > 1 adn b = 2", "AND or OR", "the nearest is AND"),
        ("(metrics.a > 1", "a closing parenthesis", ""),
        ("params.a = 'x", "not closed", ""),
        ("a in ()", "a value", ""),
        ("a like 5", "a text", ""),
        ("§ = 1", "a name", ""),
        ("a", "an operator", ""),
    ],
)
def test_a_mistake_is_named_with_what_was_expected(text: str, problem: str, hint: str) -> None:
    error = refused(text)
    assert problem in error.problem
    assert hint in error.hint


def test_the_caret_stands_under_the_mistake_on_its_own_line() -> None:
    error = refused("metrics.a > 1\nAND mertics.b > 2\nAND c = 3")
    assert error.where == "query:19"
    assert error.problem.split("\n")[1:] == ["  AND mertics.b > 2", "      ^"]


def test_a_search_is_neither_too_long_nor_too_deep() -> None:
    assert parse("(" * NESTED_MAX + "a = 1" + ")" * NESTED_MAX) == parse_at("a = 1", NESTED_MAX)
    assert "parentheses" in refused("(" * (NESTED_MAX + 1)).problem
    assert "parentheses" in refused("not " * (NESTED_MAX + 1) + "a = 1").problem
    assert "characters" in refused(" " * (CHARACTERS_MAX + 1)).problem


def parse_at(text: str, places: int) -> Compare:
    """Read a condition that stands so many places further right."""
    one = only(" " * places + text)
    assert one.at == places
    return one


@given(st.text(alphabet="ab.`\"'()=<>!,1 \nNOTINADR§", max_size=40))
def test_any_text_is_read_or_refused_with_a_caret(text: str) -> None:
    with suppress(InvalidInput):
        parse(text)
        return
    assert refused(text).problem.rstrip().endswith("^")
