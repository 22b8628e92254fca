"""Hold a step's output in memory for those who read it, until the run ends.

The step's process writes its output into anonymous files (`store.held`) and sends their descriptors
to its agent. When the step has ended well, the agent leaves a *holder* behind: a process that does
nothing but hold them, under the name of the agent (`agent.json`). It ends when it is told to (the
run is over), when the store is gone, or with whoever kills it; what it held is gone in that instant.

Holds:   what is held never changes (it is sealed) · a holder has no descriptor but what it holds
Cost:    writing costs one copy of the output and no disk; a holder 2 ms and a page table
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from makeway.executor import folder as files
from makeway.executor.address import connect
from makeway.executor.processes import LIBC, boot_id, start_ticks
from makeway.executor.protocol import Launch
from makeway.store import held
from makeway.store.blobs import Blobs, Hashing
from makeway.worker.account import Account, become

PR_SET_DUMPABLE = 4
LOOK_S = 30.0
HELD_MAX = 1_000
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds outputs of which job."""

    job: str
    pid: int
    started_ticks: int
    boot: str


# ── in the step's process ─────────────────────────────────────────────────────────────────────────


def blobs_for(store: Path, durability: str, records: Path) -> Blobs:
    """Give where the output of a step is kept; `records` is the socket of its agent."""
    if durability == "memory":
        return MemoryBlobs(store, records)
    return Blobs(store, durability)


class MemoryBlobs(Blobs):
    """Artifacts that an agent is to hold; they can be read once it does."""

    def __init__(self, store: Path, records: Path) -> None:
        """Take the folder of the store, and the socket of the agent."""
        super().__init__(store, "memory")
        self._records = records
        self._sizes: dict[str, int] = {}

    def size(self, digest: str) -> int:
        """Give its size in bytes."""
        return self._sizes[digest] if digest in self._sizes else super().size(digest)

    def _complete(self, digest: str, size: int) -> bool:
        return self._sizes.get(digest) == size

    def _put(self, write: Callable[[Hashing], object], digest: str | None = None) -> str:
        token = secrets.token_hex(8)
        descriptor = os.memfd_create(held.NAME + token, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                hashing = Hashing(file)
                write(hashing)
            found = digest or hashing.digest.hexdigest()
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
            with connect(self._records, socket.SOCK_DGRAM) as agent:
                socket.send_fds(agent, [f"{found} {token}".encode()], [descriptor])
        finally:
            os.close(descriptor)
        self._sizes[found] = hashing.size
        return found


# ── in the agent ──────────────────────────────────────────────────────────────────────────────────


class Held:
    """What an agent was given to hold."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._held: dict[str, tuple[int, str]] = {}

    def take(self, said: bytes, descriptors: list[int]) -> None:
        """Take what the step's process has sent, if it is what it says."""
        digest, _, token = said.decode("ascii", "replace").partition(" ")
        for descriptor in descriptors:
            name = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - no path is wanted
            ours = name.startswith(f"/memfd:{held.NAME}{token}") and len(digest) == _DIGEST_CHARS
            if not ours or digest in self._held or len(self._held) >= HELD_MAX:
                os.close(descriptor)
                continue
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - as it is called there
            self._held[digest] = (descriptor, token)

    def drop(self) -> None:
        """Hold nothing any more."""
        for descriptor, _ in self._held.values():
            os.close(descriptor)
        self._held.clear()

    def leave(self, launch: Launch, account: Account | None) -> int | None:
        """Leave a holder behind, so that all can read it from here on; None: nothing is held."""
        if not self._held:
            return None
        store = Path(launch.store)
        pid = os.fork()
        if pid == 0:
            _hold(store, [descriptor for descriptor, _ in self._held.values()], account)
        _publish(store, launch.job, pid, self._held)
        self.drop()
        return pid


_DIGEST_CHARS = hashlib.sha256().digest_size * 2


def named_after(pid: int, folder: Path, run_as: str) -> None:
    """Let a holder bear the name of the agent that left it behind."""
    ticks = start_ticks(pid)
    if ticks is not None:
        record = files.AgentRecord(pid=pid, started_ticks=ticks, boot=boot_id(), run_as=run_as)
        with contextlib.suppress(OSError):  # the disk is full: it holds all the same
            files.write_whole(folder / files.AGENT, record)


def _publish(store: Path, job: str, pid: int, held_ones: dict[str, tuple[int, str]]) -> None:
    ticks = start_ticks(pid)
    if ticks is None:
        return
    holders = store / held.FOLDER / held.HOLDERS
    holders.mkdir(parents=True, exist_ok=True)
    record = Holder(job=job, pid=pid, started_ticks=ticks, boot=boot_id())
    files.write_whole(holders / f"{pid}.json", record)
    for digest, (descriptor, token) in held_ones.items():
        folder = held.folder_of(store, digest)
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / held.link_name(pid, descriptor, token)
        link.unlink(missing_ok=True)
        link.symlink_to(f"/proc/{pid}/fd/{descriptor}")


def _hold(store: Path, descriptors: list[int], account: Account | None) -> Any:  # noqa: ANN401 - it never returns
    """Be a holder: have nothing but what is held, and wait to be told to go."""
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - no paths are wanted
            if int(name) not in (0, 1, 2, *descriptors):
                with contextlib.suppress(OSError):
                    os.close(int(name))
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        if account is not None:
            become(account)
            LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # so that this user may read what it holds
        while store.exists():
            time.sleep(LOOK_S)
    finally:
        os._exit(0)
