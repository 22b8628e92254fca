"""Make and change runs for MLflow's client, and give all that was told of them.

How a job ends is decided by whoever supervises it, never by its program: what the client says of the
status of a job is heard and means nothing. A tracked run has nobody else, so it is as it says.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

import msgspec

from makeway.codec import decode
from makeway.errors import InvalidInput, NotAllowed, NotFound, Unavailable
from makeway.live import tracked_experiments
from makeway.live.clock import fresh_id
from makeway.live.tracker import (
    EXPERIMENT_TAG,
    Batch,
    Subject,
    Teller,
    Tracker,
    subject_of_run,
)
from makeway.store.told import Input, Told, read_told
from makeway.store.tracked import (
    ACTIVE,
    DELETED,
    TrackedModel,
    TrackedRun,
    change_run,
    forget_tag,
    list_models,
    make_run,
)

RUNNING = "RUNNING"
DATASET, CONTEXT_TAG = "mlflow-dataset", "mlflow.data.context."
STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
NAME_TAG, PARENT_TAG, USER_TAG = "mlflow.runName", "mlflow.parentRunId", "mlflow.user"


class RunMade(msgspec.Struct, frozen=True, kw_only=True):
    """What a new run is to be."""

    experiment: str
    name: str = ""
    started_at_ms: int | None = None
    tags: Mapping[str, str] = {}


class RunChange(msgspec.Struct, frozen=True, kw_only=True):
    """What of a run is to change; None: it stays."""

    status: str | None = None
    ended_at_ms: int | None = None
    name: str | None = None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """A run and all that was told of it."""

    subject: Subject
    told: Told
    models: Sequence[TrackedModel] = ()


def facts_of(tracker: Tracker, subjects: Sequence[Subject]) -> list[Facts]:
    """Give runs with all that was told of them."""
    ids = [subject.id for subject in subjects]
    told = read_told(tracker.reader, ids)
    models: dict[str | None, list[TrackedModel]] = {}
    for model in list_models(tracker.reader, runs=ids) if ids else ():
        models.setdefault(model.run, []).append(model)
    return [
        Facts(subject=_called(one, told[one.id]), told=told[one.id], models=models.get(one.id, ()))
        for one in subjects
    ]


def described(tracker: Tracker, one: Input) -> dict[str, object]:
    """Give what was told of a data set; one whose description is gone has its name alone."""
    known: dict[str, object] = {"name": one.name, "digest": one.digest[:8], "source": ""}
    if one.codec == DATASET:
        with contextlib.suppress(NotFound, Unavailable):
            known |= decode(tracker.blobs.read(one.digest), dict[str, object], "dataset")
    return known


def _called(subject: Subject, told: Told) -> Subject:
    """Let a run have the name that it was given later, and the tags that the client looks for."""
    name = told.tags.get(NAME_TAG) or subject.name
    told.tags.setdefault(NAME_TAG, name)
    told.tags.setdefault(USER_TAG, subject.user)
    return msgspec.structs.replace(subject, name=name)


def make(tracker: Tracker, teller: Teller, wanted: RunMade) -> Subject:
    """Make a run that is only told about."""
    if not teller.may_tell:
        raise NotAllowed(f"{teller.user}'s token is not for telling anything", where="run")
    experiment = tracked_experiments.experiment(tracker, wanted.experiment)
    if experiment.stage != ACTIVE:
        raise InvalidInput("it is deleted", where=f"experiment {experiment.id}")
    now_ms = tracker.now_ms()
    name = wanted.name or wanted.tags.get(NAME_TAG) or ""
    run = TrackedRun(
        id=fresh_id(now_ms),
        experiment=experiment.id,
        name=name,
        status=RUNNING,
        stage=ACTIVE,
        user=teller.user,
        job=teller.speaker.job if teller.speaker is not None else None,
        parent=wanted.tags.get(PARENT_TAG),
        started_at_ms=now_ms if wanted.started_at_ms is None else wanted.started_at_ms,
        ended_at_ms=None,
    )
    run = run if run.name else msgspec.structs.replace(run, name=f"run-{run.id}")
    make_run(tracker.database, run)
    subject = subject_of_run(run)
    tags = {**wanted.tags, NAME_TAG: run.name}
    tracker.tell(teller, subject, Batch(tags=tags))
    return subject


def update(tracker: Tracker, teller: Teller, run_id: str, change: RunChange) -> Subject:
    """Let a run have another status, end or name."""
    if change.status is not None and change.status not in STATUSES:
        there = ", ".join(STATUSES)
        raise InvalidInput(f"there is no {change.status!r}; there are {there}", where="status")
    subject = tracker.subject(run_id, teller)
    tracker.assert_may_tell(teller, subject)
    tags = {NAME_TAG: change.name} if change.name else {}
    if subject.tracked is not None:
        ended_at_ms = change.ended_at_ms
        run = msgspec.structs.replace(
            subject.tracked,
            name=change.name or subject.name,
            status=change.status or subject.status,
            ended_at_ms=subject.ended_at_ms if ended_at_ms is None else ended_at_ms,
        )
        if run != subject.tracked:
            change_run(tracker.database, run)
    elif subject.experiment != tracker.subject(run_id).experiment:
        tags[EXPERIMENT_TAG] = subject.experiment
    tracker.tell(teller, subject, Batch(tags=tags))
    return tracker.subject(run_id, teller)


def put_away(tracker: Tracker, teller: Teller, run_id: str, stage: str) -> None:
    """Delete a tracked run, or bring it back; jobs stay in the history."""
    subject = tracker.subject(run_id)
    tracker.assert_may_tell(teller, subject)
    if subject.tracked is None:
        if stage == DELETED:
            raise NotAllowed("a job stays in the history", where=f"run {run_id}")
        return
    change_run(tracker.database, msgspec.structs.replace(subject.tracked, stage=stage))


def untag(tracker: Tracker, teller: Teller, run_id: str, key: str) -> None:
    """Take a tag away."""
    subject = tracker.subject(run_id)
    tracker.assert_may_tell(teller, subject)
    try:
        forget_tag(tracker.database, subject.id, key)
    except NotFound as error:
        raise NotFound(error.problem, where=f"run {run_id}") from None
