"""Read TOML into items that know their lines, as far as these can be found.

The parser of the standard library keeps no lines. They are looked for in the text: each table's
header and each key that begins a line. What stands inside a line has the line of what it is in.

Takes:   a text, and the name of its file
Gives:   an `Item` tree
Raises:  InvalidInput, where the text is no TOML
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping

from makeway.errors import InvalidInput
from makeway.intake.located import Item

NAME = r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'"""
NAMES = rf"(?:{NAME})(?:[ \t]*\.[ \t]*(?:{NAME}))*"
HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({NAMES})[ \t]*\]")
KEY = re.compile(rf"[ \t]*({NAMES})[ \t]*=")
FENCE = re.compile(r'"""|' + "'''")
AT_LINE = re.compile(r" \(at line (\d+), column \d+\)$")
AT_END = " (at end of document)"


def read_toml(text: str, file: str) -> Item:
    """Read a text that stands in a file."""
    try:
        values = tomllib.loads(text)
    except RecursionError:
        raise InvalidInput("it is nested too deeply", where=file) from None
    except ValueError as error:  # also a whole number of thousands of digits
        said = str(error)
        found = AT_LINE.search(said)
        line = int(found[1]) if found else max(1, len(text.splitlines()))
        problem = AT_LINE.sub("", said).removesuffix(AT_END)
        raise InvalidInput(f"this is no TOML: {problem}", where=f"{file}:{line}") from None
    return _item(values, (file, _lines(text)), "", 1)


def _item(value: object, known: tuple[str, Mapping[str, int]], path: str, line: int) -> Item:
    file, lines = known
    line = lines.get(path, line)
    inner: object = value
    if isinstance(value, dict):
        inner = {key: _item(one, known, _join(path, key), line) for key, one in value.items()}
    elif isinstance(value, list):
        inner = [_item(one, known, f"{path}[{at}]", line) for at, one in enumerate(value)]
    return Item(file, line, inner, path=path)


def _lines(text: str) -> dict[str, int]:
    """Find the lines of headers and keys, by path."""
    lines: dict[str, int] = {}
    latest: dict[str, int] = {}  # the last entry of each list of tables
    table = ""
    for number, line in _outside_texts(text):
        if header := HEADER.match(line):
            *above, last = _parts(header[2])
            table = ""
            for part in above:
                table = _join(table, part)
                if table in latest:
                    table = f"{table}[{latest[table]}]"
            table = _join(table, last)
            if header[1] == "[[":
                latest[table] = latest.get(table, -1) + 1
                lines.setdefault(table, number)
                table = f"{table}[{latest[table]}]"
            lines.setdefault(table, number)
        elif key := KEY.match(line):
            path = table
            for part in _parts(key[1]):
                path = _join(path, part)
                lines.setdefault(path, number)
    return lines


def _outside_texts(text: str) -> Iterator[tuple[int, str]]:
    """Give the lines, with their numbers, that do not begin inside a text of several lines."""
    within = ""
    for number, line in enumerate(text.split("\n"), 1):
        if not within:
            yield number, line
        for fence in FENCE.findall(line):
            if within in ("", fence):
                within = "" if within else fence


def _parts(names: str) -> list[str]:
    return [part.strip("\"'") for part in re.findall(NAME, names)]


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
