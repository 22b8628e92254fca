"""Hold a worker's place in Ray: the actor in which its agent lives.

The agent is a process of its own below the actor, for an actor's process has threads and cannot be
forked, and Ray ends it without a word where a node is lost or memory is short. The agent watches
the actor and ends the worker's whole tree when that is gone; the actor watches the agent and sweeps
up what an agent that was killed has left.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from makeway.executor import folder as files
from makeway.executor.adoption import swept
from makeway.executor.envoy import Terms
from makeway.executor.folder import LAUNCH, read_exit
from makeway.model.record import Exit

# What Ray says to its own worker process alone; OMP_NUM_THREADS is its guess for that one.
RAYS_OWN = ("RAY_JOB_ID", "RAY_RAYLET_PID", "RAY_LD_PRELOAD_ON_WORKERS", "SPT_NOENV",
            "PYTHONBREAKPOINT", "OMP_NUM_THREADS")  # fmt: skip
BORN_BEFORE = 3


class Seat:
    """One worker's place; Ray makes an actor of it."""

    def __init__(self, folder: str, terms: bytes) -> None:
        """Bring the agent to life."""
        self._folder = Path(folder)
        if not (self._folder / LAUNCH).exists():
            message = f"{folder} is not there: the store must lie where all nodes can reach it"
            raise FileNotFoundError(message)
        kept = {name: value for name, value in os.environ.items() if name not in RAYS_OWN}
        self._agent = subprocess.Popen(
            [sys.executable, "-m", "makeway.worker.seat", folder, str(os.getpid())],
            stdin=subprocess.PIPE,
            env=kept,  # it begins a session of its own
        )
        assert self._agent.stdin is not None, "it was asked for"
        self._agent.stdin.write(terms)
        self._agent.stdin.close()

    def begun(self) -> int:
        """Give the agent's pid: the seat is there."""
        return self._agent.pid

    def wait(self) -> bytes:
        """Wait until nobody lives here any more, and say how the worker ended."""
        code = self._agent.wait()
        if code == BORN_BEFORE:
            message = "another agent was brought to life for this worker before"
            raise RuntimeError(message)
        return self._ended()

    def sweep(self) -> bytes:
        """End whatever lives here, and say how the worker ended."""
        if read_exit(self._folder) is None:
            self._agent.send_signal(signal.SIGKILL)
        self._agent.wait()
        return self._ended()

    def _ended(self) -> bytes:
        ended: Exit = files.read_exit(self._folder) or swept(self._folder)
        return msgspec.json.encode(ended)


def encoded(terms: Terms) -> bytes:
    """Give terms as a seat takes them."""
    return msgspec.json.encode(terms)
