"""Read TOML, and find the line of each key."""

from __future__ import annotations

import pytest

from makeway.errors import InvalidInput
from makeway.intake.located import Item
from makeway.intake.toml import read_toml

TEXT = '''
[service]
host = "127.0.0.1"
note = """
port = 1
[limits]
"""
port = 7070     # a comment

[policy]
preemption.grace = "30s"
"classes" = { high = 100, boss = 900 }
many = [
  { a = 1 },
]

[[queues]]
name = "lab"

[[queues.queues]]
name = "ada"
[queues.queues.guarantee]
cpus = 2

[[queues]]
name = "club"
'''


def lines(item: Item) -> dict[str, int]:
    """Give the line of every value, by path."""
    found = {item.path: item.line}
    inner = item.value if isinstance(item.value, list) else []
    for one in item.value.values() if isinstance(item.value, dict) else inner:
        found |= lines(one)
    return found


def test_each_key_has_the_line_on_which_it_begins() -> None:
    found = lines(read_toml(TEXT, "f"))
    assert found["service"] == 2
    assert found["service.port"] == 8
    assert found["policy.preemption"] == found["policy.preemption.grace"] == 11
    assert found["queues[0]"] == 17
    assert found["queues[0].queues[0].name"] == 21
    assert found["queues[0].queues[0].guarantee"] == 22
    assert found["queues[0].queues[0].guarantee.cpus"] == 23
    assert found["queues[1].name"] == 26


def test_what_stands_inside_a_line_has_the_line_of_what_it_is_in() -> None:
    found = lines(read_toml(TEXT, "f"))
    assert found["policy.classes.high"] == found["policy.classes.boss"] == 12
    assert found["policy.many[0].a"] == 13


@pytest.mark.parametrize(
    "text, where, problem",
    [
        ("a = ", "f:1", "this is no TOML: Invalid value"),
        ("a = 1\nb = [1,\n", "f:2", "this is no TOML: Invalid value"),
        ("a = 1\na = 2", "f:2", "this is no TOML: Cannot overwrite a value"),
        ("a = " + "9" * 5000, "f:1", "this is no TOML: Exceeds the limit"),
        ("a = " + "[" * 5000, "f", "it is nested too deeply"),
    ],
    ids=lambda value: value[:12],
)
def test_what_is_no_toml_is_told_with_its_line(text: str, where: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as told:
        read_toml(text, "f")
    assert told.value.where == where
    assert told.value.problem.startswith(problem)


def test_nothing_at_all_is_an_empty_table() -> None:
    assert read_toml("", "f").mapping("it") == {}
