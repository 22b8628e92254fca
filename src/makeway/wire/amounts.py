"""Write amounts in the units of people: processors and devices as numbers, memory in bytes.

Inside, everything is a whole number whose unit is in its name (`cpu_milli`); outside, a person asks
for 1.5 cpus. Kinds that makeway does not know keep their name and are whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from makeway.model.resources import Resources
from makeway.model.units import NAMES, in_units

Amounts = dict[str, float]


def amounts(vector: Resources, kinds: Iterable[str] | None = None) -> Amounts:
    """Write a vector: every kind of `kinds`, or those that it has."""
    asked = [*vector] if kinds is None else kinds
    return {NAMES.get(kind, kind): in_units(kind, vector[kind]) for kind in asked}


def in_people_units(value: object) -> object:
    """Write what stands by kind, at any depth of a mapping."""
    if not isinstance(value, Mapping):
        return value
    return {
        NAMES.get(key, key): in_units(key, one)
        if isinstance(one, int | float)
        else in_people_units(one)
        for key, one in value.items()
    }
