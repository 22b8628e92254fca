"""Describe this machine as a node: what of it this process may use."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from makeway.executor.gpus import gpu_count
from makeway.model.cluster import Node
from makeway.model.resources import CPU, GPU, MEMORY, Resources

LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def this_machine(gpus: int | None = None) -> Node:
    """Count processors (those allowed to us), memory (the container's, if smaller) and GPUs.

    `gpus` is how many a setting says that there are; None: those that are found.
    """
    page = os.sysconf("SC_PAGE_SIZE")
    memory = os.sysconf("SC_PHYS_PAGES") * page
    for limit in LIMITS:
        with contextlib.suppress(OSError, ValueError):
            memory = min(memory, int(limit.read_text()))
    cpus = len(os.sched_getaffinity(0))
    found = gpu_count() if gpus is None else gpus
    amounts = {CPU: cpus * 1000, MEMORY: memory, GPU: found * 1000}
    return Node(name=socket.gethostname(), capacity=Resources.of(amounts))
