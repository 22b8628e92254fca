"""Read and write values as MLflow's client has them: protocol buffers as JSON.

What is not a finite number comes and goes as a word (`NaN`, `Infinity`, `-Infinity`); whole numbers
may come as text. Names that we do not know are passed over, since every version of the client has
some of its own. Lists of keys and values carry what for us is a mapping.

Raises:  InvalidInput: a number that is none, or is too large to be kept
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from makeway.errors import InvalidInput
from makeway.live.tracked_files import Listed, root_of_model, root_of_run
from makeway.live.tracked_runs import Facts
from makeway.live.tracker import Subject
from makeway.model.record import Sample
from makeway.model.tracked import mlflow_id
from makeway.store.told import Last, Told
from makeway.store.tracked import TrackedExperiment, TrackedModel

Json = dict[str, Any]
WHOLE_MAX = 2**63
WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

Whole = int | str | None


class Pair(msgspec.Struct, frozen=True):
    """A parameter or a tag."""

    key: str
    value: str = ""


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A sample."""

    key: str = ""
    value: float | str | None = None
    timestamp: Whole = None
    step: Whole = None


def mapping(pairs: Iterable[Pair]) -> dict[str, str]:
    """Give keys and values; of two that differ under one key the later one stays."""
    return {pair.key: pair.value for pair in pairs}


def sample_of(metric: Metric, now_ms: int) -> Sample:
    """Read a sample."""
    where = f"metric {metric.key}"
    at_ms = whole(metric.timestamp, where)
    return Sample(
        name=metric.key,
        at_ms=now_ms if at_ms is None else at_ms,
        value=_number(metric.value, where),
        step=whole(metric.step, where) or 0,
    )


def whole(given: Whole, where: str) -> int | None:
    """Read a whole number, that may have come as a text."""
    if given is None:
        return None
    try:
        number = int(given)
    except ValueError:
        raise InvalidInput(f"{given!r} is no whole number", where=where) from None
    if not -WHOLE_MAX < number < WHOLE_MAX:
        raise InvalidInput(f"{number} is too large to be kept", where=where)
    return number


def _number(given: float | str | None, where: str) -> float:
    if given is None:
        return 0.0  # protocol buffers leave out what is zero
    if isinstance(given, str):
        if given in WORDS:
            return WORDS[given]
        try:
            return float(given)
        except ValueError:
            raise InvalidInput(f"{given!r} is no number", where=where) from None
    return float(given)


def metric_json(last: Last, **more: object) -> Json:
    """Write a sample."""
    number = math.nan if last.value is None else last.value
    value: float | str = number
    if not math.isfinite(number):
        value = next(word for word, one in WORDS.items() if str(one) == str(number))
    return {"key": last.name, "value": value, "timestamp": last.at_ms, "step": last.step, **more}


def pairs_json(values: Mapping[str, str]) -> list[Json]:
    """Write a mapping."""
    return [{"key": key, "value": value} for key, value in sorted(values.items())]


def run_json(facts: Facts, inputs: Sequence[Json] = ()) -> Json:
    """Write a run with all that was told of it."""
    told = facts.told
    return {
        "info": info_json(facts.subject),
        "data": {
            "metrics": [metric_json(last) for _, last in sorted(told.metrics.items())],
            "params": pairs_json(told.params),
            "tags": pairs_json(told.tags),
        },
        "inputs": {"dataset_inputs": list(inputs), "model_inputs": []},
        "outputs": {"model_outputs": [{"model_id": one.id, "step": 0} for one in facts.models]},
    }


def info_json(subject: Subject) -> Json:
    """Write what a run is."""
    written = {
        "run_id": subject.run_id,
        "run_uuid": subject.run_id,
        "run_name": subject.name,
        "experiment_id": subject.experiment,
        "user_id": subject.user,
        "status": subject.status,
        "start_time": subject.started_at_ms,
        "artifact_uri": root_of_run(subject),
        "lifecycle_stage": subject.stage,
    }
    return written if subject.ended_at_ms is None else {**written, "end_time": subject.ended_at_ms}


def experiment_json(experiment: TrackedExperiment, tags: Mapping[str, str]) -> Json:
    """Write an experiment."""
    return {
        "experiment_id": experiment.id,
        "name": experiment.name,
        "artifact_location": "mlflow-artifacts:/runs",
        "lifecycle_stage": experiment.stage,
        "creation_time": experiment.created_at_ms,
        "last_update_time": experiment.changed_at_ms,
        "tags": pairs_json(tags),
    }


def model_json(model: TrackedModel, told: Told) -> Json:
    """Write a model."""
    info = {
        "model_id": model.id,
        "experiment_id": model.experiment,
        "name": model.name,
        "creation_timestamp_ms": model.created_at_ms,
        "last_updated_timestamp_ms": model.changed_at_ms,
        "artifact_uri": root_of_model(model),
        "status": model.status,
        "model_type": model.kind,
        "tags": pairs_json(told.tags),
    }
    if model.run is not None:
        info["source_run_id"] = mlflow_id(model.run)
    metrics = [metric_json(last) for _, last in sorted(told.metrics.items())]
    return {"info": info, "data": {"params": pairs_json(told.params), "metrics": metrics}}


def files_json(files: Iterable[Listed], inner: str = "") -> list[Json]:
    """Write what lies in a folder, each with its path from where `inner` begins."""
    written = []
    for one in files:
        told: Json = {"path": f"{inner}/{one.name}".lstrip("/"), "is_dir": one.size_bytes is None}
        written.append(told if one.size_bytes is None else {**told, "file_size": one.size_bytes})
    return written
