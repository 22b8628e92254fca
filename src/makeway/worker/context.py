"""Tell a step who it is, and let it keep a model."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from makeway.executor.folder import DIAGNOSIS
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

    @property
    def deadline_left(self) -> float | None:
        """Give the seconds until this worker is ended: its time limit, or the notice that it got."""
        ends = [float(os.environ["MAKEWAY_DEADLINE"])] if os.environ.get("MAKEWAY_DEADLINE") else []
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            notice = json.loads(Path(os.environ["MAKEWAY_NOTICE"]).read_bytes())
            if notice["cause"] != "resize":
                ends.append(notice["deadline_ms"] / 1000)
        return max(0.0, min(ends) - time.time()) if ends else None

    @property
    def last_diagnosis(self) -> dict[str, object] | None:
        """Say why the attempt before this one ended: its `cause`, `text`, and more; None at first."""
        folder = os.environ.get("MAKEWAY_DIR")
        if not folder or self.attempt < 2:
            return None
        place = Path(folder).parent.parent / str(self.attempt - 1)
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((place / DIAGNOSIS).read_bytes())
            return found if isinstance(found, dict) else None
        return None


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
