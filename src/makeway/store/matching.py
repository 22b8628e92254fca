"""Match a text with a pattern in which % is any text and _ any one character, on both databases.

LIKE minds case and ILIKE does not, as MLflow has it; nothing escapes a sign. SQLite's own LIKE never
minds it, so there it is a GLOB, whose own signs are put in brackets.
"""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

GLOB = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}


class Like(FunctionElement[bool]):
    """Whether a column matches letter for letter: column, pattern, the pattern as a GLOB."""

    inherit_cache = True


class Ilike(FunctionElement[bool]):
    """Whether a column matches if large and small letters are the same: column, pattern."""

    inherit_cache = True


def matches(column: sa.ColumnElement[Any], pattern: str, *, exactly: bool) -> Any:  # noqa: ANN401 - a condition
    """Ask whether a column matches a pattern; `exactly`: A is not a."""
    wanted = sa.literal(pattern, sa.Text)
    if not exactly:
        return Ilike(column, wanted)
    glob = re.sub(r"[%_*?\[]", lambda found: GLOB[found[0]], pattern)
    return Like(column, wanted, sa.literal(glob, sa.Text))


def _parts(element: Any, compiler: SQLCompiler, given: Any) -> list[str]:  # noqa: ANN401 - SQLAlchemy's own
    return [compiler.process(part, **given) for part in element.clauses]


@compiles(Like, "sqlite")
def _like_of_sqlite(element: Like, compiler: SQLCompiler, **given: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    column, _, glob = element.clauses
    return f"({compiler.process(column, **given)} GLOB {compiler.process(glob, **given)})"


@compiles(Ilike, "sqlite")
def _ilike_of_sqlite(element: Ilike, compiler: SQLCompiler, **given: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    column, pattern = _parts(element, compiler, given)
    return f"({column} LIKE {pattern})"


@compiles(Like, "postgresql")
def _like_of_postgres(element: Like, compiler: SQLCompiler, **given: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    column, pattern, _ = element.clauses
    left, right = compiler.process(column, **given), compiler.process(pattern, **given)
    return f"({left} LIKE {right} ESCAPE '')"


@compiles(Ilike, "postgresql")
def _ilike_of_postgres(element: Ilike, compiler: SQLCompiler, **given: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    column, pattern = _parts(element, compiler, given)
    return f"({column} ILIKE {pattern} ESCAPE '')"
