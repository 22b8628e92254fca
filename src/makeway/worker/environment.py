"""Name the environment that a step is computed in, where its cache wants to know.

It is what is installed, by name and version, or the content of a lock file beside the workflow.
Looked at when the workflow is built, by the interpreter that its workers are forked from.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import distributions
from pathlib import Path

from msgspec.structs import replace

from makeway.errors import InvalidWorkflow
from makeway.model.workflow import Step, Workflow
from makeway.workflows.check import INSTALLED


def with_environments(workflow: Workflow, file: Path) -> Workflow:
    """Write into each step whose cache looks at its environment which one that is."""
    known: dict[str, str] = {}
    steps = tuple(_with_environment(step, file, known) for step in workflow.steps)
    return replace(workflow, steps=steps)


def _with_environment(step: Step, file: Path, known: dict[str, str]) -> Step:
    if step.cache is None or not step.cache.lock:
        return step
    lock = step.cache.lock
    if lock not in known:
        known[lock] = _installed() if lock == INSTALLED else _read(file.parent / lock, step)
    return replace(step, cache=replace(step.cache, environment=known[lock]))


def _installed() -> str:
    there = sorted({f"{one.name}=={one.version}" for one in distributions()})
    return hashlib.sha256("\n".join(there).encode()).hexdigest()


def _read(path: Path, step: Step) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        problem = f"step {step.key}: its lock cannot be read: {error.strerror or error}"
        raise InvalidWorkflow(problem, where=str(path)) from error
