"""Narrow a search by what was found, and widen it again: conditions are put to it and taken away.

Takes:   the text of a query, and conditions as texts
Gives:   the text of another one; what somebody wrote stays as they wrote it
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from makeway.lineage.query import Or, parse
from makeway.store.facets import Facet

AND = " AND "


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a facet: choosing it leads to `query`; one that is `chosen` is taken away."""

    text: str
    count: int
    query: str
    chosen: bool


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """A facet with its values."""

    title: str
    choices: tuple[Choice, ...]
    more: int = 0


def choices(facets: Sequence[Facet], query: str) -> Sequence[Choices]:
    """Turn facets into links."""
    return [
        Choices(
            title=_title(facet.name),
            choices=tuple(
                _choice(query, value.text, value.count, value.condition) for value in facet.values
            ),
            more=facet.more,
        )
        for facet in facets
    ]


def _choice(query: str, text: str, count: int, condition: str) -> Choice:
    wider = without(query, condition)
    chosen = wider is not None
    other = with_(query, condition) if wider is None else wider
    return Choice(text=text, count=count, query=other, chosen=chosen)


def with_(query: str, condition: str) -> str:
    """Ask for what fulfils a condition as well."""
    if not query:
        return condition
    return f"({query}){AND}{condition}" if isinstance(parse(query), Or) else query + AND + condition


def without(query: str, condition: str) -> str | None:
    """Ask for the same without a condition; None: it is not one of those that must all hold."""
    if query == condition:
        return ""
    if query.endswith(AND + condition):
        return _bare(query.removesuffix(AND + condition))
    if query.startswith(condition + AND):
        return query.removeprefix(condition + AND)
    between = AND + condition + AND
    return query.replace(between, AND, 1) if between in query and "(" not in query else None


def named(word: str) -> str:
    """Ask for what has a word in its name, or an id that begins so."""
    return f"name ILIKE '%{word}%' OR id LIKE '{word}%'"


def _bare(query: str) -> str:
    """Take the parentheses away that `with_` has put around a whole query."""
    inner = query[1:-1]
    if query.startswith("(") and query.endswith(")") and "(" not in inner and ")" not in inner:
        return inner
    return query


def _title(name: str) -> str:
    return {"failure.cause": "why it failed", "datasets.name": "data set read"}.get(name, name)
