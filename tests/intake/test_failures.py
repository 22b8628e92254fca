"""Patterns and rules of failures as files say them, and what is refused of them."""

from __future__ import annotations

import pytest

from makeway.errors import InvalidInput
from makeway.intake.failures import failures_of, rules_of
from makeway.intake.located import item_of
from makeway.intake.toml import read_toml
from makeway.intake.written import failures_plain
from makeway.model.record import Cause, CauseClass
from makeway.model.ruling import FailureRules

WHOLE = """
[[failures.patterns]]
pattern = "license server .* busy"
cause = "CONNECTION"
example = "FlexLM: license server lic1 is busy"
hint = "all licences are taken"

[[failures.patterns]]
pattern = "ignore me"
role = "advice"

[[failures.rules]]
name = "licence"
cause = "CONNECTION"
class = ["temporary", "unknown"]
exception = ["LicenseError", "mine.Other"]
exit_code = [3, -9]
when = "last.duration > 10m"
do = "retry"
times = 5
memory_factor = 1.5
exclude_nodes = true
after = "2m"
hint = "ask for more"

[[failures.rules]]
exception = "KeyError"
do = "stop"
"""


def read(text: str) -> FailureRules:
    return failures_of(read_toml(text, "makeway.toml").mapping("it")["failures"])


def test_a_whole_file_is_read_and_knows_where_each_stands() -> None:
    found = read(WHOLE)
    first, second = found.rules
    assert first.causes == (Cause.CONNECTION,)
    assert first.classes == (CauseClass.TEMPORARY, CauseClass.UNKNOWN)
    assert first.exceptions == ("LicenseError", "mine.Other")
    assert (first.exit_codes, first.times, first.after_ms) == ((3, -9), 5, 120_000)
    assert first.called == "rule licence (makeway.toml:12)"
    assert second.called == "rule (makeway.toml:26)"
    assert [one.where for one in found.patterns] == ["makeway.toml:2", "makeway.toml:8"]


def test_what_is_written_is_read_as_the_same() -> None:
    found = read(WHOLE)
    plain = failures_plain(found)
    again = failures_of(item_of(plain, ""))
    assert failures_plain(again) == plain


@pytest.mark.parametrize(
    "rule, problem",
    [
        ("{}", "a rule needs `do`: retry or stop"),
        ('{do = "retry"}', "a rule names what it is for"),
        ('{do = "burn", cause = "AUTH"}', "there is no do 'burn'"),
        ('{do = "stop", cause = "OOM"}', "there is no cause 'OOM'"),
        ('{do = "stop", causes = "AUTH"}', "a rule has no key 'causes'; did you mean 'cause'?"),
        ('{do = "stop", cause = "AUTH", after = "1s"}', "a rule that stops changes nothing"),
        ('{do = "retry", cause = "AUTH", times = 0}', "times must be at least 1"),
        ('{do = "retry", cause = "AUTH", times = 21}', "times must be at most 20"),
        ('{do = "retry", cause = "AUTH", memory = -1}', "memory"),
        ('{do = "retry", cause = "AUTH", memory = 0}', "memory must be more than 0"),
        ('{do = "retry", cause = "AUTH", memory_factor = 0.5}', "memory_factor must be a number"),
        ('{do = "retry", cause = "AUTH", memory = 9, memory_factor = 2}', "say the same"),
        ('{do = "stop", exception = "not a name"}', "is no name of an exception"),
        ('{do = "stop", exit_code = "x"}', "exit_code must be a whole number"),
        ('{do = "stop", when = "last.x = 1"}', "when: there is no last.x"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_place(rule: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(f"[failures]\nrules = [{rule}]\n")
    assert problem in caught.value.problem
    assert caught.value.where == "makeway.toml:2"


@pytest.mark.parametrize(
    "pattern, problem",
    [
        ('{cause = "AUTH"}', "a pattern needs a `pattern`"),
        ('{pattern = "(", cause = "AUTH"}', "pattern is no regular expression"),
        ('{pattern = ".*", cause = "AUTH"}', "pattern matches everything"),
        ('{pattern = "x"}', "every other pattern needs one"),
        ('{pattern = "x", role = "advice", cause = "AUTH"}', "an advice has no cause"),
        ('{pattern = "x", cause = "AUTH", role = "rot"}', "there is no role 'rot'"),
        ('{pattern = "x", cause = "AUTH", example = "y"}', "does not match its own example"),
        ('{pattern = "' + "x" * 501 + '", cause = "AUTH"}', "at most 500 bytes"),
    ],
)
def test_a_wrong_pattern_is_refused_with_its_place(pattern: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(f"[failures]\npatterns = [{pattern}]\n")
    assert problem in caught.value.problem
    assert caught.value.where == "makeway.toml:2"


def test_too_many_rules_are_refused() -> None:
    many = [{"do": "stop", "cause": "AUTH"}] * 101
    with pytest.raises(InvalidInput, match="101 are too many"):
        rules_of(item_of(many, "body"), "rules")
