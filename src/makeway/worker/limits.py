"""Hold a worker's tree to its memory, by the best means that this machine lets us have.

    cgroup     the kernel counts and kills; of the first version it kills one process, and we the
               others as soon as we see that
    guard      we add up what the tree uses, four times a second, and more often near the limit; an
               allocator at full speed gets some tens of MB further meanwhile. So that one gulp
               cannot take the machine along, the kernel refuses what is far beyond (RLIMIT_DATA)

What was ended so is told as such (`Exit.oom_kills`, `Exit.over_memory`): a SIGKILL alone proves
nothing. Memory that is shared with the parent of all agents counts in part only (Pss), and that is
read only where the simple sum is over the limit: it costs a millisecond a process.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Sequence
from pathlib import Path

from makeway.executor import cgroups
from makeway.executor.processes import memory_of, own_memory_of
from makeway.executor.protocol import Launch

LOOK_MS, LOOK_CLOSELY_MS = 250, 50
NEAR = 0.6
GULP_BYTES = 256 << 20


class MemoryLimit:
    """The limit of one worker's tree; see the module."""

    def __init__(self, launch: Launch) -> None:
        """Make the cgroup, if there is to be one."""
        self._bytes = launch.memory_bytes
        self._cgroup: Path | None = None
        self._pause_ms = LOOK_MS
        self.over = False
        self.seen_bytes = 0  # in use at the last look
        if self._bytes and launch.cgroup:
            with contextlib.suppress(OSError):
                cgroups.make(Path(launch.cgroup), self._bytes)
                self._cgroup = Path(launch.cgroup)

    @property
    def there(self) -> bool:
        """Say whether there is a limit at all."""
        return self._bytes > 0

    @property
    def pause_ms(self) -> int:
        """Give how long it may go on before the next look."""
        return self._pause_ms

    @property
    def oom_kills(self) -> int:
        """Count what the kernel killed."""
        return 0 if self._cgroup is None else cgroups.oom_kills(self._cgroup)

    @property
    def peak_bytes(self) -> int:
        """Give the most that the kernel saw in use; 0 if it did not look."""
        return 0 if self._cgroup is None else cgroups.peak_bytes(self._cgroup)

    def enter(self) -> None:
        """Hold this process, and all that it starts, to the limit."""
        if self._cgroup is not None:
            cgroups.enter(self._cgroup)
        elif self._bytes:
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            most = 2 * self._bytes + GULP_BYTES
            if hard == resource.RLIM_INFINITY or most < hard:
                resource.setrlimit(resource.RLIMIT_DATA, (most, hard))

    def passed(self, tree: Sequence[int]) -> bool:
        """Look whether the tree has gone too far, and has to be killed as a whole."""
        if self._cgroup is not None:
            return self.oom_kills > 0
        used = self.seen_bytes = memory_of(tree)
        self._pause_ms = LOOK_CLOSELY_MS if used > NEAR * self._bytes else LOOK_MS
        if used > self._bytes and own_memory_of(tree) > self._bytes:
            self.over = True
        return self.over

    def kill(self) -> None:
        """Kill all that is in the cgroup, if there is one."""
        if self._cgroup is not None:
            cgroups.kill(self._cgroup)

    def close(self) -> None:
        """Take the cgroup away, once nobody is in it."""
        if self._cgroup is not None:
            cgroups.remove(self._cgroup)


def pin(processors: Sequence[int]) -> None:
    """Keep this process, and all that it starts, on these processors."""
    if processors:
        with contextlib.suppress(OSError):  # they were taken away from us meanwhile
            os.sched_setaffinity(0, processors)
