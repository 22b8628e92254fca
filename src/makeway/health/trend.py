"""Say how likely it is that a series rises: the test of Mann and Kendall.

Every pair of values votes: the later one is higher, or lower. Of a few values without ties the
votes are counted exactly, as the inversions of a permutation; else the normal distribution stands
in for them, with the variance made smaller by the ties.

Takes:   values in order of time
Gives:   0 to 1: 1 when it surely rises, 0 when it surely falls, 0.5 when nothing can be said
Cost:    O(n²) pairs; the exact count O(n³), for n up to EXACT_MAX
Source:  Mann 1945; Kendall 1975
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache

EXACT_MAX = 12


def rising(values: Sequence[float]) -> float:
    """Give the probability that a series without a trend would rise less than this one."""
    count = len(values)
    if count < 2:
        return 0.5
    votes = sum(
        (values[late] > values[early]) - (values[late] < values[early])
        for early in range(count)
        for late in range(early + 1, count)
    )
    ties = [many for many in Counter(values).values() if many > 1]
    if not ties and count <= EXACT_MAX:
        return _exact(count, votes)
    variance = (_weight(count) - sum(_weight(many) for many in ties)) / 18
    if variance <= 0 or votes == 0:
        return 0.5
    score = (votes - math.copysign(1, votes)) / math.sqrt(variance)
    return 0.5 * (1 + math.erf(score / math.sqrt(2)))


def slope_means(values: Sequence[float], least: float) -> bool:
    """Say whether a series surely rises, at a level of error of `least`."""
    return 1 - rising(values) < least


def _weight(count: int) -> int:
    return count * (count - 1) * (2 * count + 5)


def _exact(count: int, votes: int) -> float:
    ways = _inversions(count)
    most = count * (count - 1) // 2
    risen = (votes + most) // 2  # pairs that rise
    below = sum(ways[:risen]) + ways[risen] / 2
    return below / math.factorial(count)


@cache
def _inversions(count: int) -> tuple[int, ...]:
    """Count the permutations of `count` values by their inversions."""
    ways: list[int] = [1]
    for size in range(2, count + 1):
        longer = [0] * (len(ways) + size - 1)
        for at, many in enumerate(ways):
            for extra in range(size):
                longer[at + extra] += many
        ways = longer
    return tuple(ways)
