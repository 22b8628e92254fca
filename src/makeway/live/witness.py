"""Look at an attempt once, right before its first bad end is believed, and hand in what is seen.

What an engine cannot know is only here: the samples up to the last moment, the end of the log, what
is free on the disk, whether the inputs are there, how far the work is saved, how such attempts went
before. It becomes an event that stands before the end in the log, so that a replay judges by the
same evidence. Who was told to leave is not in need of an explanation: only how far it came is read.

Takes:   the store's folder, a database to read; what has just been heard, and what is believed
Gives:   the same events, with at most one `AttemptSeen` for each attempt that begins to fail
Cost:    some ms for such an attempt; nothing for one that ends well
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from makeway.engine.state import State
from makeway.errors import MakewayError
from makeway.executor.folder import LOG, checkpoints, worker_folder
from makeway.model.event import AttemptSeen, Event, NodeLost, WorkerExited
from makeway.model.incident import Checkpoint, Disk, InputSeen, PastRuns, Phase, Seen
from makeway.model.job import Attempt, JobSpec
from makeway.store.blobs import Blobs
from makeway.store.checkpoint import latest
from makeway.store.database import Database
from makeway.store.seen import Wanted, inputs_of, past_runs_of, seen_of

TOLD = ("preempted", "drained", "restarted", "cancel", "yielded")
LINES_MAX, LINE_CHARS, TAIL_BYTES = 50, 500, 1 << 15
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - its size is asked for


class Witness:
    """Whoever looks at the attempts of one controller; see the module."""

    def __init__(self, store: Path, database: Database, flush: Callable[[], None]) -> None:
        """Take where workers live; `flush` writes the samples that are still in memory."""
        self._store, self._database, self._flush = store, database, flush
        self._blobs = Blobs(store)
        self.phase_of: Callable[[Attempt, int], Phase | None] = lambda _attempt, _rank: None

    def watch(self, state: State, events: Sequence[Event]) -> list[Event]:
        """Put what is seen of an attempt before the event that begins to end it."""
        found: list[Event] = []
        looked: set[str] = set()
        for event in events:
            for attempt, rank in _failing(state, event):
                if attempt.seen is None and attempt.job not in looked:
                    if not looked:
                        self._flush()
                    looked.add(attempt.job)
                    seen = self.look(attempt, state.jobs[attempt.job].spec, rank)
                    found.append(
                        AttemptSeen(
                            job=attempt.job, number=attempt.number, fence=attempt.fence, seen=seen
                        )
                    )
            found.append(event)
        return found

    def look(self, attempt: Attempt, spec: JobSpec, rank: int) -> Seen:
        """Look at one attempt; what cannot be read is unknown."""
        begun_ms = attempt.released_at_ms or attempt.started_at_ms
        wanted = Wanted(job=attempt.job, number=attempt.number, begun_ms=begun_ms, rank=rank)
        folder = worker_folder(self._store, attempt.job, attempt.number, rank)
        seen = Seen()
        with contextlib.suppress(MakewayError):
            seen = seen_of(self._database, wanted)
        seen = replace(seen, checkpoint=_saved(folder, begun_ms))
        if attempt.stop_cause in TOLD:
            return replace(Seen(), checkpoint=seen.checkpoint, samples=_progress(seen))
        past, inputs = PastRuns(), list[InputSeen]()
        with contextlib.suppress(MakewayError):
            past = past_runs_of(self._database, spec)
            inputs = [*self._inputs(spec)]
        return replace(
            seen,
            phase=self.phase_of(attempt, rank),
            log=tail(folder / LOG),
            disk=_disk(folder),
            past_runs=past,
            inputs=tuple(inputs),
        )

    def _inputs(self, spec: JobSpec) -> Iterator[InputSeen]:
        for one, digest in inputs_of(self._database, spec):
            path, kept = self._blobs.path(digest), one.durability
            if kept == "durable" and self._blobs.root.is_dir():
                kept = "node"  # its store can be reached, so what is not in it is gone for good
            yield replace(one, path=str(path), durability=kept, available=self._blobs.has(digest))


def tail(file: Path) -> tuple[str, ...]:
    """Give the last lines of a log."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ()
    with os.fdopen(descriptor, "rb") as log:
        try:
            size = os.fstat(descriptor).st_size
            log.seek(max(0, size - TAIL_BYTES))
            data = log.read(TAIL_BYTES)
        except OSError:
            return ()
    lines = data.decode("utf-8", "replace").splitlines()
    whole = lines[1:] if size > TAIL_BYTES else lines
    return tuple(line[:LINE_CHARS] for line in whole[-LINES_MAX:])


def _failing(state: State, event: Event) -> Iterator[tuple[Attempt, int]]:
    """Give the attempts that begin to fail by this event, and the worker by which."""
    if isinstance(event, WorkerExited) and not event.exit.good:
        attempt = state.attempts.get(event.job)
        if attempt is not None and attempt.fence == event.fence:
            yield attempt, event.rank
    elif isinstance(event, NodeLost):
        for attempt in state.attempts.values():
            there = [one.rank for one in attempt.workers if one.node == event.name]
            if there:
                yield attempt, there[0]


def _saved(folder: Path, begun_ms: int) -> Checkpoint:
    """Tell how far the work is saved, by the checkpoints that were published whole."""
    try:
        found = latest(checkpoints(folder))
    except OSError:
        found = None
    if found is None:
        return Checkpoint()
    manifest = found.manifest
    return Checkpoint(
        progress=manifest.progress,
        at_s=(manifest.at_ms - begun_ms) / 1000,
        step=manifest.step,
    )


def _progress(seen: Seen) -> dict[str, tuple[tuple[float, float | None], ...]]:
    return {name: track for name, track in seen.samples.items() if name == "progress"}


def _disk(folder: Path) -> Disk:
    try:
        there = os.statvfs(folder)
        shared = shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.exists() else None
    except OSError:
        return Disk()
    return Disk(
        bytes_free=there.f_bavail * there.f_frsize,
        # Some file systems count none at all, which is no lack of them.
        inodes_free=there.f_favail if there.f_files else None,
        shm_free_bytes=shared,
    )
