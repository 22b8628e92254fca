"""Hold a history against what is promised: the log of a store, and what its workers saw themselves.

    a job that was acknowledged reaches exactly one end          lost, ends twice
    no two live attempts of one worker at once, no second start  overlaps, started twice, too early
    nothing is written by a fence that is past                   stale
    the log has no gap, and each entry reads as it was written   gap, damaged
    after the end nothing is left                                left

Workers append to a file `runs` that makeway never sees: each line is one write to a file opened for
appending, so the lines are in the order in which things happened. A worker holds a lock of its own
for as long as any process of it lives: one that finds it taken says so.

Takes:   History
Gives:   complaints, each a sentence; none: every promise was kept
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from makeway.model import event as ev
from makeway.model.phase import JobPhase
from makeway.store.database import Database, Location
from makeway.store.log import Log

START, BEAT, END, OVERLAP = "start", "beat", "end", "overlap"


class Mark(msgspec.Struct, frozen=True):
    """One line of `runs`: what a worker saw, as which one, and when (in 1/100 s, monotonic)."""

    kind: str
    job: str
    rank: int
    fence: int
    pid: int
    at: float


class History(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a store after its end.

    acknowledged   jobs whose submission was answered
    damaged        seqs that do not read as they were written
    left           what is still there: processes, ports, reservations, as sentences
    """

    entries: Sequence[ev.Entry]
    marks: Sequence[Mark] = ()
    acknowledged: Collection[str] = ()
    damaged: Collection[int] = ()
    left: Sequence[str] = ()


def read_marks(file: Path) -> list[Mark]:
    """Read what the workers wrote."""
    text = file.read_text("ascii") if file.exists() else ""
    found = []
    for line in text.splitlines():
        kind, job, rank, fence, pid, at = line.split()
        found.append(Mark(kind, job, int(rank), int(fence), int(pid), float(at)))
    return found


def read_entries(location: Location) -> tuple[list[ev.Entry], list[int]]:
    """Read a whole log, and which of its entries are damaged."""
    with Database.open(location, read_only=True) as database:
        log = Log(database)
        return [*log.read()], sorted(log.damaged)


def complaints(history: History) -> list[str]:
    """Name every promise that was broken."""
    return [
        *_ends(history),
        *_attempts(history.entries),
        *_runs(history),
        *_stale(history.marks),
        *_whole(history),
        *(f"left: {one}" for one in history.left),
    ]


def _ends(history: History) -> Iterator[str]:
    events = [entry.event for entry in history.entries]
    brought = Counter(event.job for event in events if isinstance(event, ev.JobSubmitted))
    ended = Counter(event.job for event in events if isinstance(event, ev.JobFinished))
    for job in history.acknowledged:
        if job not in brought:
            yield f"lost: {job} was acknowledged and is not in the log"
    for job in brought:
        if not ended[job]:
            yield f"lost: {job} has no end"
    for job, times in ended.items():
        if times > 1:
            yield f"ends twice: {job}"
        if not brought[job]:
            yield f"ends from nowhere: {job}"


def _attempts(entries: Sequence[ev.Entry]) -> Iterator[str]:
    """Look in the log alone: attempts follow each other, and only the living one says anything."""
    alive: dict[str, int] = {}
    newest: dict[str, int] = {}
    for entry in entries:
        match entry.event:
            case ev.AttemptStarted(job=job, fence=fence):
                if job in alive:
                    yield f"overlaps: {job} begins fence {fence} while {alive[job]} lives"
                if fence <= newest.get(job, 0):
                    yield f"started twice: {job} begins fence {fence} after {newest[job]}"
                alive[job] = newest[job] = fence
            case ev.AttemptEnded(job=job, fence=fence):
                if alive.pop(job, None) != fence:
                    yield f"ends twice: fence {fence} of {job} was not alive"
            case (
                ev.WorkerReady(job=job, fence=fence)
                | ev.WorkerStarted(job=job, fence=fence)
                | ev.WorkerExited(job=job, fence=fence)
            ) if alive.get(job) != fence:
                yield f"stale: entry {entry.seq} believes fence {fence} of {job}"
            case _:
                pass


def _runs(history: History) -> Iterator[str]:
    """Hold what the workers saw against the log."""
    released, good = set(), set()
    fences: dict[str, int] = {}
    for entry in history.entries:
        match entry.event:
            case ev.AttemptReleased(job=job, fence=fence):
                released.add((job, fence))
                fences[job] = fence
            case ev.JobFinished(job=job, phase=JobPhase.SUCCEEDED):
                good.add(job)
            case _:
                pass
    starts = Counter((m.job, m.rank, m.fence) for m in history.marks if m.kind == START)
    ends = {(mark.job, mark.fence) for mark in history.marks if mark.kind == END}
    for (job, rank, fence), times in starts.items():
        if times > 1:
            yield f"started twice: rank {rank} of {job} by fence {fence}, {times} times"
        if (job, fence) not in released:
            yield f"too early: rank {rank} of {job} by fence {fence} was never let go"
    for mark in history.marks:
        if mark.kind == OVERLAP:
            yield f"overlaps: rank {mark.rank} of {mark.job} by fence {mark.fence}"
    for job in good:
        if history.marks and (job, fences.get(job, 0)) not in ends:
            yield f"lost: {job} succeeded, and its last worker never came to its end"


def _stale(marks: Sequence[Mark]) -> Iterator[str]:
    newest: dict[tuple[str, int], int] = {}
    for mark in marks:
        worker = (mark.job, mark.rank)
        if mark.kind == START:
            newest[worker] = max(mark.fence, newest.get(worker, 0))
        if mark.fence < newest.get(worker, 0):
            yield f"stale: {mark.kind} of rank {mark.rank} of {mark.job} by fence {mark.fence}"


def _whole(history: History) -> Iterator[str]:
    there = sorted([*(entry.seq for entry in history.entries), *history.damaged])
    for expected, seq in enumerate(there, start=1):
        if seq != expected:
            yield f"gap: {expected} is missing, {seq} is there"
            break
    for seq in history.damaged:
        yield f"damaged: entry {seq}"
    for entry in history.entries:
        if not 0 <= entry.cause < entry.seq:
            yield f"gap: entry {entry.seq} follows from {entry.cause}"
