"""Start a worker's program: prepare its environment, its output, its descriptors, and let it go.

A command line is executed. Where nothing has to be set between the fork and the program, it is
spawned (vfork inside): that copies no page tables, and costs a third. A Python step is called in a
fork of this process, which has the user's file imported already (or, if that file cannot be forked,
in a fresh interpreter).

Raises:  OSError, from `start_program`: why the program could not be executed; nothing of it ran
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import time
from pathlib import Path

import msgspec

from makeway.executor import tracking
from makeway.executor.folder import LOG, NOTICE, checkpoints
from makeway.executor.gpus import VISIBLE, named
from makeway.executor.protocol import Go, Launch
from makeway.failpoint import reach
from makeway.worker.account import SECRET, Account, become
from makeway.worker.limits import MemoryLimit, pin

RESET = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)


class Starting(msgspec.Struct, frozen=True, kw_only=True):
    """All that the start of a program needs.

    `executable` is the file that argv[0] names, `close` are descriptors that are not its business.
    """

    folder: Path
    launch: Launch
    go: Go
    executable: str
    cold: bool
    lock: int
    limit: MemoryLimit
    account: Account | None
    close: tuple[int, ...]

    @property
    def plain(self) -> bool:
        """Say whether nothing has to be done between the fork and the program."""
        launch = self.launch
        return not (launch.program.call or launch.processors or self.limit.there or self.account)


def start_program(starting: Starting) -> int:
    """Start the worker and give its pid."""
    # The lock is held while the worker itself lives.
    os.set_inheritable(starting.lock, True)  # noqa: FBT003 - the os module's own
    if starting.plain:
        return _spawn(starting)
    said, say = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        os.close(said)
        try:
            _become(starting, say)
        finally:
            os._exit(127)  # only reached when exec failed; whoever reads the pipe knows why
    os.close(say)
    with os.fdopen(said, "rb") as file:
        problem = file.read()
    if problem:
        os.waitpid(pid, 0)
        raise OSError(*msgspec.json.decode(problem, type=tuple[int, str, str]))
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
        "MAKEWAY_GENERATION": launch.generation + 1,
        "MAKEWAY_GEN": launch.generation + 1,
        "MAKEWAY_FENCE": launch.fence,
        "MAKEWAY_MIN": launch.workers_min,
        "MAKEWAY_MAX": launch.workers_max,
        "MAKEWAY_DIR": starting.folder,
        "MAKEWAY_NOTICE": starting.folder / NOTICE,
        "MAKEWAY_CHECKPOINT": checkpoints(starting.folder),
        "MAKEWAY_STORE": launch.store,
        "PYTHONUNBUFFERED": 1,
    }
    if launch.workers > 1 and "OMP_NUM_THREADS" not in os.environ:
        own["OMP_NUM_THREADS"] = 1
    if launch.time_limit_ms is not None:
        own["MAKEWAY_DEADLINE"] = round(time.time() + launch.time_limit_ms / 1000, 3)
    if launch.devices is not None:
        own[VISIBLE] = named(launch.devices, os.environ)
    variables = {**os.environ, **{name: str(value) for name, value in own.items()}}
    if starting.account is not None:
        for name in SECRET:
            variables.pop(name, None)
        variables.update(starting.account.variables())
    everything = {**variables, **launch.environment, **launch.program.environment}
    return {**tracking.variables(launch, everything), **everything}


def _spawn(starting: Starting) -> int:
    log = str(starting.folder / LOG)
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    program, executable = starting.launch.program, starting.executable
    try:
        return os.posix_spawn(
            executable,
            program.argv,
            environment(starting),
            file_actions=files,
            setpgroup=0,
            setsigdef=RESET,
        )
    except OSError as error:
        raise _told(error, program.argv[0]) from None


def _told(error: OSError, name: str) -> OSError:
    """Say of a program that is there, and may be executed, why it cannot be."""
    number = error.errno or errno.EIO
    what = {
        errno.ENOEXEC: "this is no program, and its first line names none to run it (#!)",
        errno.ENOENT: "the program that is to run it (its first line, or its loader) is not there",
    }.get(number, error.strerror or str(error))
    return OSError(number, what, name)


def _become(starting: Starting, say: int) -> None:
    launch = starting.launch
    program = launch.program
    try:
        os.setpgid(0, 0)
        for number in RESET:
            signal.signal(number, signal.SIG_DFL)
        for descriptor in starting.close:
            os.close(descriptor)
        _redirect(starting.folder, starting.account)
        variables = environment(starting)
        pin(launch.processors)
        starting.limit.enter()
        if starting.account is not None:
            become(starting.account)
            os.chdir(program.directory or ".")  # may they, too?
        reach("program.exec.before")
        if program.call is None:
            _execute(starting.executable, program.argv, variables)
        elif starting.cold:
            own = (sys.executable, "-m", "makeway.worker.runner", str(starting.folder))
            _execute(sys.executable, own, variables)
    except OSError as error:
        row = (error.errno or errno.EIO, error.strerror or str(error), str(error.filename or ""))
        os.write(say, msgspec.json.encode(row))
        os._exit(127)
    os.close(say)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # as in any Python program
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(variables)
    from makeway.worker.runner import run_step  # the zygote has it; no agent elsewhere needs it

    run_step(starting.folder, launch)


def _redirect(folder: Path, account: Account | None) -> None:
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
    if account is not None and os.fstat(log).st_nlink == 1:  # theirs, unless it is a trap
        os.fchown(log, account.uid, account.gid)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for descriptor in {log, empty} - {0, 1, 2}:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _execute(executable: str, argv: tuple[str, ...], variables: dict[str, str]) -> None:
    try:
        os.execve(executable, argv, variables)  # noqa: S606 - no shell is wanted
    except OSError as error:
        raise _told(error, argv[0]) from None
