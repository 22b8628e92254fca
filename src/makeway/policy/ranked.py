"""Rank everybody who runs or waits by one key, and let the first of them run as far as room goes.

las   least attained service: what a job has had so far (devices x time) counts in steps, each ten
      times the one before, the first an hour of one device; within a step by submission. It knows
      nothing of run times: short jobs are over before they fall.
srsf  shortest remaining service first: what is left to do (devices x time), by the run time that
      the replay knows, else by the time limit or the estimate; who has none comes last.

Those who rank first and fit together, by amounts, are to run. Who of them waits gets free room, else
the room of those who rank behind it, the last first; running jobs stay on their nodes. A victim is
only evicted where its slots are wanted.

Takes:   snapshot
Gives:   Plan; for las with the instant at which the next running job falls a step
Holds:   a victim ranks behind its beneficiary
Cost:    O(running log running + waiting) a round, since keys change with time
Source:  Gu et al., Tiresias, NSDI 2019 (2D-LAS, discretised); srsf: Muri's and Tiresias' baseline
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Mapping

from makeway.model.job import Job, WorkerGroup
from makeway.model.resources import CPU, GPU
from makeway.policy.ledger import total_of
from makeway.policy.order import Lane
from makeway.policy.place import needed
from makeway.policy.plan import Plan
from makeway.policy.snapshot import Running, Snapshot
from makeway.policy.turn import Turn

# (step or service left, submission, id): a total order.
Key = tuple[float, int, str]
# What a job has run in this attempt (ms), and how wide it is (thousandths of a device).
Ranking = Callable[[Job, int, int], float]

FIRST_STEP = 3_600_000 * 1000
STEP_FACTOR = 10
STEPS = tuple(FIRST_STEP * STEP_FACTOR**number for number in range(16))
LAST = float("inf")


def las(snapshot: Snapshot) -> Plan:
    """Let those run who have had least so far."""
    turn = Turn(snapshot, "las")
    _rank(turn, _step)
    if any(line.at < len(line.jobs) for line in turn.lines):
        turn.wake_at_ms = _next_fall_ms(turn)
    return turn.plan()


def srsf(snapshot: Snapshot) -> Plan:
    """Let those run who have least left to do."""
    turn = Turn(snapshot, "srsf")
    _rank(turn, _left)
    return turn.plan()


def _step(job: Job, ran_ms: int, width: int) -> float:
    return bisect_right(STEPS, (job.served_ms + ran_ms) * width)


def _left(job: Job, ran_ms: int, width: int) -> float:
    spec = job.spec
    whole_ms = spec.known_ms if spec.known_ms is not None else spec.lasts_ms
    return LAST if whole_ms is None else max(0, whole_ms - job.served_ms - ran_ms) * width


def _next_fall_ms(turn: Turn) -> int | None:
    now_ms, falls = turn.snapshot.now_ms, list[int]()
    for row in filter(turn.stays, turn.snapshot.running.values()):
        width = _width(row.usage.amounts) or width_of(row.job.spec.groups)
        had = (row.job.served_ms + now_ms - row.started_at_ms) * width
        step = bisect_right(STEPS, had)
        if step < len(STEPS) and width:
            falls.append(now_ms + max(1, -(-(STEPS[step] - had) // width)))
    return min(falls, default=None)


def width_of(groups: tuple[WorkerGroup, ...]) -> int:
    """Say how wide a gang is: its GPUs, else its processors, else its workers; in thousandths."""
    return _width(needed(groups).amounts) or 1000 * sum(group.count_min for group in groups)


def _width(amounts: Mapping[str, int]) -> int:
    return amounts.get(GPU, 0) or amounts.get(CPU, 0)


def _rank(turn: Turn, ranking: Ranking) -> None:
    """Choose who is to run, and give those of them who wait their room."""
    if not turn.lines:
        return
    running = _running(turn, ranking)
    chosen, kept = _prefix(turn, running, _Waiting(turn, ranking))
    for key, line, job in chosen:
        allocation = turn.find(line.kind)
        if allocation is not None:
            turn.start(job, allocation)
            continue
        behind = (row for at, row in reversed(running) if at > key and turn.may_evict(row))
        # Those who are to leave anyway before those who are in the way only by where they are.
        rows = sorted(behind, key=lambda row: row.job.id in kept)
        turn.clear(line.kind, job, rows)
    for line in turn.lines:
        if turn.find(line.kind) is None:
            turn.refused(line.kind)


def _running(turn: Turn, ranking: Ranking) -> list[tuple[Key, Running]]:
    now_ms = turn.snapshot.now_ms
    rows = []
    for row in turn.snapshot.running.values():
        if turn.stays(row):
            job = row.job
            width = _width(row.usage.amounts) or width_of(job.spec.groups)
            value = ranking(job, now_ms - row.started_at_ms, width)
            # Who may not be evicted stays, whatever comes.
            value = value if job.spec.preemptible else -1
            rows.append(((value, job.order, job.id), row))
    rows.sort(key=lambda one: one[0])
    return rows


class _Waiting:
    """Those who wait, the first by rank first; a line that has no room any more is left out."""

    def __init__(self, turn: Turn, ranking: Ranking) -> None:
        self._heaps: list[tuple[list[tuple[Key, Job]], Lane, Mapping[str, int]]] = []
        for line in turn.lines:
            need = line.need.amounts
            width = _width(need) or width_of(line.kind.groups)
            heap = [((ranking(job, 0, width), job.order, job.id), job) for job in line.jobs]
            heapq.heapify(heap)
            self._heaps.append((heap, line, need))
        self._tops = [(heap[0][0], place) for place, (heap, _, _) in enumerate(self._heaps)]
        heapq.heapify(self._tops)

    def first(self, left: Mapping[str, int]) -> tuple[Key, int] | None:
        """Give the key and the place of the first one that fits into what is left."""
        while self._tops:
            key, place = self._tops[0]
            if _fits(self._heaps[place][2], left):
                return key, place
            heapq.heappop(self._tops)
        return None

    def take(self, left: dict[str, int]) -> tuple[Key, Lane, Job]:
        """Take the first one out, and what it needs from what is left."""
        _, place = heapq.heappop(self._tops)
        heap, line, need = self._heaps[place]
        key, job = heapq.heappop(heap)
        for kind, amount in need.items():
            left[kind] -= amount
        if heap:
            heapq.heappush(self._tops, (heap[0][0], place))
        return key, line, job


def _prefix(
    turn: Turn, running: list[tuple[Key, Running]], waiting: _Waiting
) -> tuple[list[tuple[Key, Lane, Job]], set[str]]:
    """Go down the ranks and take in whoever fits by amounts: those who wait, and who stays."""
    ledger = turn.ledger
    rooms = ledger.rooms(ledger.nodes, soon=True).values()
    left = dict(total_of([*rooms, *(row.usage for _, row in running)]).amounts)
    chosen, kept, rows = list[tuple[Key, Lane, Job]](), set[str](), iter(running)
    row = next(rows, None)
    while (first := waiting.first(left)) is not None:
        while row is not None and row[0] < first[0]:
            usage = row[1].usage.amounts
            if _fits(usage, left):
                kept.add(row[1].job.id)
                for kind, amount in usage.items():
                    left[kind] -= amount
            row = next(rows, None)
        if waiting.first(left) == first:
            chosen.append(waiting.take(left))
    return chosen, kept


def _fits(need: Mapping[str, int], left: Mapping[str, int]) -> bool:
    for kind, amount in need.items():  # noqa: SIM110 - all() of a generator costs three times that
        if amount > left.get(kind, 0):
            return False
    return True
