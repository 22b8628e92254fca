"""Say what each user would have got by now if the cluster could be divided like water.

At every instant the devices are divided equally among the groups that have work, each part equally
among the users of the group that have work, and among a user's own jobs. Nobody gets more than its
jobs can use; what it leaves flows to the others of its group, then to the other groups (progressive
filling). Rates change only where a job comes or is done, so between two such instants all is linear.

Takes:   arrivals in the order of time; the queue of a job is `group/user`, or `user` alone
Gives:   by user, the service (devices x ms) that it has had at each instant of a grid; who comes late
         has fewer instants, the last ones
Holds:   the devices in use are never more than there are · a job gets its whole service · with
         enough devices everybody is served at once
Cost:    O((jobs + grid) x users that have work)
Source:  Parekh, Gallager, IEEE/ACM Trans. Networking 1(3), 1993 (generalised processor sharing)
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

import msgspec

from makeway.policy.ranked import width_of
from makeway.sim.workload import Arrival

NEVER = float("inf")
TINY_MS = 1e-6


class Grid(msgspec.Struct, frozen=True):
    """Instants at which one looks: 0, `every_ms`, and so on, so many."""

    every_ms: int
    count: int


class _User(msgspec.Struct, eq=False):
    """A user with work: `done` is what each of its jobs has had, per device, since the beginning."""

    group: str
    width: float = 0.0  # what its jobs can use together
    rate: float = 0.0
    done: float = 0.0
    served: float = 0.0
    ends: list[tuple[float, int, float]] = []  # (done at its end, number, width)


def fluid(arrivals: Sequence[Arrival], devices: float, grid: Grid) -> dict[str, list[float]]:
    """Give each user's service at every instant of the grid."""
    users: dict[str, _User] = {}
    busy: dict[str, _User] = {}
    seen: dict[str, list[float]] = {}
    now, looked = 0.0, 0
    place = 0
    while looked < grid.count:
        come = arrivals[place].at_ms if place < len(arrivals) else NEVER
        until = min(come, float(looked * grid.every_ms), now + _first_end(busy))
        _advance(busy, until - now)
        now = until
        changed = _leave(busy)
        while place < len(arrivals) and arrivals[place].at_ms <= now:
            _enter(arrivals[place], place, users, busy)
            place, changed = place + 1, True
        if changed:
            _divide(busy, devices)
        if looked * grid.every_ms <= now:
            for path, user in users.items():
                # Who was not there before had had nothing.
                seen.setdefault(path, [0.0] * looked).append(user.served)
            looked += 1
    return seen


def fill(amount: float, wanted: Sequence[float]) -> list[float]:
    """Divide equally, to nobody more than it wants."""
    parts = [0.0] * len(wanted)
    left = len(wanted)
    for at in sorted(range(len(wanted)), key=wanted.__getitem__):
        parts[at] = min(wanted[at], amount / left)
        amount -= parts[at]
        left -= 1
    return parts


def _first_end(busy: dict[str, _User]) -> float:
    return min(map(_end, busy.values()), default=NEVER)


def _end(user: _User) -> float:
    return (user.ends[0][0] - user.done) * user.width / user.rate if user.rate else NEVER


def _advance(busy: dict[str, _User], past_ms: float) -> None:
    if past_ms <= 0:
        return
    for user in busy.values():
        user.served += user.rate * past_ms
        user.done += user.rate * past_ms / user.width


def _enter(arrival: Arrival, number: int, users: dict[str, _User], busy: dict[str, _User]) -> None:
    path = arrival.spec.queue
    user = users.get(path)
    if user is None:
        user = users[path] = _User(path.partition("/")[0], ends=[])
    busy[path] = user
    width = width_of(arrival.spec.groups) / 1000
    user.width += width
    heapq.heappush(user.ends, (user.done + arrival.duration_ms, number, width))


def _leave(busy: dict[str, _User]) -> bool:
    """Let jobs go that have had all; say whether any has."""
    changed = False
    for path, user in [*busy.items()]:
        while user.ends and user.ends[0][0] - user.done <= TINY_MS:
            user.width -= heapq.heappop(user.ends)[2]
            changed = True
        if not user.ends:
            user.width = user.rate = 0.0
            del busy[path]
    return changed


def _divide(busy: dict[str, _User], devices: float) -> None:
    if sum(user.width for user in busy.values()) <= devices:
        for user in busy.values():
            user.rate = user.width
        return
    groups: dict[str, list[_User]] = {}
    for user in busy.values():
        groups.setdefault(user.group, []).append(user)
    parts = fill(devices, [sum(user.width for user in inside) for inside in groups.values()])
    for inside, part in zip(groups.values(), parts, strict=True):
        for user, rate in zip(inside, fill(part, [one.width for one in inside]), strict=True):
            user.rate = rate


def lags(
    ahead: dict[str, list[float]], behind: dict[str, list[float]]
) -> Iterator[tuple[str, float]]:
    """Give, for each user, the most that one course was ever ahead of the other."""
    for path, course in ahead.items():
        other = behind.get(path, [])
        had = [*([0.0] * (len(course) - len(other))), *other] if len(other) < len(course) else other
        late = len(had) - len(course)
        yield path, max(0.0, *(one - two for one, two in zip(course, had[late:], strict=True)))
