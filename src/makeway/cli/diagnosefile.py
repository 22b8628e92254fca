"""Read an evidence document from a file: YAML, or JSON, which is read the faster way.

What is wrong in JSON is looked for once more by the reader that knows lines, to say where it is.
"""

from __future__ import annotations

import json
from pathlib import Path

from makeway.cli.yamlfile import read
from makeway.errors import InvalidInput
from makeway.intake.evidence import incident_of
from makeway.intake.located import Item, item_of
from makeway.model.incident import Incident


def read_incident(path: str) -> Incident:
    """Read one document."""
    plain = _json(path)
    if plain is not None:
        try:
            return incident_of(plain)
        except InvalidInput as error:
            try:
                incident_of(read(path))  # which raises the same, with the line
            except InvalidInput as placed:
                raise placed from None
            raise error from None
    item = read(path)
    if item.value is None:
        raise InvalidInput("there is nothing in it", where=path)
    return incident_of(item)


def _json(path: str) -> Item | None:
    """Read a file as JSON; None if it is none, or says one key twice."""
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None  # the other reader says what is wrong with it
    if not text.lstrip().startswith("{"):
        return None
    try:
        return item_of(json.loads(text, object_pairs_hook=_unique), path)
    except (ValueError, RecursionError):
        return None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found
