"""Describe this machine as a node: what of it this process may use."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from makeway.model.cluster import Node
from makeway.model.resources import CPU, MEMORY, Resources

LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def this_machine() -> Node:
    """Count processors (those allowed to us) and memory (that of the container, if smaller)."""
    page = os.sysconf("SC_PAGE_SIZE")
    memory = os.sysconf("SC_PHYS_PAGES") * page
    for limit in LIMITS:
        with contextlib.suppress(OSError, ValueError):
            memory = min(memory, int(limit.read_text()))
    cpus = len(os.sched_getaffinity(0))
    amounts = {CPU: cpus * 1000, MEMORY: memory}
    return Node(name=socket.gethostname(), capacity=Resources.of(amounts))
