"""Say whether something fulfils a search, and in which order things come, by what is known of each.

Something is known by a function from a name to its values: none, if it has no such thing, one, or
several (the names of its data sets). A condition holds if one of the values fulfils it; of what is
not there only `IS NULL` holds. What has no value for an order comes last, whichever way it goes;
what is equal stays in the order in which it came.

Cost:    2 µs a condition
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TypeVar

from makeway.errors import InvalidInput
from makeway.lineage.query import And, Compare, Name, Not, Or, Query, Value, parse_name

Values = Callable[[Name], Sequence[Value]]
Thing = TypeVar("Thing")

ORDER = re.compile(r"(.*?)(?:\s+(asc|desc))?\s*", re.IGNORECASE | re.DOTALL)


def fulfils(query: Query | None, values: Values) -> bool:
    """Say whether what has these values fulfils a search."""
    match query:
        case None:
            return True
        case And(terms):
            return all(fulfils(term, values) for term in terms)
        case Or(terms):
            return any(fulfils(term, values) for term in terms)
        case Not(term):
            return not fulfils(term, values)
        case Compare():
            found = values(_name(query))
            if query.operator == "NULL":
                return not found
            return any(_fits(value, query.operator, query.values) for value in found)


def names_of(query: Query | None) -> list[Name]:
    """Give every name that a search asks for."""
    match query:
        case None:
            return []
        case And(terms) | Or(terms):
            return [name for term in terms for name in names_of(term)]
        case Not(term):
            return names_of(term)
        case Compare():
            return [_name(query)]


def orders_of(texts: Iterable[str]) -> list[tuple[Name, bool]]:
    """Read orders such as `metrics.loss DESC`: the name, and whether it goes down."""
    read = []
    for text in texts:
        found = ORDER.fullmatch(text)
        if found is None or not found[1].strip():
            raise InvalidInput("a name was expected, with ASC or DESC behind it", where="order_by")
        read.append((parse_name(found[1]), (found[2] or "").lower() == "desc"))
    return read


def in_order(
    things: Iterable[Thing],
    orders: Sequence[tuple[Name, bool]],
    values: Callable[[Thing], Values],
) -> list[Thing]:
    """Bring things into an order."""
    rows = [*things]
    for name, down in reversed(orders):
        found = {id(row): _rank(values(row)(name)) for row in rows}
        there = [row for row in rows if found[id(row)] is not None]
        rest = [row for row in rows if found[id(row)] is None]
        there.sort(key=lambda row: found[id(row)] or (0, 0.0, ""), reverse=down)
        rows = [*there, *rest]
    return rows


def _name(one: Compare) -> Name:
    return Name(prefix=one.prefix, name=one.name, aggregate=one.aggregate, at=one.at)


def _rank(found: Sequence[Value]) -> tuple[int, float, str] | None:
    """Give what something is sorted by: numbers before texts; a NaN is no place in an order."""
    if not found:
        return None
    number = _number(found[0])
    if number is None:
        return 1, 0.0, str(found[0])
    return None if math.isnan(number) else (0, number, "")


def _fits(value: Value, operator: str, wanted: Sequence[Value]) -> bool:
    if operator in {"LIKE", "ILIKE"}:
        return (
            _pattern(str(wanted[0]), ignore_case=operator == "ILIKE").fullmatch(str(value))
            is not None
        )
    return any(_compares(value, operator, one) for one in wanted)


def _compares(value: Value, operator: str, wanted: Value) -> bool:
    if isinstance(value, str) and isinstance(wanted, str):
        return _holds(value, operator, wanted)
    if isinstance(value, str) and isinstance(wanted, bool):
        return _holds(value.lower(), operator, str(wanted).lower())
    left, right = _number(value), _number(wanted)
    if left is None or right is None:
        return operator == "!="
    return _holds(left, operator, right)


Sortable = TypeVar("Sortable", float, str)


def _holds(left: Sortable, operator: str, right: Sortable) -> bool:
    match operator:
        case "=" | "IN":
            return left == right
        case "!=":
            return left != right
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case _:
            return left >= right


def _number(value: Value) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


@cache
def _pattern(text: str, *, ignore_case: bool) -> re.Pattern[str]:
    parts = {"%": ".*", "_": "."}
    made = "".join(parts.get(letter) or re.escape(letter) for letter in text)
    return re.compile(made, re.DOTALL | (re.IGNORECASE if ignore_case else 0))
