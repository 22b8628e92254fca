"""Read samples: lists of an instant and a value, by the name of what was measured.

A value may be no number at all (`.nan`, `inf`): a loss that is none is evidence. Where a value is
absent, the place is left out; each point knows its place in the document.
"""

from __future__ import annotations

import math

from makeway.intake.located import Item
from makeway.intake.shape import rank_of, seconds
from makeway.model.incident import Point, Series

AVAILABLE = "data_available"
NO_NUMBERS = {"nan": math.nan, "inf": math.inf, "+inf": math.inf, "-inf": -math.inf,
              "infinity": math.inf, "-infinity": -math.inf}  # fmt: skip


def samples_of(item: Item, _key: str) -> dict[str, Series]:
    """Read the series of numbers of a step."""
    return {
        name: _series(one, name)
        for name, one in item.mapping("samples").items()
        if name != AVAILABLE and one.value is not None
    }


def available_of(item: Item) -> dict[str, Series]:
    """Read the series of yes and no: whether each input could be reached."""
    inside = item.mapping("samples").get(AVAILABLE)
    if inside is None or inside.value is None:
        return {}
    return {
        name: _series(one, name, yes_or_no=True)
        for name, one in inside.mapping(AVAILABLE).items()
        if one.value is not None
    }


def worker_samples_of(item: Item, _key: str) -> dict[int, dict[str, Series]]:
    """Read the series of each rank."""
    return {
        rank_of(one, key): {
            name: _series(series, name)
            for name, series in one.mapping(f"the samples of rank {key}").items()
            if series.value is not None
        }
        for key, one in item.mapping("worker_samples").items()
        if one.value is not None
    }


def _series(item: Item, name: str, *, yes_or_no: bool = False) -> Series:
    points = []
    for index, one in enumerate(item.items(name)):
        pair = one.items(f"a sample of {name}")
        if len(pair) != 2:
            raise one.wrong(f"a sample of {name} must be [seconds, value], not {len(pair)} values")
        at, value = pair
        if value.value is None:
            continue
        read = float(value.flag(name)) if yes_or_no else _number(value, name)
        points.append(Point(index, seconds(at, name), read))
    return tuple(sorted(points, key=lambda point: point.at_s))


def _number(item: Item, name: str) -> float:
    value = item.value
    if isinstance(value, str) and value.lower().lstrip(".") in NO_NUMBERS:
        return NO_NUMBERS[value.lower().lstrip(".")]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise item.wrong(f"a sample of {name} must be a number, not {item.said()}")
    try:
        return float(value)
    except OverflowError:
        raise item.wrong(f"a sample of {name} is more than there can be") from None
