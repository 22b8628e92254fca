"""Import a user's file, find the workflow in it, and build it.

The file's folder is put first on the path, as Python does for a script, and the module bears the
file's name, so that what it pickles can be found again by the next step.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from makeway.errors import (
    Conflict,
    InvalidInput,
    InvalidWorkflow,
    MakewayError,
    NotFound,
    Unavailable,
)
from makeway.executor.protocol import FRAME_MAX
from makeway.model.workflow import Workflow
from makeway.store.blobs import Blobs
from makeway.worker.environment import with_environments
from makeway.worker.values import encode
from makeway.workflows import build
from makeway.workflows.define import WorkflowFunction, step_in
from makeway.workflows.handle import is_library


def load_file(file: Path) -> None:
    """Import the file once; what goes wrong is told with its line."""
    name = file.stem
    known = sys.modules.get(name)
    if known is not None:
        if _same_file(getattr(known, "__file__", None), file):
            return
        problem = f"its name clashes with the module {name!r} that Python has loaded already"
        raise InvalidWorkflow(problem, where=str(file), hint="rename the file")
    spec = importlib.util.spec_from_file_location(name, file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise InvalidWorkflow("there is no such Python file", where=str(file))
    path_before = list(sys.path)
    if str(file.parent) not in sys.path[:1]:
        sys.path.insert(0, str(file.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(name, None)
        sys.path[:] = path_before
        if isinstance(error, KeyboardInterrupt):
            raise
        raise _not_run(error, file, "it cannot be imported: ") from error


def build_workflow(
    file: Path, workflow: str | None, params: dict[str, str], store: Path
) -> Workflow:
    """Build the workflow of a file, and make sure that each of its steps can be found again."""
    load_file(file)
    chosen = _choose(file, workflow)
    blobs = Blobs(store)
    try:
        built = build.build_workflow(chosen, str(file), params, lambda value: encode(value, blobs))
    except (Exception, SystemExit) as error:
        raise _not_run(error, file, f"workflow {chosen.name}: ") from error
    for step in built.steps:
        if step.select is None and not step.command:
            find_step(file, step.function)
    built = with_environments(built, file)
    _be_sent(built)
    return built


def find_step(file: Path, function: str) -> Callable[..., Any]:
    """Find the function of a step: `name` in its file, or `module:name`."""
    load_file(file)
    module, _, name = function.rpartition(":")
    try:
        thing: Any = importlib.import_module(module) if module else sys.modules[file.stem]
    except (Exception, SystemExit) as error:
        raise _not_run(error, file, f"{module} cannot be imported: ") from error
    for part in name.split("."):
        thing = getattr(thing, part, None)
    found = step_in(thing)
    if found is None:
        problem = f"step {function} cannot be found again in this file by its name"
        hint = "define steps at the top level of the file, not inside a function"
        raise InvalidWorkflow(problem, where=str(file), hint=hint)
    return found.function


def _same_file(one: str | None, other: Path) -> bool:
    try:
        return one is not None and Path(one).samefile(other)
    except OSError:
        return False


def _choose(file: Path, wanted: str | None) -> WorkflowFunction[..., Any]:
    """Find the workflow that is meant: by the name it has in the file, or that of its function."""
    there = {
        name: value
        for name, value in vars(sys.modules[file.stem]).items()
        if isinstance(value, WorkflowFunction)
    }
    several = {id(value): value for value in there.values()}
    own = {key: value for key, value in several.items() if value.function.__module__ == file.stem}
    names = ", ".join(sorted(there)) or "none"
    if wanted is None:
        # One that was imported is a part of the file's own, unless there is no other.
        meant = list((own or several).values())
        problem = f"it must be said which workflow is meant; there are: {names}"
        hint = f"makeway run {file.name}:NAME"
        if not there:
            problem, hint = "there is no workflow in it", "decorate a function with @mw.workflow"
    else:
        by_function = [value for value in several.values() if value.name == wanted]
        meant = [there[wanted]] if wanted in there else by_function
        problem, hint = f"there is no workflow {wanted!r} in it; there are: {names}", ""
    if len(meant) != 1:
        raise InvalidWorkflow(problem, where=str(file), hint=hint)
    return meant[0]


def _be_sent(workflow: Workflow) -> None:
    """Make sure that the workflow arrives at the controller as it is: anything else hangs there."""
    try:
        message = msgspec.msgpack.encode(workflow)
        arrived = msgspec.msgpack.decode(message, type=Workflow)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        problem = f"workflow {workflow.name} cannot be written down: {error}"
        raise InvalidWorkflow(problem, where=workflow.file) from error
    if len(message) > FRAME_MAX // 2:
        problem = f"workflow {workflow.name} is too large: {len(message)} bytes for all its steps"
        hint = "let a step make what is passed to the others"
        raise InvalidWorkflow(problem, where=workflow.file, hint=hint)
    assert arrived == workflow, "what a workflow is made of has one form only"


def _not_run(error: BaseException, file: Path, prefix: str) -> MakewayError:
    """Say in one sentence what the user's own code did, and at which of its lines."""
    if isinstance(error, InvalidInput) and error.where:
        return error
    if isinstance(error, NotFound | Conflict | Unavailable):  # no fault of the file
        return error
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if Path(frame.filename).is_relative_to(file.parent) and not is_library(frame.filename)
    ]
    where = f"{own[-1].filename}:{own[-1].lineno}" if own else str(file)
    said, hint = f"{type(error).__name__}: {error}", ""
    match error:
        case MakewayError():
            said, hint = error.problem, error.hint
        case SyntaxError() if error.filename and Path(error.filename).is_file():
            where = f"{error.filename}:{error.lineno or 1}"
            said = f"{type(error).__name__}: {error.msg}"
        case SystemExit():
            code = "" if error.code is None else repr(error.code)
            said = f"it ends the program, with exit({code})"
            hint = 'put what a script does by itself under: if __name__ == "__main__":'
        case _:
            pass
    return InvalidWorkflow(prefix + said, where=where, hint=hint)
