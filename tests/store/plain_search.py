"""Search the plain way: by asking each thing in turn, over dictionaries. The store's search must agree.

It knows runs of steps alone. Everything is written out, nothing is clever.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from makeway.lineage.query import And, Compare, Not, Or, Query, Value
from makeway.store.conditions import flat, group_of, positive

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


@dataclass
class PlainStep:
    """One step, with all that is known of it."""

    key: str
    phase: str
    params: dict[str, object] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float | None] = field(default_factory=dict)
    causes: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)


@dataclass
class PlainRun:
    """One run and its steps."""

    id: str
    workflow: str
    at_ms: int
    params: dict[str, object]
    steps: list[PlainStep]


def holds(query: Query | None, run: PlainRun, steps: Sequence[PlainStep], *, whole: bool) -> bool:
    """Say whether a run (`whole`), or its one step, fulfils a search."""
    match query:
        case None:
            return True
        case Or(terms):
            return any(holds(term, run, steps, whole=whole) for term in terms)
        case Not(term):
            return not holds(term, run, steps, whole=whole)
        case And():
            each = list(flat(query))
            alone = [term for term in each if group_of(term) is None]
            together: dict[str, list[Compare]] = {}
            for term in each:
                if group := group_of(term):
                    together.setdefault(group, []).append(positive(term))
            return all(holds(term, run, steps, whole=whole) for term in alone) and all(
                any(_same(group, found, step) for step in steps)
                for group, found in together.items()
            )
        case Compare():
            return _one(query, run, steps, whole=whole)


def _one(one: Compare, run: PlainRun, steps: Sequence[PlainStep], *, whole: bool) -> bool:
    if one.operator == "NULL":
        there = Compare(prefix=one.prefix, name=one.name, operator="THERE")
        return not _one(there, run, steps, whole=whole)
    match one.prefix:
        case "attributes":
            name = run.workflow if whole else steps[0].key
            return fits(one, {"name": name, "submitted": run.at_ms}[one.name])
        case "params":
            known = [step.params for step in steps] + ([run.params] if whole else [])
            return any(one.name in params and fits(one, params[one.name]) for params in known)
        case "tags":
            return any(one.name in step.tags and fits(one, step.tags[one.name]) for step in steps)
        case "metrics":
            return any(fits(one, step.metrics.get(one.name)) for step in steps)
        case _:
            return any(_same(one.prefix, [one], step) for step in steps)


def _same(group: str, terms: Sequence[Compare], step: PlainStep) -> bool:
    """Say whether one step (and one failure of it), or one input of it, fulfils all of these."""
    if group == "datasets":
        return any(all(fits(one, name) for one in terms) for name in step.inputs)
    of_step = {"name": step.key, "state": step.phase}
    if not all(fits(one, of_step[one.name]) for one in terms if one.prefix == "steps"):
        return False
    failures = [one for one in terms if one.prefix == "failure"]
    return not failures or any(all(fits(one, cause) for one in failures) for cause in step.causes)


def fits(one: Compare, value: object) -> bool:
    """Compare one value, which may be nothing."""
    if value is None:
        return False
    if one.operator == "THERE":
        return True
    if one.operator == "IN":
        return any(_equal(value, wanted) for wanted in one.values)
    [wanted] = one.values
    if one.operator in ("LIKE", "ILIKE"):
        assert isinstance(wanted, str)
        signs = {"%": ".*", "_": "."}
        pattern = "".join(signs.get(sign, re.escape(sign)) for sign in wanted)
        flags = re.DOTALL | (re.IGNORECASE | re.ASCII if one.operator == "ILIKE" else 0)
        return re.fullmatch(pattern, text_of(value), flags) is not None
    left, right = _alike(value, wanted)
    return left is not None and OPERATORS[one.operator](left, right)


def _equal(value: object, wanted: Value) -> bool:
    left, right = _alike(value, wanted)
    return left is not None and left == right


def _alike(value: object, wanted: Value) -> tuple[object, object]:
    """Give both as texts or as numbers; nothing if they cannot be compared."""
    if isinstance(wanted, str):
        return text_of(value), wanted
    if isinstance(wanted, bool) is not isinstance(value, bool):
        return None, wanted
    if isinstance(value, str):
        number = re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)", value, re.ASCII)
        return (float(value) if number else None), wanted
    assert isinstance(value, bool | int | float)
    return float(value), float(wanted)


def text_of(value: object) -> str:
    """Give a value as it is kept as a text."""
    return str(value).lower() if isinstance(value, bool) else str(value)
