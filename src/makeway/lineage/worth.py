"""Reckon what data sets add to a metric, and which models no other outdoes.

    lift(trials, digest)    over siblings: trials that differ in nothing but this data set
    outdone(points)         which points are outdone by another one

A trial is one step that read data and came to a value. Trials with the same recipe (code, parameters,
other inputs) are siblings; those with the data set against those with another one in its place give
one pair of means a recipe, so that a recipe that was tried often weighs no more than another.

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


def lift(trials: Iterable[Trial], digest: str) -> Interval:
    """Say what a data set adds, where another one might have stood."""
    differences: list[float] = []
    for siblings in _siblings(trials, digest).values():
        own = [trial.value for trial, has in siblings if has]
        others = [trial.value for trial, has in siblings if not has]
        if own and others:
            differences.append(math.fsum(own) / len(own) - math.fsum(others) / len(others))
    return interval(differences)


def _siblings(trials: Iterable[Trial], digest: str) -> dict[Hashable, list[tuple[Trial, bool]]]:
    """Gather trials that differ at most in what stands in one place."""
    trials = list(trials)
    places = {slot for one in trials for slot, there in one.slots.items() if there == digest}
    found: dict[Hashable, list[tuple[Trial, bool]]] = {}
    for trial in trials:
        for slot in sorted(places & set(trial.slots)):
            rest = tuple(sorted(pair for pair in trial.slots.items() if pair[0] != slot))
            alike = found.setdefault((trial.recipe, slot, rest), [])
            alike.append((trial, trial.slots[slot] == digest))
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
