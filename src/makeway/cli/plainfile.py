"""Read a file of plain values (YAML, JSON or TOML), and find the line that an error means.

A service names what is wrong by its place in the body (`per_worker.memory`); who wrote a file wants
the line. The items of the file know both.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from makeway.errors import InvalidInput, MakewayError, NotFound
from makeway.intake.located import Item

# Names may look like numbers: what is written there is meant, and not what it is worth.
TEXTS = ("name", "queue", "user", "run", "node", "job", "class")


class Written(msgspec.Struct, frozen=True):
    """A file: its values as they go into a body, and where each of them stands."""

    path: str
    values: dict[str, object]
    item: Item | None = None

    def placed(self, error: MakewayError) -> MakewayError:
        """Give an error the line of the file that it means, if it means one."""
        place = error.where.rpartition(": ")[2]
        item = self.item
        for key in place.replace("[", ".").replace("]", "").split("."):
            item = _within(item, key)
        if item is None or not item.line or not place:
            return error
        return type(error)(error.problem, where=f"{self.path}:{item.line}", hint=error.hint)


def plain_file(path: str) -> Written:
    """Read a file; its outermost value must be a mapping."""
    if path.lower().endswith(".toml"):
        return Written(path, _toml(path))
    from makeway.cli.yamlfile import read

    item = read(path)
    if item.value is None:
        raise InvalidInput("there is nothing in it", where=path)
    if not isinstance(item.value, dict):
        raise item.wrong("it must be a mapping of keys to values")
    values = _plain(item, "")
    assert isinstance(values, dict), "a mapping becomes one"
    return Written(path, values, item)


def _toml(path: str) -> dict[str, object]:
    import tomllib

    try:
        with Path(path).open("rb") as file:
            found = tomllib.load(file)
    except FileNotFoundError:
        raise NotFound("there is no such file", where=path) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"this is no TOML: {error}", where=path) from None
    except OSError as error:
        raise InvalidInput(f"it cannot be read: {error.strerror}", where=path) from None
    if not found:
        raise InvalidInput("there is nothing in it", where=path)
    return found


def _plain(item: Item, key: str) -> object:
    match item.value:
        case dict() as fields:
            return {name: _plain(one, name) for name, one in fields.items()}
        case list() as items:
            return [_plain(one, key) for one in items]
        case int() | float() as number if not isinstance(number, bool):
            words = key in TEXTS or key in ("command", "nodes", "after")
            return item.written if words and item.written else number
        case value:
            return value


def _within(item: Item | None, key: str) -> Item | None:
    value = None if item is None else item.value
    if isinstance(value, Mapping):
        found = value.get(key)
        return found if isinstance(found, Item) else None
    if isinstance(value, list) and key.isdigit() and int(key) < len(value):
        found = value[int(key)]
        return found if isinstance(found, Item) else None
    return None
