"""Hold a worker's place in Ray: the actor in which its agent lives.

The agent is a process of its own, for an actor's process has threads and cannot be forked, and Ray
ends it without a word where a node is lost or memory is short. It is no child of the actor either:
whoever dies as a worker process of Ray kills its children first, and then nobody would be left to
end the user's program. The agent watches the actor and ends the worker's whole tree when that is
gone; the actor watches the agent and sweeps up what an agent that was killed has left.

Ray imports this in a fresh process for each worker, so it takes only what the beginning needs.

Cost:    an agent takes 130 ms of a processor until it has called, an actor of Ray about 600 ms
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from makeway.version import __version__

# What Ray says to its own worker process alone; OMP_NUM_THREADS is its guess for that one.
RAYS_OWN = ("RAY_JOB_ID", "RAY_RAYLET_PID", "RAY_LD_PRELOAD_ON_WORKERS", "SPT_NOENV",
            "PYTHONBREAKPOINT", "OMP_NUM_THREADS")  # fmt: skip
LAUNCH, EXIT = "launch.json", "exit.json"  # as `folder` has them


class Seat:
    """One worker's place; Ray makes an actor of it."""

    def __init__(self, folder: str, terms: bytes) -> None:
        """Bring the agent to life."""
        self._folder = Path(folder)
        if not (self._folder / LAUNCH).exists():
            message = f"{folder} is not there: the store must lie where all nodes can reach it"
            raise FileNotFoundError(message)
        kept = {name: value for name, value in os.environ.items() if name not in RAYS_OWN}
        born = subprocess.run(
            [sys.executable, "-m", "makeway.worker.seat", folder, str(os.getpid())],
            input=terms,
            stdout=subprocess.PIPE,
            env=kept,
            check=False,
        )
        if born.returncode != 0:
            message = "another agent was brought to life for this worker before, or it could not be"
            raise RuntimeError(message)
        self._pid = int(born.stdout)
        self._agent: int | None = None
        with contextlib.suppress(ProcessLookupError):  # it has been killed already
            self._agent = os.pidfd_open(self._pid)

    def begun(self) -> int:
        """Give the agent's pid: the seat is there."""
        return self._pid

    def wait(self) -> bytes:
        """Wait until nobody lives here any more, and say how the worker ended."""
        if self._agent is not None:
            gone = select.poll()
            gone.register(self._agent, select.POLLIN)
            gone.poll()
        return _ended(self._folder)

    def sweep(self) -> bytes:
        """End whatever lives here, and say how the worker ended."""
        if self._agent is not None and not (self._folder / EXIT).exists():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._agent, signal.SIGKILL)
        return self.wait()


def _ended(folder: Path) -> bytes:
    import msgspec

    from makeway.executor.adoption import swept
    from makeway.executor.folder import read_exit

    return msgspec.json.encode(read_exit(folder) or swept(folder))


def seen(path: str) -> tuple[str, bool]:
    """Say on a node which version is there, and whether it sees a path."""
    return __version__, Path(path).exists()
