"""Import a user's file, find the workflow in it, and build it.

The file's folder is put first on the path, as Python does for a script, and the module bears the
file's name, so that what it pickles can be found again by the next step.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from makeway.errors import InvalidWorkflow, MakewayError
from makeway.model.workflow import Workflow
from makeway.store.blobs import Blobs
from makeway.worker.values import encode
from makeway.workflows import build
from makeway.workflows.define import StepFunction, WorkflowFunction


def load_file(file: Path) -> None:
    """Import the file once; what goes wrong is told with its line."""
    name = file.stem
    known = sys.modules.get(name)
    if known is not None:
        if Path(getattr(known, "__file__", None) or "") == file:
            return
        problem = f"its name clashes with the module {name!r} that Python has loaded already"
        raise InvalidWorkflow(problem, where=str(file), hint="rename the file")
    spec = importlib.util.spec_from_file_location(name, file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise InvalidWorkflow("there is no such Python file", where=str(file))
    sys.path.insert(0, str(file.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt):
            raise
        raise _not_imported(error, file) from error


def build_workflow(
    file: Path, workflow: str | None, params: dict[str, str], store: Path
) -> Workflow:
    """Build the workflow of a file, and make sure that each of its steps can be found again."""
    load_file(file)
    chosen = _choose(file, workflow)
    blobs = Blobs(store)
    try:
        built = build.build_workflow(chosen, str(file), params, lambda value: encode(value, blobs))
    except MakewayError:
        raise
    except Exception as error:
        raise _not_imported(error, file, f"workflow {chosen.name}: ") from error
    for step in built.steps:
        if step.select is None:
            find_step(file, step.function)
    return built


def find_step(file: Path, function: str) -> Callable[..., object]:
    """Find the function of a step in its file."""
    load_file(file)
    thing: Any = sys.modules[file.stem]
    for part in function.split("."):
        thing = getattr(thing, part, None)
    if not isinstance(thing, StepFunction):
        problem = f"step {function} cannot be found again in this file by its name"
        hint = "define steps at the top level of the file, not inside a function"
        raise InvalidWorkflow(problem, where=str(file), hint=hint)
    return cast("Callable[..., object]", thing.function)


def _choose(file: Path, wanted: str | None) -> WorkflowFunction[..., Any]:
    module = sys.modules[file.stem]
    there = {
        value.name: value for value in vars(module).values() if isinstance(value, WorkflowFunction)
    }
    names = ", ".join(there) or "none"
    if wanted is None:
        if len(there) == 1:
            return next(iter(there.values()))
        problem = f"it must be said which workflow is meant; there are: {names}"
        hint = f"makeway run {file.name}:NAME" if there else "decorate a function with @mw.workflow"
        raise InvalidWorkflow(problem, where=str(file), hint=hint)
    if wanted not in there:
        problem = f"there is no workflow {wanted!r} in it; there are: {names}"
        raise InvalidWorkflow(problem, where=str(file))
    return there[wanted]


def _not_imported(error: BaseException, file: Path, prefix: str = "") -> MakewayError:
    if isinstance(error, MakewayError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(str(file.parent))]
    where = f"{own[-1].filename}:{own[-1].lineno}" if own else str(file)
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}"
    return InvalidWorkflow(f"{prefix}{type(error).__name__}: {error}", where=where)
