"""Let small jobs fill holes without ever delaying those who were first in line.

A job that is next and finds no room gets a reservation: the earliest instant at which it fits if
what runs ends when it is expected to. Whoever comes after it may start now only if it is over by
then, or if it does not need what the reservation needs. A job of which nobody knows how long it runs
may start if it can be made to leave again (`claim`, rule `backfill`), otherwise it waits. Only the
first K jobs in line are looked at (`backfill.depth`).

Takes:   cycle, with those who found no room in the order of service; a candidate and its slots
Gives:   whether it may start; `starts` the instant at which a job is expected to start, or None
Cost:    nothing while nobody says how long jobs run; else one walk over the expected ends a cycle
Source:  Mu'alem, Feitelson, Utilization, Predictability, Workloads, and User Runtime Estimates in
         Scheduling the IBM SP2 with Backfilling, TPDS 2001
"""

from __future__ import annotations

import msgspec

from makeway.model.cluster import Allocation
from makeway.model.job import Job
from makeway.model.resources import NOTHING, Resources
from makeway.policy.cycle import Cycle
from makeway.policy.order import Lane
from makeway.policy.place import place
from makeway.policy.snapshot import Kind

Rooms = dict[str, Resources]


class Reservation(msgspec.Struct, frozen=True):
    """When a job is to start, and where; both None: nobody knows."""

    at_ms: int | None
    allocation: Allocation | None


class Backfill:
    """The reservations of one cycle, made when they are first asked for."""

    __slots__ = ("_cycle", "_made", "_taken")

    def __init__(self, cycle: Cycle) -> None:
        """Begin with none."""
        self._cycle = cycle
        self._made: list[tuple[Lane, Reservation]] = []
        self._taken: Rooms = {}  # by node: what reservations need there

    def in_the_way(self, lane: Lane, allocation: Allocation) -> Job | None:
        """Find the job that would be delayed if the head of this lane started on these slots."""
        cycle, kind = self._cycle, lane.kind
        ahead = cycle.blocked[: cycle.rules.backfill_depth]
        if not ahead:
            return None
        preemption = cycle.rules.preemption
        may_leave = kind.preemptible and (preemption.priority or preemption.reclaim)
        if kind.lasts_ms is None:
            return None if may_leave or not kind.preemptible else ahead[0].head
        ends_ms = cycle.snapshot.now_ms + kind.lasts_ms
        for index, one in enumerate(ahead):
            reservation = self._of(index)
            if reservation.at_ms is None or reservation.allocation is None:
                if not may_leave:
                    return one.head
            elif ends_ms > reservation.at_ms and self._meets(lane, allocation, reservation.at_ms):
                return one.head
        return None

    def starts(self, lane: Lane) -> Reservation:
        """Say when the head of a lane that found no room is to start."""
        return self._of(self._cycle.blocked.index(lane))

    def _of(self, index: int) -> Reservation:
        while len(self._made) <= index:
            lane = self._cycle.blocked[len(self._made)]
            reservation = self._reserve(lane.kind)
            if reservation.allocation is not None:
                shape = {group.name: group.per_worker for group in lane.kind.groups}
                for row in reservation.allocation.placements:
                    more = shape[row.group].times(row.count)
                    self._taken[row.node] = self._taken.get(row.node, NOTHING) + more
            self._made.append((lane, reservation))
        return self._made[index][1]

    def _reserve(self, kind: Kind) -> Reservation:
        rooms = self._rooms()
        for at_ms, freed in self._ends():
            for node, amount in freed:
                if node in rooms:
                    rooms[node] = rooms[node] + amount
            allocation = _placed(kind, rooms, self._cycle)
            if allocation is not None:
                return Reservation(at_ms, allocation)
        return Reservation(None, None)

    def _rooms(self) -> Rooms:
        ledger = self._cycle.ledger
        rooms = ledger.rooms(ledger.nodes, soon=True)
        return {node: room - self._taken.get(node, NOTHING) for node, room in rooms.items()}

    def _ends(self) -> list[tuple[int, list[tuple[str, Resources]]]]:
        """Give what comes free when, as far as anybody said; whoever is late may end any moment."""
        cycle, ends = self._cycle, dict[int, list[tuple[str, Resources]]]()
        now_ms = cycle.snapshot.now_ms
        started = [(job, rows, now_ms) for job, rows in cycle.starting()]
        running = [
            (row.job, cycle.rows_of(row), row.started_at_ms)
            for row in cycle.snapshot.running.values()
            if row.job.spec.lasts_ms is not None and cycle.stays(row)
        ]
        for job, rows, since_ms in [*started, *running]:
            lasts_ms = job.spec.lasts_ms
            if lasts_ms is None:
                continue
            shape = job.spec.shape()
            freed = ends.setdefault(max(now_ms + 1, since_ms + lasts_ms), [])
            freed += [(row.node, shape[row.group].times(row.count)) for row in rows]
        return sorted(ends.items())

    def _meets(self, lane: Lane, allocation: Allocation, at_ms: int) -> bool:
        """Say whether slots are needed by a reservation at its instant."""
        rooms = self._rooms()
        for ends_ms, freed in self._ends():
            if ends_ms > at_ms:
                break
            for node, amount in freed:
                if node in rooms:
                    rooms[node] = rooms[node] + amount
        shape = {group.name: group.per_worker for group in lane.kind.groups}
        return not all(
            shape[row.group].times(row.count).fits(rooms[row.node]) for row in allocation.placements
        )


def _placed(kind: Kind, rooms: Rooms, cycle: Cycle) -> Allocation | None:
    allowed = {name: rooms[name] for name in kind.nodes if name in rooms} if kind.nodes else rooms
    if kind.domain is None or not kind.domain.required:
        return place(kind.groups, allowed, cycle.ledger.nodes)
    values: dict[str, Rooms] = {}
    for name, room in allowed.items():
        value = cycle.ledger.nodes[name].labels.get(kind.domain.label)
        if value is not None:
            values.setdefault(value, {})[name] = room
    found = (place(kind.groups, inside, cycle.ledger.nodes) for inside in values.values())
    return next((one for one in found if one is not None), None)
