"""Remember between cycles what is dear to work out and seldom changes.

A cycle is a pure function of its snapshot; here it finds what an earlier one has made from the very
same. What something was made from is kept beside it and compared, so nobody has to say that anything
has changed: a memo changes no answer. Comparing is cheap, since what has not changed is the same
object.

`Sums` are what the queues hold with all that is below them, kept up by difference: `held` is
compared with what it was, and only queues that differ are counted again.

Takes:   made_from   values that nobody changes any more; of a mapping that lives on, a copy
Gives:   what `make` gives for them
Cost:    a comparison of `made_from` with that of the time before; for sums O(held + changed x depth)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from makeway.model.cluster import lineage_of
from makeway.model.resources import NOTHING, Resources

T = TypeVar("T")
Key = tuple[str, int]

# So many things are kept; when there are more, all are forgotten, which costs time and no answer.
KEPT_MAX = 4096


class Holding(Protocol):
    """What the jobs of one queue and class hold (`Held`)."""

    @property
    def jobs(self) -> int:
        """Count them."""

    @property
    def usage(self) -> Resources:
        """Give how much that is."""


class Memo:
    """What was made last, by name; see the module."""

    __slots__ = ("_kept", "sums")

    def __init__(self) -> None:
        """Begin with nothing."""
        self._kept: dict[object, tuple[object, Any]] = {}
        self.sums = Sums()

    def last(self, name: object, made_from: object, make: Callable[[], T]) -> T:
        """Give what was made under this name the time before, if it was made from the same."""
        known = self._kept.get(name)
        if known is not None and known[0] == made_from:
            value: T = known[1]
            return value
        if len(self._kept) >= KEPT_MAX:
            self._kept.clear()
        value = make()
        self._kept[name] = (made_from, value)
        return value


class Sums:
    """What every queue holds with all that is below it, in all and by class, and how many jobs."""

    __slots__ = ("_held", "by_class", "jobs", "usage")

    def __init__(self) -> None:
        """Begin with nothing held."""
        self._held: dict[Key, Holding] = {}
        self.usage: dict[str, Resources] = {}
        self.jobs: dict[str, int] = {}
        self.by_class: dict[Key, tuple[int, Resources]] = {}

    def read(self, held: Mapping[Key, Holding]) -> Sums:
        """Take in what has changed since the time before."""
        before = self._held
        for key, now in held.items():
            was = before.get(key)
            if was is not now:
                if was is None:
                    self._move(key, now.usage, now.jobs)
                else:
                    self._move(key, now.usage - was.usage, now.jobs - was.jobs)
                before[key] = now
        if len(before) > len(held):
            for key in [one for one in before if one not in held]:
                was = before.pop(key)
                self._move(key, NOTHING - was.usage, -was.jobs)
        return self

    def _move(self, key: Key, usage: Resources, jobs: int) -> None:
        queue, priority = key
        for path in counted_in(queue):
            charge(self.usage, path, usage)
            count = self.jobs.get(path, 0) + jobs
            of_class = self.by_class.get((path, priority), (0, NOTHING))
            if count:
                self.jobs[path] = count
            else:
                self.jobs.pop(path, None)
            left = (of_class[0] + jobs, of_class[1] + usage)
            if left[0] or left[1]:
                self.by_class[path, priority] = left
            else:
                self.by_class.pop((path, priority), None)


def charge(usage: dict[str, Resources], path: str, amount: Resources) -> None:
    """Add an amount to what is noted for a path; where nothing is left, nothing is noted."""
    total = usage.get(path, NOTHING) + amount
    if total:
        usage[path] = total
    else:
        usage.pop(path, None)


def own_part(path: str) -> str:
    """Name the part of a queue that its own jobs are: where it has children, it is one of them."""
    return f"{path}/"


def branch_above(path: str) -> str:
    """Name the queue of which this branch, a queue or an own part, is a child."""
    return path[:-1] if path.endswith("/") else path.rpartition("/")[0]


@lru_cache(maxsize=1 << 16)
def counted_in(path: str) -> tuple[str, ...]:
    """Give all that a job of this queue is counted in: its own part, the queue, and all above."""
    return (own_part(path), *lineage_of(path))
