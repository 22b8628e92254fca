"""Make statements over the tables of the schema, and turn them into text for one kind of database.

A statement is written once, at the top of a module. Where one is carried out thousands of times a
second, SQLAlchemy would take longer than the database: `driver_text` gives the text that the driver
itself takes, and the values follow as plain tuples, in the order in which the statement names them.

PostgreSQL and SQLite differ in two constructs, each of which stands here: the upsert, and the bytes
of a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

Condition = sa.ColumnElement[bool]


@dataclass(frozen=True, eq=False)
class Upsert:
    """Insert a row; where one with its key is there, change it, or leave it as it is."""

    table: sa.Table
    columns: Sequence[str]
    key: Sequence[str]
    replace: Sequence[str] = ()  # columns that take the new value
    fill: Sequence[str] = ()  # columns that take the new value only where they have none
    newest: str | None = None  # change only what is not newer, by this column


Statement = sa.ClauseElement | Upsert


def insert(table: sa.Table, *columns: str) -> sa.Insert:
    """Insert rows of these columns."""
    return sa.insert(table).values(_given(table, columns))


def update(
    table: sa.Table, which: Condition, *columns: str, **others: sa.ColumnElement[Any]
) -> sa.Update:
    """Change columns to values, and others to expressions; takes the values of `which` last."""
    values: list[tuple[Any, Any]] = [(table.c[column], sa.bindparam(column)) for column in columns]
    return sa.update(table).ordered_values(*values, *others.items()).where(which)


def same(*columns: sa.ColumnElement[Any]) -> Condition:
    """Ask that each of these columns has a value that is given under its name."""
    return sa.and_(*(column == sa.bindparam(_name(column)) for column in columns))


def driver_text(statement: Statement, dialect: sa.Dialect) -> str:
    """Give a statement as the driver takes it, with a mark for each value."""
    if isinstance(statement, Upsert):
        statement = _upsert(statement, dialect.name)
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    assert compiled.positiontup is not None, "the driver takes values by their places"
    assert all(value.required for value in compiled.binds.values()), "each value is given"
    return str(compiled)


def _upsert(wanted: Upsert, dialect: str) -> sa.ClauseElement:
    # Each has an insert of its own, with the same methods: that is all the difference.
    own: Any = import_module(f"sqlalchemy.dialects.{dialect}")
    statement = own.insert(wanted.table).values(_given(wanted.table, wanted.columns))
    new, old = statement.excluded, wanted.table.c
    changes = {name: new[name] for name in wanted.replace}
    changes |= {name: sa.func.coalesce(old[name], new[name]) for name in wanted.fill}
    if changes:
        which = older(wanted, new)
        made = statement.on_conflict_do_update(index_elements=wanted.key, set_=changes, where=which)
    else:
        made = statement.on_conflict_do_nothing(index_elements=wanted.key)
    assert isinstance(made, sa.ClauseElement)
    return made


def older(wanted: Upsert, new: Any) -> Condition | None:  # noqa: ANN401 - the excluded columns
    """Ask that what is there is not newer than what comes; None where that is no matter."""
    if wanted.newest is None:
        return None
    there: Condition = wanted.table.c[wanted.newest] <= new[wanted.newest]
    return there


def _given(table: sa.Table, columns: Sequence[str]) -> dict[str, sa.BindParameter[Any]]:
    # An insert names its columns in the order of the table, whatever order we say.
    assert list(columns) == [one.name for one in table.c if one.name in columns], columns
    return {column: sa.bindparam(column) for column in columns}


def _name(column: sa.ColumnElement[Any]) -> str:
    assert isinstance(column, sa.Column)
    return column.name


class Bytes(FunctionElement[bytes]):
    """The bytes of a text, whatever they are: what is damaged need not be text any more."""

    inherit_cache = True


@compiles(Bytes, "sqlite")
def _bytes_of_sqlite(element: Bytes, compiler: SQLCompiler, **given: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    return f"CAST({compiler.process(element.clauses, **given)} AS BLOB)"


@compiles(Bytes, "postgresql")
def _bytes_of_postgres(element: Bytes, compiler: SQLCompiler, **given: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    return f"convert_to({compiler.process(element.clauses, **given)}, 'UTF8')"
