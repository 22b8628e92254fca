"""Count what the kernel has killed for memory anywhere on this machine a moment before a worker died.

The counter is one of the whole machine, and counts what dies at the limit of its own cgroup as well:
so only what came since the last reading but one is told, and without the worker's own. Who of them was
killed it does not say; the rules of `health` weigh it with what the worker itself had used.

Takes:   /proc/vmstat, at each reading of the worker
Cost:    0.05 ms a reading
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

VMSTAT = Path("/proc/vmstat")
LOOKS = 2


class HostKills:
    """The counter of one machine, as one agent sees it."""

    def __init__(self, file: Path = VMSTAT) -> None:
        """Begin with what was killed before."""
        self._file = file
        self._counts: deque[int] = deque([self._read()], maxlen=LOOKS)

    def look(self) -> None:
        """Remember how many there were by now."""
        self._counts.append(self._read())

    def lately(self, own: int) -> int:
        """Count those of the last moments, without so many that are known to be the worker's own."""
        return max(0, self._read() - self._counts[0] - own)

    def _read(self) -> int:
        try:
            text = self._file.read_text("ascii", "replace")
        except OSError:
            return 0
        for line in text.splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill" and count.strip().isdigit():
                return int(count)
        return 0  # an older kernel does not count them
