"""Find out what has become of a worker that was launched before: it lives, or how it ended.

    exit.json is there          it ended so
    the lock is free            nobody lives there; without `begun` nothing of the user's has run,
                                without `agent.json` there was never anybody
    the agent lives             it is adopted: pid, start time and boot must all be the same
    agent.json is not there     the agent has only just been forked: it gets a moment to write it
    else                        the agent is gone and the worker holds the lock: it has nobody to
                                answer for it, and is swept away

Holds:   what is adopted is never a stranger who has the pid by now
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from makeway.executor import cgroups
from makeway.executor import folder as files
from makeway.executor.processes import boot_id, holders, kill_all, start_ticks
from makeway.executor.protocol import Launch
from makeway.model.record import Exit

SWEEP_S = 5.0
NEWBORN_S = 2.0


def find(folder: Path) -> int | Exit | None:
    """Give the agent's pid, or how its worker ended; None if it was never brought to life."""
    until = time.monotonic() + NEWBORN_S
    while True:
        ended = files.read_exit(folder)
        if ended is not None:
            return ended
        lock = files.try_lock(folder)
        if lock is not None:
            os.close(lock)
            if not (folder / files.AGENT).exists():
                return None
            return files.read_exit(folder) or swept(folder)
        agent = files.read_whole(folder / files.AGENT, files.AgentRecord)
        if agent is not None and _is_agent(agent):
            return agent.pid
        if agent is not None or time.monotonic() > until:
            return swept(folder)
        time.sleep(0.005)


def swept(folder: Path) -> Exit:
    """Kill whatever is left of a worker that lost its agent; say, and write down, how it ended."""
    launch = files.read_whole(folder / files.LAUNCH, Launch)
    cgroup = Path(launch.cgroup) if launch is not None and launch.cgroup else None
    marker = f"MAKEWAY_DIR={folder}\0"
    until = time.monotonic() + SWEEP_S
    pause_s = 0.005
    while pids := holders((folder / files.LOCK).resolve(), marker) + (
        cgroups.members(cgroup) if cgroup else []
    ):
        if cgroup is not None:
            cgroups.kill(cgroup)
        kill_all(pids)
        if time.monotonic() > until:
            break
        time.sleep(pause_s)
        pause_s = min(0.1, pause_s * 2)
    kills = cgroups.oom_kills(cgroup) if cgroup else 0
    if cgroup is not None:
        cgroups.remove(cgroup)
    begun = (folder / files.BEGUN).exists()
    ended = Exit(
        at_ms=time.time_ns() // 1_000_000,
        lost="its agent vanished without a record" if begun else "it vanished before it began",
        started=begun,
        oom_kills=kills,
    )
    with contextlib.suppress(OSError):  # the disk is full: it will be found out again
        files.write_whole(folder / files.EXIT, ended, durable=True)
    return ended


def _is_agent(agent: files.AgentRecord) -> bool:
    return agent.boot == boot_id() and start_ticks(agent.pid) == agent.started_ticks
