"""Answer MLflow's client about runs: make, look at, change, tell of."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from starlette.responses import Response

from makeway.codec import encode
from makeway.errors import InvalidInput
from makeway.live import tracked_runs
from makeway.live.tracker import Batch, Tracker
from makeway.model.record import Note
from makeway.server.mlflow import API, Asked, Asking, Spoken, named, reply, taking
from makeway.server.mlflow_shapes import (
    Json,
    Metric,
    Pair,
    Whole,
    info_json,
    mapping,
    run_json,
    sample_of,
    whole,
)
from makeway.store.told import Told
from makeway.store.tracked import ACTIVE, DELETED

CONTEXT = "mlflow.data.context"

routes = APIRouter(prefix=f"{API}/runs", route_class=Spoken, include_in_schema=False)


class RunId(msgspec.Struct, frozen=True, kw_only=True):
    """Which run is meant; older clients say `run_uuid`."""

    run_id: str = ""
    run_uuid: str = ""

    @property
    def which(self) -> str:
        """Give the name of the run."""
        if not (self.run_id or self.run_uuid):
            raise InvalidInput("it is missing", where="run_id")
        return self.run_id or self.run_uuid


class Create(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is to be made."""

    experiment_id: str = "0"
    run_name: str = ""
    start_time: Whole = None
    tags: tuple[Pair, ...] = ()


class Update(RunId, frozen=True, kw_only=True):
    """What is to change."""

    status: str | None = None
    end_time: Whole = None
    run_name: str | None = None


class OneMetric(Metric, frozen=True, kw_only=True):
    """A sample of a run."""

    run_id: str = ""
    run_uuid: str = ""


class OnePair(RunId, frozen=True, kw_only=True):
    """A parameter or a tag of a run."""

    key: str = ""
    value: str = ""


class Logged(RunId, frozen=True, kw_only=True):
    """Many of each."""

    metrics: tuple[Metric, ...] = ()
    params: tuple[Pair, ...] = ()
    tags: tuple[Pair, ...] = ()


class DatasetRead(msgspec.Struct, frozen=True, kw_only=True):
    """A data set, and what for it was read."""

    dataset: dict[str, object]
    tags: tuple[Pair, ...] = ()


class Inputs(RunId, frozen=True, kw_only=True):
    """Data sets that a run read."""

    datasets: tuple[DatasetRead, ...] = ()


CreateBody = Annotated[Create, Depends(taking(Create))]
UpdateBody = Annotated[Update, Depends(taking(Update))]
RunIdBody = Annotated[RunId, Depends(taking(RunId))]
OneMetricBody = Annotated[OneMetric, Depends(taking(OneMetric))]
OnePairBody = Annotated[OnePair, Depends(taking(OnePair))]
LoggedBody = Annotated[Logged, Depends(taking(Logged))]
InputsBody = Annotated[Inputs, Depends(taking(Inputs))]


@routes.post("/create")
def create(asked: Asked, wanted: CreateBody) -> Response:
    """Make a run."""
    made = tracked_runs.RunMade(
        experiment=wanted.experiment_id,
        name=wanted.run_name,
        started_at_ms=whole(wanted.start_time, "start_time"),
        tags=mapping(wanted.tags),
    )
    subject = tracked_runs.make(asked.tracker, asked.teller, made)
    return reply({"run": _run(asked, subject.run_id)})


@routes.get("/get")
def get(asked: Asked) -> Response:
    """Give a run with all that was told of it."""
    return reply({"run": _run(asked, named(asked, "run_id", "run_uuid"))})


@routes.post("/update")
def update(asked: Asked, wanted: UpdateBody) -> Response:
    """Let a run have another status, end or name; a job has its own."""
    change = tracked_runs.RunChange(
        status=wanted.status,
        ended_at_ms=whole(wanted.end_time, "end_time"),
        name=wanted.run_name,
    )
    subject = tracked_runs.update(asked.tracker, asked.teller, wanted.which, change)
    return reply({"run_info": info_json(subject)})


@routes.post("/delete")
def delete(asked: Asked, wanted: RunIdBody) -> Response:
    """Put a run away."""
    tracked_runs.put_away(asked.tracker, asked.teller, wanted.which, DELETED)
    return reply()


@routes.post("/restore")
def restore(asked: Asked, wanted: RunIdBody) -> Response:
    """Bring a run back."""
    tracked_runs.put_away(asked.tracker, asked.teller, wanted.which, ACTIVE)
    return reply()


@routes.post("/log-metric")
def log_metric(asked: Asked, told: OneMetricBody) -> Response:
    """Take a sample."""
    which = RunId(run_id=told.run_id, run_uuid=told.run_uuid).which
    return _tell(asked, which, Batch(samples=(sample_of(told, asked.tracker.now_ms()),)))


@routes.post("/log-parameter")
def log_parameter(asked: Asked, told: OnePairBody) -> Response:
    """Take a parameter."""
    return _tell(asked, told.which, Batch(params={told.key: told.value}))


@routes.post("/set-tag")
def set_tag(asked: Asked, told: OnePairBody) -> Response:
    """Take a tag."""
    return _tell(asked, told.which, Batch(tags={told.key: told.value}))


@routes.post("/delete-tag")
def delete_tag(asked: Asked, told: OnePairBody) -> Response:
    """Take a tag away."""
    tracked_runs.untag(asked.tracker, asked.teller, told.which, told.key)
    return reply()


@routes.post("/log-batch")
def log_batch(asked: Asked, told: LoggedBody) -> Response:
    """Take samples, parameters and tags: all of them, or none."""
    now_ms = asked.tracker.now_ms()
    params = mapping(told.params)
    for pair in told.params:
        if params[pair.key] != pair.value:
            raise InvalidInput("it is given twice, as two values", where=f"parameter {pair.key}")
    batch = Batch(
        samples=[sample_of(metric, now_ms) for metric in told.metrics],
        params=params,
        tags=mapping(told.tags),
    )
    return _tell(asked, told.which, batch)


@routes.post("/log-inputs")
def log_inputs(asked: Asked, told: InputsBody) -> Response:
    """Take the data sets that a run read; each is described by an artifact."""
    now_ms, notes, tags = asked.tracker.now_ms(), list[Note](), dict[str, str]()
    subject = asked.tracker.subject(told.which)
    asked.tracker.assert_may_tell(asked.teller, subject)
    for each in told.datasets:
        name = str(each.dataset.get("name") or "dataset")
        described = encode(dict(sorted(each.dataset.items())))
        digest = asked.tracker.blobs.put_bytes(described)
        value = {
            "digest": digest, "size_bytes": len(described), "codec": tracked_runs.DATASET, "kind": "dataset",
        }  # fmt: skip
        notes.append(Note(kind="input", key=name, at_ms=now_ms, value=value))
        tags |= {
            f"{tracked_runs.CONTEXT_TAG}{name}": pair.value
            for pair in each.tags
            if pair.key == CONTEXT
        }
    return _tell(asked, told.which, Batch(notes=notes, tags=tags))


@routes.post("/outputs")
def log_outputs(asked: Asked, told: RunIdBody) -> Response:
    """Hear which models a run made: they say themselves of which run they are."""
    asked.tracker.assert_may_tell(asked.teller, asked.tracker.subject(told.which))
    return reply()


@routes.post("/log-model")
def log_model(asked: Asked, told: RunIdBody) -> Response:
    """Hear of a model among the artifacts, as older clients tell of it."""
    asked.tracker.assert_may_tell(asked.teller, asked.tracker.subject(told.which))
    return reply()


def _tell(asked: Asking, run_id: str, batch: Batch) -> Response:
    asked.tracker.tell(asked.teller, asked.tracker.subject(run_id), batch)
    return reply()


def _run(asked: Asking, run_id: str) -> Json:
    subject = asked.tracker.subject(run_id, asked.teller)
    (facts,) = tracked_runs.facts_of(asked.tracker, [subject])
    return run_json(facts, inputs_json(asked.tracker, facts.told))


def inputs_json(tracker: Tracker, told: Told) -> list[Json]:
    """Write the data sets that a run read."""
    written: list[Json] = []
    for one in told.inputs:
        context = told.tags.get(f"{tracked_runs.CONTEXT_TAG}{one.name}")
        read_for = [] if context is None else [{"key": CONTEXT, "value": context}]
        dataset = {"source_type": "makeway", **tracked_runs.described(tracker, one)}
        written.append({"dataset": dataset, "tags": read_for})
    return written
