"""Watch the workers that are at work, and say which attempt is stuck.

The detector of `health.stuck` is pure; what it needs is heard here. The agents' samples are the
clock that says *alive*, training steps, `progress` and checkpoints the one that says *further*; a
phase that the program enters has a limit of its own; what a worker
prints is read on from where it was read last. Once a second each attempt is judged; what changed
becomes an event, and before it does, the traces of a worker that hangs are kept in its folder: who
kills it then destroys nothing that was known of it.

What nobody listened to counts for nobody: after a pause of the controller, or for workers that were
there before it, all clocks begin anew.

Takes:   readings as they come, and what is believed of the attempts
Gives:   AttemptJudged, for each attempt of which something else is true than was said last
Cost:    O(1) a sample; once a second one `stat` a worker and what it printed, at most LOG_BYTES
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from makeway.codec import encode
from makeway.engine.state import State
from makeway.executor.base import Readings
from makeway.executor.folder import DIAGNOSIS, LOG, checkpoints, worker_folder, write_whole
from makeway.health.stuck import Watch
from makeway.live.pace import Pace
from makeway.live.traces import keep_traces
from makeway.live.worth import Course, Scales
from makeway.model.event import AttemptEnded, AttemptJudged, Entry
from makeway.model.incident import Phase
from makeway.model.job import Attempt, Job
from makeway.model.phase import AttemptPhase
from makeway.model.record import NOT_READY, SLOW, Evidence, Note, Sample, Symptom
from makeway.model.units import BadAmount, ms_of
from makeway.store.checkpoint import latest
from makeway.store.database import Database

LOOK_EVERY_MS = 1_000
# Longer than this between two looks, and the controller itself was held up.
PAUSE_MS = 15_000
PHASE_MS = 1_800_000  # of whoever says nothing else
LOG_BYTES = 1 << 16
CPU, PROGRESS, STEP = "system/cpu_percent", "progress", "step"


class _Heard(msgspec.Struct, kw_only=True, eq=False):
    """What is known of one worker: how far its log was read, how far it came, what it used."""

    log_at: int
    torn: bytes = b""
    done: float = float("-inf")
    cpu_ms: float = 0.0
    cpu_at_ms: int | None = None
    phase: tuple[str, int] | None = (
        None  # the part of its program that it says it is in, since when
    )

    def enters(self, note: Note) -> None:
        """Take that it enters a part of its program, or leaves one."""
        if note.kind == "phase" and not (isinstance(note.value, dict) and note.value.get("steps")):
            self.phase = (note.key, note.at_ms) if note.key else None


class _Attempt(msgspec.Struct, kw_only=True, eq=False):
    """One attempt under watch."""

    fence: int
    generation: int
    watch: Watch
    workers: dict[int, _Heard]
    pace: Pace
    course: Course
    missing: tuple[int, ...] = ()  # whom those who are to meet still wait for
    missing_since_ms: int = 0
    action: object = None  # what was decided about it when that was said last

    def meets(self, note: Note) -> None:
        """Take what a worker says of those who have not come to the meeting; none: all are there."""
        ranks = note.value if isinstance(note.value, list | tuple) else ()
        missing = tuple(rank for rank in ranks if isinstance(rank, int))
        if not self.missing:
            self.missing_since_ms = note.at_ms
        self.missing = missing

    def not_ready(self) -> Symptom | None:
        """Say who has not met the others yet, so that nobody works."""
        if not self.missing:
            return None
        ranks = ", ".join(map(str, self.missing))
        who = f"rank {ranks} has" if len(self.missing) == 1 else f"ranks {ranks} have"
        text = f"{who} not met the others yet; until then nobody works"
        return Symptom(
            name=NOT_READY, text=text, since_ms=self.missing_since_ms, ranks=self.missing
        )


class Lookout:
    """Whoever watches the attempts of one controller; see the module."""

    def __init__(self, store: Path, database: Database | None = None) -> None:
        """Take the store in whose folders the workers live, and where earlier samples are read."""
        self.store = store
        self._scales = Scales(database)
        self._attempts: dict[str, _Attempt] = {}
        self._looked_ms: int | None = None

    def hear(self, readings: Iterable[Readings]) -> None:
        """Take what agents have measured and programs have recorded."""
        for one in readings:
            known = self._attempts.get(one.job)
            heard = None if known is None else known.workers.get(one.rank)
            if known is None or heard is None:
                continue
            heard_of: list[Sample | Note] = [*one.samples, *one.notes]
            for said in sorted(heard_of, key=lambda it: it.at_ms):
                if isinstance(said, Note) and said.kind == "waiting":
                    if one.rank == 0:  # who is at the place of the meeting knows who comes
                        known.meets(said)
                elif isinstance(said, Note):
                    _noted(known.watch, one.rank, said)
                    heard.enters(said)
                else:
                    _take(known.watch, heard, one.rank, said)
                    known.pace.take(one.rank, said)
                    known.course.take(one.rank, said)

    def look(self, state: State, now_ms: int) -> list[AttemptJudged]:
        """Judge every attempt that is at work, if it is time to; give what has changed."""
        before_ms = self._looked_ms
        if before_ms is not None and 0 <= now_ms - before_ms < LOOK_EVERY_MS:
            return []
        self._looked_ms = now_ms
        held_up = before_ms is None or not 0 <= now_ms - before_ms <= PAUSE_MS
        at_work = {
            job: attempt
            for job, attempt in state.attempts.items()
            if attempt.phase is AttemptPhase.RUNNING
        }
        for job in self._attempts.keys() - at_work.keys():
            del self._attempts[job]
        for attempt in at_work.values():
            wanted = state.jobs[attempt.job]
            known = self._known(wanted, attempt, now_ms, fresh=not held_up)
            self._read(known, attempt, now_ms)
            known.pace.look(wanted, attempt, now_ms, self._saves)
            known.course.phase = self.phase_of(attempt, 0)
        watched = [(attempt, self._attempts[job]) for job, attempt in at_work.items()]
        courses = [(attempt, known.course, known.pace) for attempt, known in watched]
        self._scales.look(state, courses, now_ms)
        return [one for attempt, known in watched for one in self._judge(known, attempt, now_ms)]

    def phase_of(self, attempt: Attempt, rank: int) -> Phase | None:
        """Say in which part of its program a worker is, as far as that was heard."""
        known = self._attempts.get(attempt.job)
        heard = known.workers.get(rank) if known and known.fence == attempt.fence else None
        if heard is None or heard.phase is None:
            return None
        name, at_ms = heard.phase
        begun_ms = attempt.released_at_ms or attempt.started_at_ms
        return Phase(name=name, since_s=(at_ms - begun_ms) / 1000)

    def _known(self, job: Job, attempt: Attempt, now_ms: int, *, fresh: bool) -> _Attempt:
        """Give what is known of an attempt, with its workers as they are now."""
        known = self._attempts.get(attempt.job)
        if known is None or known.fence != attempt.fence:
            known = _Attempt(
                fence=attempt.fence, generation=attempt.generation, watch=Watch((), now_ms),
                workers={}, pace=Pace(), course=Course(job),
            )  # fmt: skip
            self._attempts[attempt.job] = known
        elif known.generation != attempt.generation or not fresh:
            known.generation = attempt.generation
            known.missing = ()
            known.pace.anew()
            known.watch.paused(now_ms)
        there = {worker.rank: worker for worker in attempt.workers if worker.exit is None}
        for rank in known.workers.keys() - there.keys():
            del known.workers[rank]
            known.watch.gone(rank)
        for rank in there.keys() - known.workers.keys():
            begin = 0 if fresh else self._size(attempt, rank)
            known.workers[rank] = _Heard(log_at=begin)
            known.watch.joined(rank, now_ms)
        return known

    def _judge(self, known: _Attempt, attempt: Attempt, now_ms: int) -> Iterator[AttemptJudged]:
        stuck = known.watch.judge(now_ms)
        found = known.pace.slow or known.course.found
        symptom = stuck or known.not_ready() or (found.symptom if found else None)
        said = attempt.symptom
        decision = found.decision if found and symptom is found.symptom else None
        action = (decision.action, known.course.moves) if decision else None
        if _what(symptom) == _what(said) and action == known.action:
            return
        known.action = action
        if stuck is not None:
            symptom = self._with_traces(stuck, attempt)
        yield AttemptJudged(
            job=attempt.job, number=attempt.number, fence=attempt.fence, symptom=symptom,
            decision=decision,
        )  # fmt: skip

    def _saves(self, attempt: Attempt) -> bool:
        """Say whether the program saves its work, so that a restart of it loses little."""
        return latest(checkpoints(self._folder(attempt, 0))) is not None

    def _with_traces(self, symptom: Symptom, attempt: Attempt) -> Symptom:
        """Keep the traces of those who are stuck, and name the files."""
        kept: list[Evidence] = []
        for worker in attempt.workers:
            if worker.rank in symptom.ranks and worker.exit is None:
                file = keep_traces(self._folder(attempt, worker.rank), worker.pid)
                if file is not None:
                    text = f"where rank {worker.rank} stands is kept in {file}"
                    kept.append(Evidence(text=text, ref=f"workers[{worker.rank}].traces"))
        return replace(symptom, evidence=(*symptom.evidence, *kept))

    # ── what workers print ────────────────────────────────────────────────────────────────────────

    def _read(self, known: _Attempt, attempt: Attempt, now_ms: int) -> None:
        for rank, heard in known.workers.items():
            for line in _lines(self._folder(attempt, rank) / LOG, heard):
                known.watch.said(rank, now_ms, line)

    def _size(self, attempt: Attempt, rank: int) -> int:
        try:
            return (self._folder(attempt, rank) / LOG).lstat().st_size
        except OSError:
            return 0

    def _folder(self, attempt: Attempt, rank: int) -> Path:
        return worker_folder(self.store, attempt.job, attempt.number, rank)


def _what(symptom: Symptom | None) -> object:
    """Give what makes it worth saying again; whoever is stuck is so whatever its worker."""
    if symptom is None or symptom.name not in (NOT_READY, SLOW):
        return symptom and symptom.name
    return symptom.name, symptom.ranks


def keep_diagnoses(store: Path, entries: Iterable[Entry]) -> None:
    """Leave word beside the workers of an attempt that ended, for the program of the next one."""
    for entry in entries:
        if isinstance(event := entry.event, AttemptEnded):
            place = worker_folder(store, event.job, event.number, 0).parent / DIAGNOSIS
            with contextlib.suppress(OSError):  # its folder is gone, or the disk is full
                write_whole(place, encode(event.diagnosis))


def _take(watch: Watch, heard: _Heard, rank: int, sample: Sample) -> None:
    """Take one sample: any is a sign of life, some are progress."""
    watch.alive(rank, sample.at_ms)
    if sample.name == CPU:
        if heard.cpu_at_ms is not None:
            heard.cpu_ms += sample.value / 100 * max(0, sample.at_ms - heard.cpu_at_ms)
        heard.cpu_at_ms = sample.at_ms
        watch.used(rank, sample.at_ms, int(heard.cpu_ms))
    elif sample.step is not None:
        watch.stepped(rank, sample.at_ms, sample.step)
    elif sample.name == STEP and sample.value == int(sample.value):
        watch.stepped(rank, sample.at_ms, int(sample.value))
    elif sample.name == PROGRESS and sample.value > heard.done:
        heard.done = sample.value
        watch.reported(rank, sample.at_ms)


def _noted(watch: Watch, rank: int, note: Note) -> None:
    """Take one note: a phase is entered or left, work is saved."""
    watch.alive(rank, note.at_ms)
    if note.kind == "checkpoint":
        watch.reported(rank, note.at_ms)
    elif note.kind == "phase" and isinstance(note.value, dict) and note.value.get("steps"):
        watch.expect_steps()
    elif note.kind == "phase" and note.key:
        limit = note.value.get("limit") if isinstance(note.value, dict) else None
        watch.entered(rank, note.at_ms, note.key, _limit_ms(limit))
    elif note.kind == "phase":
        watch.left(rank, note.at_ms)


def _limit_ms(limit: object) -> int:
    """Give the limit of a phase: what the program says, seconds or text, if that is a time."""
    if isinstance(limit, int | float | str):
        with contextlib.suppress(BadAmount):
            return ms_of(limit)
    return PHASE_MS


def _lines(file: Path, heard: _Heard) -> Iterator[str]:
    """Give the whole lines that are new; of a flood only its end, for the time is the same."""
    try:
        size = file.lstat().st_size
        if size == heard.log_at:
            return
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return
        if size < heard.log_at or size - heard.log_at > LOG_BYTES:  # cut, or a flood
            heard.log_at, heard.torn = max(0, size - LOG_BYTES), b""
        data = os.pread(descriptor, LOG_BYTES, heard.log_at)
    except OSError:
        return
    finally:
        os.close(descriptor)
    heard.log_at += len(data)
    *whole, torn = (heard.torn + data).split(b"\n")
    heard.torn = torn[-LOG_BYTES:]
    for line in whole:
        yield line.decode("utf-8", "replace")
