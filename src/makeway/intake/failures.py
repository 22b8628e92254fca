"""Read the patterns and rules by which people add to those of failures: `failures` of a configuration.

Rules stand in a job, in an evidence document (`on_failure`) and in a configuration alike.

Takes:   an `Item`
Gives:   LogPattern, Rule, FailureRules
Raises:  InvalidInput, with the place: a pattern that is none, an example that it does not match, a
         rule that names nothing to match, or changes for a retry where it says stop
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from makeway.errors import InvalidInput
from makeway.expression import parse
from makeway.intake import shape as of
from makeway.intake.located import Item
from makeway.intake.shape import Shape
from makeway.model.record import Cause, CauseClass
from makeway.model.ruling import (
    ACTIONS,
    FACTOR_MAX,
    KINDS,
    RETRIES_MAX,
    ROLES,
    FailureRules,
    LogPattern,
    Rule,
)

MATCHES = ("causes", "classes", "exceptions", "exit_codes", "when")
CHANGES = ("times", "memory_bytes", "memory_factor", "exclude_nodes", "after_ms")
PATTERN_BYTES_MAX, RULES_MAX = 500, 100
Made = TypeVar("Made")
NAME = re.compile(r"[A-Za-z_][\w.]*")


def failures_of(item: Item) -> FailureRules:
    """Read both, each a list."""
    fields = item.fields(("patterns", "rules"), "failures")
    patterns, rules = fields.get("patterns"), fields.get("rules")
    return FailureRules(
        patterns=() if patterns is None else _each(patterns, "patterns", _pattern),
        rules=() if rules is None else rules_of(rules, "rules"),
    )


def rules_of(item: Item, key: str) -> tuple[Rule, ...]:
    """Read a list of rules."""
    return _each(item, key, _rule)


def _each(item: Item, key: str, read: Callable[[Item], Made]) -> tuple[Made, ...]:
    found = item.items(key)
    if len(found) > RULES_MAX:
        raise item.wrong(f"{key}: {len(found)} are too many; {RULES_MAX} are the most")
    return tuple(read(one) for one in found)


def _pattern(item: Item) -> LogPattern:
    read = replace(PATTERN.read(item), where=item.where)
    fields = item.mapping("a pattern")
    if not read.pattern:
        raise item.wrong("a pattern needs a `pattern`, a regular expression")
    if (read.cause is None) is not (read.role == "advice"):
        raise item.wrong("an advice has no cause; every other pattern needs one")
    if read.example and not re.search(read.pattern, read.example, re.IGNORECASE):
        raise fields["example"].wrong("the pattern does not match its own example")
    return read


def _rule(item: Item) -> Rule:
    read = replace(RULE.read(item), where=item.where)
    fields, empty = item.mapping("a rule"), Rule()
    if "do" not in fields:
        raise item.wrong("a rule needs `do`: retry or stop")
    if all(getattr(read, key) == getattr(empty, key) for key in MATCHES):
        raise item.wrong("a rule names what it is for: cause, class, exception, exit_code or when")
    changes = any(getattr(read, key) != getattr(empty, key) for key in CHANGES)
    if read.action == "stop" and changes:
        raise fields["do"].wrong("a rule that stops changes nothing for a next attempt")
    if read.memory_bytes is not None and read.memory_factor is not None:
        raise fields["memory"].wrong("memory and memory_factor say the same; give one of them")
    return read


def _regular(item: Item, key: str) -> str:
    text = item.long_text(key, PATTERN_BYTES_MAX)
    try:
        pattern = re.compile(text, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise item.wrong(f"{key} is no regular expression: {error}") from None
    if pattern.search(""):
        raise item.wrong(f"{key} matches everything")
    return text


def condition(item: Item, key: str) -> str:
    """Read a condition on an attempt, and show the place where it is wrong."""
    text = of.free_text(item, key)
    try:
        parse(text, KINDS)
    except InvalidInput as error:
        raise InvalidInput(f"{key}: {error.problem}", where=item.where, hint=error.hint) from None
    return text


def _listed(item: Item) -> list[Item]:
    return item.value if isinstance(item.value, list) else [item]


def _causes(item: Item, key: str) -> tuple[Cause, ...]:
    return tuple(Cause(one.one_of(tuple(Cause), key)) for one in _listed(item))


def _cause(item: Item, key: str) -> Cause:
    return Cause(item.one_of(tuple(Cause), key))


def _classes(item: Item, key: str) -> tuple[CauseClass, ...]:
    return tuple(CauseClass(one.one_of(tuple(CauseClass), key)) for one in _listed(item))


def _names(item: Item, key: str) -> tuple[str, ...]:
    names = []
    for one in _listed(item):
        name = one.text(key)
        if not NAME.fullmatch(name):
            raise one.wrong(f"{key}: {name!r} is no name of an exception")
        names.append(name)
    return tuple(names)


def _codes(item: Item, key: str) -> tuple[int, ...]:
    return tuple(of.any_whole(one, key) for one in _listed(item))


def _times(item: Item, key: str) -> int:
    times = item.whole(key, 1)
    if times > RETRIES_MAX:
        raise item.wrong(f"{key} must be at most {RETRIES_MAX}, not {times}")
    return times


def _factor(item: Item, key: str) -> float:
    factor = item.number(key, 1)
    if factor > FACTOR_MAX:
        raise item.wrong(f"{key} must be at most {FACTOR_MAX:g}, not {factor:g}")
    return factor


def _memory(item: Item, key: str) -> int:
    size_bytes = of.size(item, key)
    if not size_bytes:
        raise item.wrong(f"{key} must be more than 0")
    return size_bytes


def _after(item: Item, key: str) -> int:
    return item.time_ms(key)


def _name(item: Item, key: str) -> str:
    return item.text(key)


PATTERN = Shape("a pattern", lambda **known: LogPattern(**{"pattern": "", **known}), {
    "pattern": ("pattern", _regular), "cause": ("cause", _cause),
    "role": ("role", of.word(*ROLES)), "example": ("example", of.free_text),
    "hint": ("hint", of.free_text),
})  # fmt: skip
RULE = Shape("a rule", Rule, {
    "name": ("name", _name), "cause": ("causes", _causes), "class": ("classes", _classes),
    "exception": ("exceptions", _names), "exit_code": ("exit_codes", _codes),
    "when": ("when", condition), "do": ("action", of.word(*ACTIONS)), "times": ("times", _times),
    "memory": ("memory_bytes", _memory), "memory_factor": ("memory_factor", _factor),
    "exclude_nodes": ("exclude_nodes", of.flag), "after": ("after_ms", _after),
    "hint": ("hint", of.free_text),
})  # fmt: skip
