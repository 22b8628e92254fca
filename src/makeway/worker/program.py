"""Start a worker's program: prepare its environment, its output, its descriptors, and let it go.

A command line is executed; a Python step is called in a fork of this process, which has the user's
file imported already (or, if that file cannot be forked, in a fresh interpreter).
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import msgspec

from makeway.executor.folder import LOG, NOTICE
from makeway.executor.protocol import Go, Launch
from makeway.worker.runner import run_step


class Starting(msgspec.Struct, frozen=True, kw_only=True):
    """All that the start of a program needs; `close` are descriptors that are not its business."""

    folder: Path
    launch: Launch
    go: Go
    cold: bool
    lock: int
    close: tuple[int, ...]


def start_program(starting: Starting) -> int:
    """Fork the worker and give its pid; in the child this never returns."""
    pid = os.fork()
    if pid == 0:
        try:
            _become(starting)
        finally:
            os._exit(127)  # only reached when exec failed; its reason is in the log
    return pid


def environment(starting: Starting) -> dict[str, str]:
    """Give what torchrun gives, and makeway's own; RANK is not stable over restarts."""
    launch, go = starting.launch, starting.go
    own = {
        "RANK": launch.rank,
        "LOCAL_RANK": launch.local_rank,
        "WORLD_SIZE": launch.workers,
        "LOCAL_WORLD_SIZE": launch.local_workers,
        "GROUP_RANK": launch.node_rank,
        "GROUP_WORLD_SIZE": launch.nodes,
        "ROLE_NAME": "default",
        "ROLE_RANK": launch.rank,
        "ROLE_WORLD_SIZE": launch.workers,
        "MASTER_ADDR": go.address,
        "MASTER_PORT": go.port,
        "TORCHELASTIC_RUN_ID": launch.job,
        "TORCHELASTIC_RESTART_COUNT": launch.number - 1,
        "TORCHELASTIC_MAX_RESTARTS": 0,
        "TORCHELASTIC_USE_AGENT_STORE": "False",
        "TORCHELASTIC_ERROR_FILE": starting.folder / "torch_error.json",
        "TORCHELASTIC_SIGNALS_TO_HANDLE": "SIGTERM,SIGINT,SIGHUP,SIGQUIT",
        "TORCH_NCCL_ASYNC_ERROR_HANDLING": 1,
        "MAKEWAY_JOB": launch.job,
        "MAKEWAY_RUN": launch.run or "",
        "MAKEWAY_STEP": launch.step or "",
        "MAKEWAY_ATTEMPT": launch.number,
        "MAKEWAY_GENERATION": 1,
        "MAKEWAY_FENCE": launch.fence,
        "MAKEWAY_MIN": launch.workers_min,
        "MAKEWAY_MAX": launch.workers_max,
        "MAKEWAY_DIR": starting.folder,
        "MAKEWAY_NOTICE": starting.folder / NOTICE,
        "MAKEWAY_CHECKPOINT": starting.folder.parent.parent / "checkpoint",
        "MAKEWAY_STORE": launch.store,
        "PYTHONUNBUFFERED": 1,
    }
    if launch.workers > 1 and "OMP_NUM_THREADS" not in os.environ:
        own["OMP_NUM_THREADS"] = 1
    given = launch.program.environment
    return {**os.environ, **{name: str(value) for name, value in own.items()}, **given}


def _become(starting: Starting) -> None:
    program = starting.launch.program
    os.setpgid(0, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    for descriptor in starting.close:
        os.close(descriptor)
    # The lock is held while the worker itself lives.
    os.set_inheritable(starting.lock, True)  # noqa: FBT003 - the os module's own
    _redirect(starting.folder)
    variables = environment(starting)
    if program.directory:
        os.chdir(program.directory)
    if program.call is None:
        _execute(program.argv, variables)
    elif starting.cold:
        _execute((sys.executable, "-m", "makeway.worker.runner", str(starting.folder)), variables)
    else:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # as in any Python program
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(variables)
        run_step(starting.folder, starting.launch)


def _redirect(folder: Path) -> None:
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.close(empty)


def _execute(argv: tuple[str, ...], variables: dict[str, str]) -> None:
    try:
        os.execvpe(argv[0], argv, variables)  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(2, f"makeway: cannot execute {argv[0]}: {error.strerror}\n".encode())
