"""Bring the agent of a worker to life on a node that may not be the controller's.

Started as `python -m makeway.worker.seat FOLDER PID`, where PID is the process that holds the
worker's place; what there is to know of the controller comes on standard input, so that no
environment that a program could read has it. It takes the lock, unless somebody had it before, and
prints the pid of the agent, which is nobody's child.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from makeway.executor.folder import AGENT, EXIT, try_lock
from makeway.failpoint import reach
from makeway.worker.agent import run_agent
from makeway.worker.contact import Remote, Seated

BORN_BEFORE = 3


def main() -> None:
    """Fork the agent."""
    folder, seat = Path(sys.argv[1]), int(sys.argv[2])
    told = msgspec.json.decode(sys.stdin.buffer.read())
    contact = Remote(msgspec.convert({**told, "seat": seat}, Seated))
    lock = try_lock(folder)
    if lock is None or (folder / AGENT).exists() or (folder / EXIT).exists():
        sys.exit(BORN_BEFORE)
    reach("seat.fork.before")
    pid = os.fork()
    if pid == 0:
        _let_go_of_pipes()
        try:
            run_agent(folder, lock, "", contact)
        finally:
            os._exit(1)
    reach("seat.fork.after")
    sys.stdout.write(str(pid))


def _let_go_of_pipes() -> None:
    """Read nothing, and print where errors go."""
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)


if __name__ == "__main__":
    main()
