"""Take what MLflow's client tells of jobs, and of runs that only it knows.

To that client a job, or the step of a run, is a run; it may also make runs of its own, which nothing
schedules. Whoever tells is a worker, with the token of its attempt, or a person with theirs. A worker
may tell of its own job and of the runs it made; a person of what is theirs.

What is told goes to the controller like what agents bring, and is written by it alone; whoever told
it waits until it can be read. A parameter keeps its value: another one under its name is refused.
Only another attempt of a job may have others, since it may have been started with others.

Raises:  NotFound · NotAllowed · InvalidInput · Unavailable: the store cannot be written now
Cost:    a turn of the controller and one transaction a request, shared by all that come together
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import sqlalchemy as sa

from makeway.errors import InvalidInput, NotAllowed, NotFound
from makeway.executor.base import Readings
from makeway.executor.tracking import Endpoint, Speaker, speaker_of
from makeway.live.inbox import Inbox
from makeway.model.phase import AttemptPhase, JobPhase
from makeway.model.record import Note, Sample
from makeway.model.tracked import JOBS_ID, experiment_of_workflow, job_of, mlflow_id
from makeway.store import schema
from makeway.store.blobs import Blobs
from makeway.store.database import Database
from makeway.store.read import get_job
from makeway.store.rows import JobRow
from makeway.store.statement import same
from makeway.store.told import read_told
from makeway.store.tracked import ACTIVE, TrackedRun, find_run
from makeway.wire.tokens import Caller, Scope

KEY_CHARS_MAX, VALUE_CHARS_MAX = 250, 8_000
EXPERIMENT_TAG = "makeway.experiment"
ATTEMPTS_MAX = 10_000  # whose parameters are known at once
STATUS = {
    JobPhase.QUEUED: "SCHEDULED",
    JobPhase.RUNNING: "RUNNING",
    JobPhase.EVICTING: "RUNNING",
    JobPhase.SUCCEEDED: "FINISHED",
    JobPhase.FAILED: "FAILED",
    JobPhase.CANCELLED: "KILLED",
}

ATTEMPT, RUN = schema.attempt.c, schema.run.c
LIVING = sa.select(ATTEMPT.fence, ATTEMPT.phase).where(same(ATTEMPT.job, ATTEMPT.number))
WORKFLOW = sa.select(RUN.workflow).where(same(RUN.id))


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What a tracker stands on: the way to the controller, and the store."""

    store: Path
    inbox: Inbox
    database: Database
    reader: Database
    now_ms: Callable[[], int]
    endpoint: Endpoint


class Teller(msgspec.Struct, frozen=True, kw_only=True):
    """Who tells: a worker (`speaker`), or a person; and whether they may tell anything at all."""

    user: str
    may_tell: bool = True
    of_all: bool = False
    speaker: Speaker | None = None


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of: a job, or a tracked run. `id` is ours, `number` the attempt."""

    id: str
    name: str
    user: str
    experiment: str
    status: str
    stage: str
    started_at_ms: int
    ended_at_ms: int | None
    number: int = 1
    made_by: str | None = None
    tracked: TrackedRun | None = None

    @property
    def run_id(self) -> str:
        """Give the name that the client knows."""
        return mlflow_id(self.id)


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What is told at once of one subject."""

    samples: Sequence[Sample] = ()
    params: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}
    notes: Sequence[Note] = ()


class Tracker:
    """Where it is taken; for many threads. See the module."""

    def __init__(self, ground: Ground) -> None:
        """Take what it stands on."""
        self.ground, self.blobs = ground, Blobs(ground.store)
        self.database, self.reader, self.now_ms = ground.database, ground.reader, ground.now_ms
        self.asked_for: dict[str, str] = {}  # job -> the experiment that its worker named last
        self._params: dict[tuple[str, int], dict[str, str]] = {}
        self._one_by_one = threading.Lock()  # what compares before it writes

    # ── who ───────────────────────────────────────────────────────────────────────────────────────

    def admit(self, token: str) -> Teller | None:
        """Say which worker a token is of; None: of none, or its attempt has ended."""
        speaker = speaker_of(token, self.ground.endpoint.key)
        if speaker is None:
            return None
        found = self.reader.find(LIVING, (speaker.job, speaker.number))
        if not found or found[0][0] != speaker.fence or found[0][1] == AttemptPhase.ENDED.value:
            return None
        return Teller(user=get_job(self.reader, speaker.job).spec.user, speaker=speaker)

    def assert_may_tell(self, teller: Teller, subject: Subject) -> None:
        """Refuse who tells of what is not theirs."""
        where = f"run {subject.run_id}"
        if not teller.may_tell:
            raise NotAllowed(f"{teller.user}'s token is not for telling anything", where=where)
        if teller.of_all:
            return
        if teller.speaker is not None and teller.speaker.job not in {subject.id, subject.made_by}:
            problem = f"a worker of job {teller.speaker.job} tells of that job alone"
            raise NotAllowed(problem, where=where)
        if teller.user != subject.user:
            raise NotAllowed(f"it is {subject.user}'s, not {teller.user}'s", where=where)

    # ── of what ───────────────────────────────────────────────────────────────────────────────────

    def subject(self, run_id: str, teller: Teller | None = None) -> Subject:
        """Find what a run of the client is; its own worker sees it where it asked for it to be."""
        tracked = find_run(self.reader, run_id)
        if tracked is not None:
            return subject_of_run(tracked)
        try:
            row = get_job(self.reader, job_of(run_id))
        except NotFound:
            raise NotFound(f"there is no run {run_id!r}") from None
        subject = self.subject_of_job(row)
        speaker = None if teller is None else teller.speaker
        if speaker is not None and speaker.job == row.id and row.id in self.asked_for:
            return msgspec.structs.replace(subject, experiment=self.asked_for[row.id])
        return subject

    def subject_of_job(self, row: JobRow, experiment: str | None = None) -> Subject:
        """See a job as something that is told of."""
        return Subject(
            id=row.id,
            name=row.spec.name,
            user=row.spec.user,
            experiment=experiment or self._experiment_of(row),
            status=STATUS[row.phase],
            stage=ACTIVE,
            started_at_ms=row.started_at_ms or row.submitted_at_ms,
            ended_at_ms=row.ended_at_ms,
            number=max(1, row.attempts),
        )

    def _experiment_of(self, row: JobRow) -> str:
        named = read_told(self.reader, [row.id])[row.id].tags.get(EXPERIMENT_TAG)
        if named or row.run is None:
            return named or JOBS_ID
        rows = self.reader.find(WORKFLOW, (row.run,))
        return experiment_of_workflow(rows[0][0]) if rows else JOBS_ID

    # ── what ──────────────────────────────────────────────────────────────────────────────────────

    def tell(self, teller: Teller, subject: Subject, batch: Batch) -> None:
        """Take a batch, whole, or refuse it, whole."""
        self.assert_may_tell(teller, subject)
        for name in (*batch.params, *batch.tags, *(sample.name for sample in batch.samples)):
            _assert_name(name)
        for kind, values in (("parameter", batch.params), ("tag", batch.tags)):
            for name, value in values.items():
                _assert_short(kind, name, value)
        if not batch.params:
            self._record(teller, subject, batch)
            return
        with self._one_by_one:
            known = self._known_params(subject)
            for name, value in batch.params.items():
                _assert_same(subject, name, known.get(name), value)
            self._record(teller, subject, batch)
            known.update(batch.params)

    def _known_params(self, subject: Subject) -> dict[str, str]:
        """Give what was logged before: of a job, by this attempt; a step's arguments are no part."""
        if subject.tracked is not None:
            return read_told(self.reader, [subject.id])[subject.id].params
        while len(self._params) > ATTEMPTS_MAX:  # the oldest have ended long ago
            del self._params[next(iter(self._params))]
        return self._params.setdefault((subject.id, subject.number), {})

    def _record(self, teller: Teller, subject: Subject, batch: Batch) -> None:
        now_ms = self.now_ms()
        speaker = teller.speaker
        own = speaker is not None and speaker.job == subject.id
        notes = (
            *(
                Note(kind="param", key=name, at_ms=now_ms, value=plain(value))
                for name, value in batch.params.items()
            ),
            *(
                Note(kind="tag", key=name, at_ms=now_ms, value=value)
                for name, value in batch.tags.items()
            ),
            *batch.notes,
        )
        if not notes and not batch.samples:
            return
        readings = Readings(
            job=subject.id,
            number=speaker.number if speaker is not None and own else subject.number,
            rank=speaker.rank if speaker is not None and own else 0,
            samples=tuple(batch.samples),
            notes=notes,
        )
        self.ground.inbox.record([readings])


def teller_of(caller: Caller) -> Teller:
    """See a person as somebody who tells."""
    return Teller(
        user=caller.user, may_tell=caller.may(Scope.SUBMIT), of_all=caller.may(Scope.OPERATE)
    )


def subject_of_run(run: TrackedRun) -> Subject:
    """See a tracked run as something that is told of."""
    return Subject(
        id=run.id, name=run.name, user=run.user, experiment=run.experiment, status=run.status,
        stage=run.stage, started_at_ms=run.started_at_ms, ended_at_ms=run.ended_at_ms,
        made_by=run.job, tracked=run,
    )  # fmt: skip


def plain(value: str) -> object:
    """Give a number where a text is exactly how a number is written: so it is found by its size."""
    for kind in (int, float):
        try:
            number = kind(value)
        except ValueError:
            continue
        if str(number) == value:
            return number
    return value


def _assert_name(name: str) -> None:
    if not 0 < len(name) <= KEY_CHARS_MAX:
        problem = f"a name has 1 to {KEY_CHARS_MAX} letters, not {len(name)}"
        raise InvalidInput(problem, where="key")


def _assert_short(kind: str, name: str, value: str) -> None:
    if len(value) > VALUE_CHARS_MAX:
        problem = f"the value of a {kind} has at most {VALUE_CHARS_MAX} letters, not {len(value)}"
        raise InvalidInput(problem, where=name)


def _assert_same(subject: Subject, name: str, old: str | None, new: str) -> None:
    if old is not None and old != new:
        problem = f"it was logged as {old[:100]!r} before, and a parameter keeps its value"
        raise InvalidInput(problem, where=f"parameter {name} of run {subject.run_id}")
