"""A condition on an attempt: what it means, what is unknown, and where it is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeway.errors import InvalidInput
from makeway.expression import CHARACTERS_MAX, Value, holds, names, parse
from makeway.model.ruling import KINDS

VALUES: dict[str, Value | None] = {
    "last.memory_peak": 190e6, "last.memory_limit": 200e6, "last.exit_code": 3,
    "last.cause": "OOM_HOST", "last.message": "License server is BUSY", "last.duration": 90.0,
    "last.metrics.accuracy.trend": -0.02, "last.rank": None, "last.progress": float("nan"),
}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "last.memory_peak > 0.9 * last.memory_limit",
        "last.memory_peak > 90% * last.memory_limit and last.exit_code = 3",
        "last.memory_limit = 200MB",
        "last.duration >= 1.5m AND last.duration < 1h",
        "last.exit_code in (1, 2, 3)",
        "not last.exit_code in (4, 5)",
        "last.exit_code not in (4, 5)",
        "last.cause = 'OOM_HOST'",
        'last.cause != "CONNECTION"',
        "last.message like '%license%busy%'",
        "last.metrics.accuracy.trend < 0",
        "-last.exit_code < - 2 + -0",
        "1 + 2 * 3 = 7 and (1 + 2) * 3 = 9 and 8 / 2 / 2 = 2 and 1 - 1 - 1 = -1",
        "last.rank is null or last.rank > 3",
        "last.exit_code is not null",
        "true or last.rank > 3",
        "not (false and last.rank > 3)",
        "(last.exit_code = 3) = true",
    ],
)
def test_a_condition_that_holds(text: str) -> None:
    assert holds(parse(text, KINDS), VALUES)


@pytest.mark.parametrize(
    "text",
    [
        "last.rank > 3",
        "not last.rank > 3",
        "last.rank = last.rank",
        "last.progress < 1",
        "last.exit_code / 0 > 1",
        "last.rank in (1, 2)",
        "last.errno not in (1, 2)",
        "last.metrics.loss < 3",
        "last.cause like 'oom'",
        "false and last.rank > 3",
    ],
)
def test_what_is_false_or_unknown_does_not_hold(text: str) -> None:
    assert not holds(parse(text, KINDS), VALUES)


@pytest.mark.parametrize(
    "text, problem, at",
    [
        ("last.memory_peek > 3", "there is no last.memory_peek", 0),
        ("last.exit_code == 3", "a number or a name or a text in quotes", 16),
        ("last.exit_code", "it is a number, and a condition is true or false", 0),
        ("last.exit_code = '3'", "this is a text, and a number is wanted", 17),
        ("last.cause + 1 > 2", "this is a text, and a number is wanted", 0),
        ("last.cause = 'OOM", "a quote that is opened here is not closed", 13),
        ("(last.exit_code = 3", "a closing parenthesis", 19),
        ("", "was expected, not the end", 0),
        ("last.exit_code like 'a'", "this is a number, and a text is wanted", 0),
        ("(1 = 1) < (2 = 2)", "true and false are only = or !=", 11),
        ("last.exit_code = 3 and last.signal", "this is a number, and a truth is wanted", 23),
        ("__import__('os')", "was expected", 10),
    ],
)
def test_what_is_wrong_is_shown_at_its_place(text: str, problem: str, at: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(text, KINDS)
    said = caught.value.problem
    first, shown, caret = said.split("\n")
    assert problem in first or set(problem.split(" or ")) <= set(
        first.split(" was ")[0].split(" or ")
    )
    assert shown == f"  {text}"
    assert caret.index("^") - 2 == at


@pytest.mark.parametrize(
    "text", ["1" * (CHARACTERS_MAX + 1), "(" * 300, "1" + "+1" * 150, "not " * 250 + "true"]
)
def test_a_condition_beyond_all_reason_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="at most"):
        parse(text, KINDS)


def test_the_deepest_that_is_allowed_is_evaluated() -> None:
    assert not holds(parse("not " * 199 + "true", KINDS), {})
    assert holds(parse("(" * 99 + "true" + ")" * 99, KINDS), {})


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse(text, KINDS)
    except InvalidInput:
        return
    assert holds(found, VALUES) in (True, False)


WORDS = st.sampled_from(
    ["last.rank", "last.exit_code", "last.cause", "'x'", "1", "2.5s", "(", ")", "and", "or", "not",
     "in", "like", "is", "null", "=", "<", "+", "-", "*", "/", ",", "true"]
)  # fmt: skip
ANY = st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=3))


@given(st.lists(WORDS, max_size=12), st.dictionaries(st.sampled_from([*VALUES]), ANY))
def test_evaluation_raises_nothing_whatever_the_values_are(
    words: list[str], values: dict[str, object]
) -> None:
    try:
        found = parse(" ".join(words), KINDS)
    except InvalidInput:
        return
    assert holds(found, values) in (True, False)  # type: ignore[arg-type]  # that is what is tried
    assert names(found) <= {*KINDS}
