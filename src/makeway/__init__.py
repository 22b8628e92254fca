"""makeway operates machine learning on a shared cluster: who runs now, and it failed, what now.

    import makeway as mw

    @mw.step(cpus=1)
    def ingest() -> list[str]: ...

    @mw.workflow
    def flow():
        return report(ingest())

Everything is imported when it is first used, so that `import makeway` costs a script nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from makeway.version import __version__ as __version__

if TYPE_CHECKING:
    from makeway.client.client import connect as connect
    from makeway.errors import DataLost as DataLost
    from makeway.errors import OutOfMemory as OutOfMemory
    from makeway.errors import Permanent as Permanent
    from makeway.errors import Retry as Retry
    from makeway.model.workflow import Cache as Cache
    from makeway.model.workflow import Failure as Failure
    from makeway.model.workflow import Goal as Goal
    from makeway.worker.artifact import File as File
    from makeway.worker.artifact import Model as Model
    from makeway.worker.context import current as current
    from makeway.worker.context import log_model as log_model
    from makeway.worker.noting import data_available as data_available
    from makeway.worker.noting import log_artifact as log_artifact
    from makeway.worker.noting import log_artifacts as log_artifacts
    from makeway.worker.noting import log_input as log_input
    from makeway.worker.noting import log_param as log_param
    from makeway.worker.noting import log_params as log_params
    from makeway.worker.noting import set_tag as set_tag
    from makeway.worker.noting import set_tags as set_tags
    from makeway.worker.phases import expect_steps as expect_steps
    from makeway.worker.phases import phase as phase
    from makeway.worker.recorder import log_metric as log_metric
    from makeway.worker.recorder import log_metrics as log_metrics
    from makeway.worker.recorder import progress as progress
    from makeway.worker.saving import checkpoint as checkpoint
    from makeway.workflows.command import command as command
    from makeway.workflows.define import step as step
    from makeway.workflows.define import workflow as workflow
    from makeway.workflows.fan_in import gather as gather
    from makeway.workflows.fan_in import select_top as select_top
    from makeway.workflows.fan_in import when as when
    from makeway.workflows.ruling import Rule as Rule
    from makeway.workflows.ruling import Stop as Stop

HOMES = {
    "connect": "makeway.client.client",
    "DataLost": "makeway.errors",
    "OutOfMemory": "makeway.errors",
    "Permanent": "makeway.errors",
    "Cache": "makeway.model.workflow",
    "Failure": "makeway.model.workflow",
    "Retry": "makeway.errors",
    "Goal": "makeway.model.workflow",
    "File": "makeway.worker.artifact",
    "Model": "makeway.worker.artifact",
    "current": "makeway.worker.context",
    "log_model": "makeway.worker.context",
    "data_available": "makeway.worker.noting",
    "log_artifact": "makeway.worker.noting",
    "log_artifacts": "makeway.worker.noting",
    "log_input": "makeway.worker.noting",
    "log_param": "makeway.worker.noting",
    "log_params": "makeway.worker.noting",
    "set_tag": "makeway.worker.noting",
    "set_tags": "makeway.worker.noting",
    "expect_steps": "makeway.worker.phases",
    "phase": "makeway.worker.phases",
    "log_metric": "makeway.worker.recorder",
    "log_metrics": "makeway.worker.recorder",
    "progress": "makeway.worker.recorder",
    "gather": "makeway.workflows.fan_in",
    "select_top": "makeway.workflows.fan_in",
    "command": "makeway.workflows.command",
    "checkpoint": "makeway.worker.saving",
    "step": "makeway.workflows.define",
    "when": "makeway.workflows.fan_in",
    "Rule": "makeway.workflows.ruling",
    "Stop": "makeway.workflows.ruling",
    "workflow": "makeway.workflows.define",
}

__all__ = [*HOMES, "__version__"]  # noqa: PLE0604 - ruff cannot see that HOMES holds names


if not TYPE_CHECKING:  # to a type checker it would say that every name is there

    def __getattr__(name: str) -> object:
        if name not in HOMES:
            message = f"module 'makeway' has no attribute {name!r}"
            raise AttributeError(message)
        value = getattr(importlib.import_module(HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
