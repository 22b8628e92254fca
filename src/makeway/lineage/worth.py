"""Reckon what data sets add to a metric, and which models no other outdoes.

    lifts(trials)    of each data set, over siblings: trials that differ in nothing but it
    outdone(points)  which points are outdone by another one

A trial is one step that read data and came to a value. Trials with the same recipe (code, parameters,
other inputs) are siblings; those with the data set against those with another one in its place give
one pair of means a recipe, so that a recipe that was tried often weighs no more than another.

Cost:    linear in trials, and in the data sets that one of them reads
Holds:   fewer than five pairs give no interval: they may all have gone one way by chance
Source:  the paired t interval; "Student" (Gosset), Biometrika 1908
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence

import msgspec

PAIRS_MIN = 5
# The 97.5 % points of Student's t for 1, 2, 3, … degrees of freedom, and beyond.
STUDENT = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
NORMAL = 1.960


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A step that read data and came to a value: `slots` says which data set stood where."""

    step: str
    recipe: Hashable
    slots: Mapping[str, str]
    value: float


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A mean of n differences; without bounds if they are too few."""

    n: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None


def lifts(trials: Iterable[Trial]) -> dict[str, Interval]:
    """Say of every data set what it adds, where another one might have stood."""
    differences: dict[str, list[float]] = {}
    for siblings in _siblings(trials).values():
        count = sum(len(values) for values in siblings.values())
        total = math.fsum(value for values in siblings.values() for value in values)
        for digest, values in siblings.items():
            found = differences.setdefault(digest, [])
            if len(siblings) > 1:
                own = math.fsum(values)
                others = (total - own) / (count - len(values))
                found.append(own / len(values) - others)
    return {digest: interval(found) for digest, found in differences.items()}


def _siblings(trials: Iterable[Trial]) -> dict[Hashable, dict[str, list[float]]]:
    """Gather the values of trials that differ at most in what stands in one place, by what does."""
    found: dict[Hashable, dict[str, list[float]]] = {}
    for trial in trials:
        pairs = sorted(trial.slots.items())
        for slot, digest in pairs:
            rest = tuple(pair for pair in pairs if pair[0] != slot)
            alike = found.setdefault((trial.recipe, slot, rest), {})
            alike.setdefault(digest, []).append(trial.value)
    return found


def interval(differences: Sequence[float]) -> Interval:
    """Give the mean with the interval that holds it in 95 of 100 cases."""
    n = len(differences)
    if n < PAIRS_MIN:
        return Interval(n=n)
    mean = math.fsum(differences) / n
    spread = math.sqrt(math.fsum((one - mean) ** 2 for one in differences) / (n - 1) / n)
    reach = (STUDENT[n - 2] if n - 2 < len(STUDENT) else NORMAL) * spread
    return Interval(n=n, mean=mean, low=mean - reach, high=mean + reach)


def outdone(points: Sequence[Sequence[float | None]]) -> list[bool]:
    """Say of each point whether another is at least as good in all, and better in one.

    Less is better. What one of two does not have is not compared; a point whose first value is not
    known is outdone by every one.
    """
    return [
        one[0] is None or any(_outdoes(other, one) for other in points if other is not one)
        for one in points
    ]


def _outdoes(one: Sequence[float | None], other: Sequence[float | None]) -> bool:
    if one[0] is None:
        return False
    both = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    return all(a <= b for a, b in both) and any(a < b for a, b in both)
