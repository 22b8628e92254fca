"""Say what a table of found things has: which metrics and parameters are columns, each row's cells.

Columns are what the order and the query speak of, then what most rows have. A parameter that is the
same in all rows tells nothing apart, and is left out.

Takes:   the items of one page
Gives:   columns with the order that a click on each leads to, and lines with links
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

import msgspec

from makeway.errors import InvalidInput
from makeway.lineage.query import compares, parse, parse_name
from makeway.wire.search import FoundItem

COLUMNS_MAX, PARAMS_MAX = 4, 2  # what fits beside the facets
TEXT_CHARACTERS = 40
MEASURED = ("system/", "available/")  # by agents, and not by the program
PATHS = {"run": "/runs/", "job": "/jobs/", "step": "/steps/"}


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A metric or a parameter; `next_order` is what a click orders by, `way` how it is ordered now."""

    prefix: str
    name: str
    next_order: str
    way: str = ""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One found thing: where it leads, and its cells in the order of the columns."""

    item: FoundItem
    path: str
    cells: Sequence[object]
    shape: Sequence[float] = ()


def columns_of(items: Sequence[FoundItem], query: str, order: str) -> Sequence[Column]:
    """Choose the columns of a page."""
    asked = [(one.prefix, one.name) for one in compares(parse(query))]
    name, way = _ordered(order)
    if name is not None:
        asked.insert(0, name)
    metrics = Counter(
        name for item in items for name, value in item.metrics.items()
        if value is not None and not name.startswith(MEASURED)
    )  # fmt: skip
    values: dict[str, set[str]] = {}
    for item in items:
        for key, value in item.params.items():
            values.setdefault(key, set()).add(repr(value))
    params = Counter({key: len(some) for key, some in values.items() if len(some) > 1})
    told = _first("params", asked, params, PARAMS_MAX)
    chosen = [
        *(("metrics", name) for name in _first("metrics", asked, metrics, COLUMNS_MAX - len(told))),
        *(("params", name) for name in told),
    ]
    return [
        Column(prefix=one[0], name=one[1], next_order=_next(one, name, way),
               way=way if one == name else "")
        for one in chosen
    ]  # fmt: skip


def lines_of(
    items: Sequence[FoundItem], columns: Sequence[Column], shapes: Mapping[str, Sequence[float]]
) -> Sequence[Line]:
    """Write the rows."""
    return [
        Line(
            item=item,
            path=_path(item),
            cells=[_cell(item, column) for column in columns],
            shape=shapes.get(item.id, ()),
        )
        for item in items
    ]


def _first(
    prefix: str, asked: Sequence[tuple[str, str]], known: Counter[str], most: int
) -> Sequence[str]:
    names = [name for kind, name in asked if kind == prefix]
    names += [name for name, _ in sorted(known.items(), key=lambda one: (-one[1], one[0]))]
    return list(dict.fromkeys(names))[:most]


def _ordered(order: str) -> tuple[tuple[str, str] | None, str]:
    """Say by what a page is ordered, and which way."""
    if not order:
        return None, ""
    words = order.rsplit(maxsplit=1)
    way = words[1].lower() if len(words) == 2 and words[1].lower() in ("asc", "desc") else "asc"
    try:
        name = parse_name(words[0] if len(words) == 2 else order)
    except InvalidInput:
        return None, ""
    return (name.prefix, name.name), way


def _next(column: tuple[str, str], name: tuple[str, str] | None, way: str) -> str:
    """Say what a click orders by: the largest first, then the least, then the newest again."""
    if column != name:
        return f"{_written(column)} DESC"
    return f"{_written(column)} ASC" if way == "desc" else ""


def _written(column: tuple[str, str]) -> str:
    prefix, name = column
    quoted = name.replace("`", "``")
    return f"{prefix}.{name}" if _plain(name) else f"{prefix}.`{quoted}`"


def _plain(name: str) -> bool:
    return name.replace("_", "a").isalnum() and name not in ("min", "max", "last", "first", "mean")


def _cell(item: FoundItem, column: Column) -> object:
    values: Mapping[str, object] = item.metrics if column.prefix == "metrics" else item.params
    value = values.get(column.name)
    if isinstance(value, bool) or value is None:
        return value if value is None else str(value).lower()
    if isinstance(value, int | float):
        return float(value)
    text = str(value)
    return text if len(text) <= TEXT_CHARACTERS else f"{text[: TEXT_CHARACTERS - 1]}…"


def _path(item: FoundItem) -> str:
    if item.kind in PATHS:
        return PATHS[item.kind] + quote(item.id, safe="")
    return "/lineage?" + urlencode({"ref": item.id})
