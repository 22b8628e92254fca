"""Be the agent of a worker on a node that is not the controller's.

Started as `python -m makeway.worker.seat FOLDER PID`, where PID is the process that holds the
worker's place; what there is to know of the controller comes on standard input, so that no
environment that a program could read has it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from makeway.executor.folder import AGENT, EXIT, try_lock
from makeway.worker.agent import run_agent
from makeway.worker.contact import Remote, Seated

BORN_BEFORE = 3


def main() -> None:
    """Take the lock, unless somebody had it before, and be the agent."""
    folder, seat = Path(sys.argv[1]), int(sys.argv[2])
    told = msgspec.json.decode(sys.stdin.buffer.read())
    seated = msgspec.convert({**told, "seat": seat}, Seated)
    _no_input()
    lock = try_lock(folder)
    if lock is None or (folder / AGENT).exists() or (folder / EXIT).exists():
        sys.exit(BORN_BEFORE)
    run_agent(folder, lock, "", Remote(seated))


def _no_input() -> None:
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)


if __name__ == "__main__":
    main()
