"""Say which rows hold what jobs read and make: artifacts, their uses, parameters."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from makeway.codec import encode
from makeway.model.record import Output
from makeway.model.workflow import Binding, Many, Stored
from makeway.store import schema
from makeway.store.statement import Upsert

Values = tuple[object, ...]

PARAM_CHARS_MAX = 8_000
NUMBER = re.compile(r"[+-]?(\d{1,300}(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII)

ARTIFACT = Upsert(
    schema.artifact,
    (
        "digest",
        "kind",
        "name",
        "codec",
        "size_bytes",
        "metrics",
        "created_at_ms",
        "producer",
        "durability",
        "state",
    ),
    key=("digest", "kind", "name"),
    replace=("durability", "state"),  # it is there, whatever became of an earlier one
    fill=("producer",),
)
USE_KEY = ("execution", "role", "key", "digest")
USE = Upsert(schema.artifact_use, USE_KEY, USE_KEY)
USE_FOR = Upsert(schema.artifact_use, (*USE_KEY, "context"), USE_KEY, fill=("context",))
TYPED = ("value_type", "value_text", "value_num")
TAG = Upsert(schema.tag, ("subject", "key", "value"), ("subject", "key"), replace=("value",))
PARAM_KEY = ("execution", "key")
PARAM = Upsert(schema.param, (*PARAM_KEY, *TYPED), PARAM_KEY, replace=TYPED)


def artifact(output: Output, at_ms: int, producer: str | None) -> Values:
    """Give the row of an artifact, made by this execution or by nobody who is known."""
    return (
        output.digest, output.kind, output.name, output.codec, output.size_bytes,
        json_of(output.metrics), at_ms, producer,
        None if output.durability == "durable" else output.durability, None,
    )  # fmt: skip


def inputs(key: str, binding: Binding) -> Iterator[tuple[str, Output]]:
    """Give what an argument reads, each with its key: `model`, or `models[1]` in a list."""
    match binding:
        case Stored(output):
            yield key, output
        case Many(items):
            for place, item in enumerate(items):
                yield from inputs(f"{key}[{place}]", item)
        case _:
            return


def typed(value: object) -> tuple[str, str, float | None]:
    """Give type, text and number of a parameter: a number is found by its value, not its text."""
    match value:
        case bool():
            return "bool", str(value).lower(), float(value)
        case int() | float():
            try:
                number = float(value)
            except OverflowError:  # a whole number too large for a float
                number = math.nan
            return type(value).__name__, str(value), number if math.isfinite(number) else None
        case str():
            # Whoever only has texts to say (MLflow's client) may mean a number.
            known = float(value) if NUMBER.fullmatch(value) else math.nan
            return "str", value[:PARAM_CHARS_MAX], known if math.isfinite(known) else None
        case _:
            return "json", encode(value).decode()[:PARAM_CHARS_MAX], None


def json_of(value: object) -> str | None:
    """Write a value as JSON; nothing at all is no text at all."""
    return encode(value).decode() if value else None
