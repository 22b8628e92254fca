"""What scripts ask of MLflow, recorded by makeway: `import makeway.compat.mlflow as mlflow`.

For a script that cannot have MLflow installed; one that has it needs no change (its own client talks
to makeway). Experiments and runs become tags: a step is the run. Outside makeway nothing is recorded.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from makeway.worker import noting, recorder
from makeway.worker.context import log_model as _log_model

log_param, log_params, log_artifact = noting.log_param, noting.log_params, noting.log_artifact
set_tag, set_tags, log_input = noting.set_tag, noting.set_tags, noting.log_input


def log_metric(key: str, value: float, step: int | None = None, **_more: Any) -> None:  # noqa: ANN401
    """Record a value of a metric."""
    recorder.log_metric(key, value, step)


def log_metrics(metrics: Mapping[str, float], step: int | None = None, **_more: Any) -> None:  # noqa: ANN401
    """Record several."""
    recorder.log_metrics(metrics, step)


def log_artifacts(local_dir: str, artifact_path: str = "") -> None:
    """Keep each file below a folder."""
    noting.log_artifacts(local_dir, artifact_path or "")


def log_text(text: str, artifact_file: str) -> None:
    """Keep a text as an artifact of this name."""
    if recorder.current() is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "text")
        path.write_text(text, encoding="utf-8")
        noting.log_artifact(path, artifact_file)


def log_dict(dictionary: Any, artifact_file: str) -> None:  # noqa: ANN401 - what JSON has
    """Keep a dict as JSON under this name."""
    log_text(json.dumps(dictionary, indent=2, default=str), artifact_file)


def log_model(model: object, name: str = "model", **_more: Any) -> object:  # noqa: ANN401
    """Keep a model."""
    return _log_model(model, name)


class ActiveRun:
    """The step that runs here, as a run of MLflow; its `info.run_id` names it."""

    def __init__(self) -> None:
        """Take the name of the step."""
        self.run_id = os.environ.get("MAKEWAY_JOB", "")
        self.info = self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        end_run()


def start_run(run_name: str | None = None, tags: Mapping[str, Any] | None = None,
              **_more: Any) -> ActiveRun:  # fmt: skip  # noqa: ANN401
    """Begin; a run in a run is the same step."""
    if run_name:
        noting.set_tag("mlflow.runName", run_name)
    noting.set_tags(tags or {})
    return ActiveRun()


def active_run() -> ActiveRun | None:
    """Give this step, in makeway."""
    return None if recorder.current() is None else ActiveRun()


def end_run(*_given: Any, **_more: Any) -> None:  # noqa: ANN401 - whatever it is given
    """Send what is kept; the step ends when its program does."""
    active = recorder.current()
    if active is not None:
        active.flush(1.0)


def set_experiment(experiment_name: str | None = None, **_more: Any) -> None:  # noqa: ANN401
    """Say which experiment this belongs to, as a tag."""
    if experiment_name:
        noting.set_tag("experiment", experiment_name)


def set_tracking_uri(*_given: Any) -> None:  # noqa: ANN401 - an address that is not needed
    """Do nothing: what is recorded goes to makeway."""


def autolog(*_given: Any, **_more: Any) -> None:  # noqa: ANN401 - whatever it is given
    """Do nothing: MLflow itself, installed, logs by itself."""
