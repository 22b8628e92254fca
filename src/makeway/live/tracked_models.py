"""Keep the models that MLflow's client logs: begun, filled with files, then whole or given up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from makeway.errors import InvalidInput
from makeway.executor.base import Readings
from makeway.live import tracked_experiments
from makeway.live.clock import fresh_id
from makeway.live.tracked_files import assert_model_theirs, seal
from makeway.live.tracker import Teller, Tracker, plain
from makeway.model.record import Note
from makeway.model.tracked import mlflow_id
from makeway.store.told import Told, read_told
from makeway.store.tracked import (
    TrackedModel,
    change_model,
    forget_model,
    forget_tag,
    get_model,
    list_models,
    make_model,
)

PENDING, READY, FAILED = (
    "LOGGED_MODEL_PENDING",
    "LOGGED_MODEL_READY",
    "LOGGED_MODEL_UPLOAD_FAILED",
)


class ModelMade(msgspec.Struct, frozen=True, kw_only=True):
    """What a new model is to be."""

    experiment: str
    name: str = ""
    kind: str = ""
    run: str | None = None
    params: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}


def make(tracker: Tracker, teller: Teller, wanted: ModelMade) -> TrackedModel:
    """Begin a model."""
    experiment = tracked_experiments.experiment(tracker, wanted.experiment)
    now_ms, run = tracker.now_ms(), None
    if wanted.run:
        subject = tracker.subject(wanted.run)
        tracker.assert_may_tell(teller, subject)
        run = subject.id
    name = fresh_id(now_ms)
    model = TrackedModel(
        id=f"m-{name}",
        experiment=experiment.id,
        name=wanted.name or f"model-{name}",
        kind=wanted.kind,
        status=PENDING,
        user=teller.user,
        run=run,
        digest=None,
        created_at_ms=now_ms,
        changed_at_ms=now_ms,
    )
    _assert_theirs(tracker, teller, model)
    make_model(tracker.database, model)
    tell(tracker, teller, model.id, params=wanted.params, tags=wanted.tags)
    return model


def tell(
    tracker: Tracker,
    teller: Teller,
    which: str,
    *,
    params: Mapping[str, str] = {},
    tags: Mapping[str, str] = {},
) -> TrackedModel:
    """Take parameters and tags of a model."""
    model = get_model(tracker.reader, which)
    _assert_theirs(tracker, teller, model)
    at_ms = tracker.now_ms()
    notes = (
        *(
            Note(kind="param", key=key, at_ms=at_ms, value=plain(one))
            for key, one in params.items()
        ),
        *(Note(kind="tag", key=key, at_ms=at_ms, value=one) for key, one in tags.items()),
    )
    if notes:
        readings = Readings(job=model.id, number=1, rank=0, samples=(), notes=notes)
        tracker.ground.inbox.record([readings])
    return model


def finish(tracker: Tracker, teller: Teller, which: str, status: str) -> TrackedModel:
    """Let a model be whole, or given up."""
    if status not in {READY, FAILED, PENDING}:
        raise InvalidInput(f"there is no {status!r}", where="status")
    model = get_model(tracker.reader, which)
    _assert_theirs(tracker, teller, model)
    digest = seal(tracker, teller, model) if status == READY else model.digest
    changed = msgspec.structs.replace(
        model, status=status, digest=digest, changed_at_ms=tracker.now_ms()
    )
    change_model(tracker.database, changed)
    return changed


def remove(tracker: Tracker, teller: Teller, which: str) -> None:
    """Take a model out of the list."""
    _assert_theirs(tracker, teller, get_model(tracker.reader, which))
    forget_model(tracker.database, which)


def untag(tracker: Tracker, teller: Teller, which: str, key: str) -> None:
    """Take a tag of a model away."""
    _assert_theirs(tracker, teller, get_model(tracker.reader, which))
    forget_tag(tracker.database, which, key)


def told_of(tracker: Tracker, models: Sequence[TrackedModel]) -> list[tuple[TrackedModel, Told]]:
    """Give models with what was told of them."""
    told = read_told(tracker.reader, [model.id for model in models])
    return [(model, told[model.id]) for model in models]


def models_of(tracker: Tracker, experiments: Sequence[str]) -> list[TrackedModel]:
    """Give the models of experiments, the newest first."""
    ids = [tracked_experiments.experiment(tracker, one).id for one in experiments]
    return list_models(tracker.reader, experiments=ids)


def _assert_theirs(tracker: Tracker, teller: Teller, model: TrackedModel) -> None:
    if model.run is not None:
        tracker.assert_may_tell(teller, tracker.subject(mlflow_id(model.run)))
    else:
        assert_model_theirs(teller, model)
