"""Tell a step who it is, and let it keep a model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from makeway.store.blobs import Blobs
from makeway.worker.artifact import Model
from makeway.worker.noting import tell_artifact
from makeway.worker.recorder import current as recorder
from makeway.worker.recorder import log_metrics
from makeway.worker.values import encode_model, stored_model


class Current:
    """Who runs here: `mw.current`. Outside makeway there is one worker and nothing else."""

    @property
    def run(self) -> str | None:
        """Name the run."""
        return os.environ.get("MAKEWAY_RUN") or None

    @property
    def step(self) -> str | None:
        """Name the step in its run."""
        return os.environ.get("MAKEWAY_STEP") or None

    @property
    def attempt(self) -> int:
        """Count the attempts: 1 for the first try."""
        return int(os.environ.get("MAKEWAY_ATTEMPT", "1"))

    @property
    def rank(self) -> int:
        """Give this worker's rank. It may be another one after a restart."""
        return int(os.environ.get("RANK", "0"))

    @property
    def workers(self) -> int:
        """Count the workers of this attempt."""
        return int(os.environ.get("WORLD_SIZE", "1"))


current = Current()


def log_model(obj: object, name: str, metrics: Mapping[str, float] | None = None) -> Model:
    """Keep a model under a name, with its final metrics, and give the artifact to pass on.

    `obj` is whatever `Model.load` shall give back: usually a state dict and what it takes to
    build the module for it. A `Model` is kept under the new name with the new metrics.
    """
    model = Model(name, metrics, value=obj)
    active = recorder()
    if active is None:
        return model
    log_metrics(model.metrics)
    store = Path(os.environ["MAKEWAY_STORE"])
    output = encode_model(model, Blobs(store))
    tell_artifact(active, output)
    return stored_model(output, store)
