"""Run one step in the worker's own process: arguments in, function, output and report out.

Everything that the outside must know is a file in the worker's folder when this process ends: the
report if the step ended well, the exception if one ended it. The agent reads them and owns the end.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from types import TracebackType

from makeway.errors import MakewayError, NotFound
from makeway.executor.folder import ERROR, LAUNCH, REPORT, read_whole, write_whole
from makeway.executor.protocol import Launch
from makeway.model.record import ErrorRecord, Frame, Output, Report
from makeway.model.workflow import Binding, Constant, Failure, Many, Stored
from makeway.worker import libraries, recorder
from makeway.worker.artifact import text
from makeway.worker.flowfile import find_step
from makeway.worker.holding import blobs_for
from makeway.worker.link import RECORDS
from makeway.worker.values import decode, encode
from makeway.workflows.define import call_by_name
from makeway.workflows.handle import is_library

FRAMES_KEPT = 50
OURS = str(Path(__file__).parents[1]) + "/"
MESSAGE_CHARS = 2_000


def run_step(folder: Path, launch: Launch) -> None:
    """Run the step and end this process with its exit code."""
    code = 1
    try:
        _fresh_streams()
        code = _run(folder, launch)
    finally:
        _leave(code)


def _run(folder: Path, launch: Launch) -> int:
    call = launch.program.call
    assert call is not None, "only steps are run here"
    file, store = Path(call.file), Path(launch.store)
    # Looked up now: what the step does to its environment does not matter at the end.
    active = recorder.current()
    libraries.meet()
    try:
        function = find_step(file, call.function)
        arguments = {name: _argument(name, each, store) for name, each in call.arguments.items()}
        value = call_by_name(function, arguments)
        kept = blobs_for(store, call.durability, folder / RECORDS)
        output = encode(value, kept) if launch.rank == 0 else None
        _report(folder, active, output)
    except SystemExit as error:
        code = _exit_code(error)
        if code == 0:  # ended well, without a value
            _report(folder, active, None)
        return code
    except BaseException as error:  # noqa: BLE001 - whatever ended it is to be written down
        traceback.print_exception(type(error), error, _own(error))
        write_whole(folder / ERROR, describe(error, file.parent))
        return 1
    return 0


def _report(folder: Path, active: recorder.Recorder | None, output: Output | None) -> None:
    report = Report(output=output) if active is None else active.report(output)
    write_whole(folder / REPORT, report)


def _argument(name: str, binding: Binding, store: Path) -> object:
    """Read an argument; one that was lost since the step was submitted is a missing file by name."""
    try:
        return resolve(binding, store)
    except NotFound as gone:
        raise FileNotFoundError(errno.ENOENT, gone.problem, name) from gone


def resolve(binding: Binding, store: Path) -> object:
    """Give the value behind a resolved argument."""
    match binding:
        case Constant(value):
            return value
        case Stored(output):
            return decode(output, store)
        case Many(items):
            return [resolve(item, store) for item in items]
        case Failure():
            return binding
        case _:
            message = f"an argument is not resolved: {binding}"
            raise AssertionError(message)


def _own(error: BaseException) -> TracebackType | None:
    """Leave out the first frames, which are ours: a user's log is about the user's code."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(OURS):
        trace = trace.tb_next
    return trace or error.__traceback__


def describe(error: BaseException, project: Path) -> ErrorRecord:
    """Write an exception down; frames under the project's folder are the user's own."""
    stack = traceback.extract_tb(error.__traceback__)[-FRAMES_KEPT:]
    number = error.errno if isinstance(error, OSError) else None
    return ErrorRecord(
        type=_name(type(error)),
        message=_message(error),
        bases=tuple(_name(base) for base in type(error).__mro__[1:-1]),
        errno=number if isinstance(number, int) else None,  # anybody may raise OSError("a", "b")
        frames=tuple(
            Frame(
                file=text(frame.filename),
                line=frame.lineno or 0,
                function=text(frame.name),
                user=Path(frame.filename).is_relative_to(project)
                and not is_library(frame.filename),
            )
            for frame in stack
        ),
        at_ms=time.time_ns() // 1_000_000,
    )


def _message(error: BaseException) -> str:
    try:
        said = error.problem if isinstance(error, MakewayError) else str(error)
        return text(said[:MESSAGE_CHARS])
    except Exception:  # noqa: BLE001 - `__str__` is the user's own code
        return "its message cannot be shown"


def _name(kind: type) -> str:
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return 1


def _fresh_streams() -> None:
    """Write line by line to the descriptors of this process, whatever the parent had buffered."""
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - as the interpreter does
    sys.stdout = open(1, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115


def _leave(code: int) -> None:
    """End as an interpreter does: join threads, run exit handlers, flush; then go at once."""
    with contextlib.suppress(BaseException):
        shutdown = getattr(threading, "_shutdown", None)
        if shutdown is not None:
            shutdown()
        atexit._run_exitfuncs()  # noqa: SLF001 - a forked child has no other way to run them
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    os._exit(code)


def main() -> None:
    """Run a step in a fresh interpreter: `python -m makeway.worker.runner FOLDER`."""
    folder = Path(sys.argv[1])
    launch = read_whole(folder / LAUNCH, Launch)
    assert launch is not None, "launch.json is written before the fork"
    run_step(folder, launch)


if __name__ == "__main__":
    main()
