"""Meet with all other workers, within a time, or say who has not come.

Rank 0 opens a store at the address that all were given; each worker writes its name into it; when all
names are there, rank 0 says so, and the process group is formed. PyTorch's own timeout does not bound
the first handshake (a stranger who listens on the port holds a worker for ten minutes), so all of it
is done on a thread of its own, and given up from here. Nobody sends a gradient before all have met.

Takes:   Place, backend, how long to wait (s)
Gives:   the process group, formed; the store in which they met
Raises:  NotReady, naming the ranks that have not come, as far as this worker knows
Source:  measured with PyTorch 2.13 and gloo: a rank that meets a stranger hangs 594 s at timeout=8
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any

from makeway.errors import MakewayError
from makeway.training.place import Place

DEADLINE_S = 120.0
LOOK_S = 0.05
TELL_S = 1.0
LAST_S = 1.5
SIOCGIFADDR = 0x8915

Store = Any  # torch.distributed.Store: torch is not there when this is imported
Tell = Callable[[Sequence[int]], None]


class NotReady(MakewayError, ConnectionError):
    """The other workers have not come in time: the network, or a machine, is not ready."""


class Meeting:
    """One worker's way to the others."""

    def __init__(self, place: Place, backend: str, deadline_s: float, tell: Tell) -> None:
        """Take who this is; `tell` is told now and then who has not come yet."""
        self._place, self._backend, self._tell = place, backend, tell
        self._deadline_s = deadline_s
        self._until = time.monotonic() + deadline_s
        self._missing: list[int] = []
        self._failed: BaseException | None = None
        self._done = threading.Event()
        self._store: Store = None

    def meet(self, hang_s: float) -> Store:
        """Form the process group, whose collectives wait for each other at most `hang_s`."""
        _choose_interface(self._place.address)
        self._missing = [rank for rank in range(self._place.workers) if rank != self._place.rank]
        thread = threading.Thread(target=self._try, args=(hang_s,), daemon=True, name="meeting")
        thread.start()
        told_at = time.monotonic()
        while not self._done.wait(LOOK_S):
            now = time.monotonic()
            if now > self._until:
                thread.join(LAST_S)  # most find out by themselves, a moment later
                if thread.is_alive():
                    _end_without(thread)
                raise self._not_ready()
            if now - told_at > TELL_S:
                told_at = now
                self._tell(tuple(self._missing))
        if self._failed is not None:
            raise self._not_ready() from self._failed
        self._tell(())
        return self._store

    def _try(self, hang_s: float) -> None:
        try:
            self._store = self._gather()
            self._form(hang_s)
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            self._failed = error
        finally:
            self._done.set()

    def _left(self) -> timedelta:
        return timedelta(seconds=max(0.1, self._until - time.monotonic()))

    def _gather(self) -> Store:
        import torch.distributed as dist

        place = self._place
        store = dist.TCPStore(
            place.address,
            place.port,
            place.workers,
            is_master=place.rank == 0,
            timeout=self._left(),
            wait_for_workers=False,
        )
        names = dist.PrefixStore(f"makeway/{place.fence}/{place.generation}", store)
        names.set(f"here/{place.rank}", "1")
        if place.rank == 0:
            self._await_all(names)
        else:
            self._await_word(names)
        return names

    def _await_all(self, names: Store) -> None:
        """At rank 0: see who comes, say who is missing, and say when all are there."""
        pause_s = 0.001
        while self._missing:
            here = [rank for rank in self._missing if names.check([f"here/{rank}"])]
            if here or pause_s == LOOK_S:
                self._missing = [rank for rank in self._missing if rank not in here]
                names.set("missing", json.dumps(self._missing))
            pause_s = min(LOOK_S, pause_s * 2)
            time.sleep(pause_s if self._missing else 0)
        names.set("go", "1")

    def _await_word(self, names: Store) -> None:
        """At all others: wait for rank 0's word; ask now and then who it is that does not come."""
        while True:
            try:
                names.wait(["go"], timedelta(seconds=TELL_S))
            except RuntimeError:
                if time.monotonic() > self._until:
                    raise
                if names.check(["missing"]):
                    self._missing = json.loads(names.get("missing"))
            else:
                self._missing = []
                return

    def _form(self, hang_s: float) -> None:
        import torch.distributed as dist

        dist.init_process_group(
            self._backend,
            store=dist.PrefixStore("group", self._store),
            rank=self._place.rank,
            world_size=self._place.workers,
            timeout=timedelta(seconds=hang_s),
        )

    def _not_ready(self) -> NotReady:
        if self._missing:
            ranks = ", ".join(map(str, self._missing))
            who = f"rank {ranks}" if len(self._missing) == 1 else f"ranks {ranks}"
            problem = f"{who} did not come within {self._deadline_s:g} s"
        else:
            problem = f"all came, but could not connect to each other: {self._failed}"
        return NotReady(
            problem,
            where=f"{self._place.address}:{self._place.port}",
            hint="it is tried again on other machines, or when the network is back",
        )


def _end_without(thread: threading.Thread) -> None:
    """Let the program end although a thread of it waits within PyTorch, and hears nothing.

    The interpreter would stop such a thread in the middle of what knows no exceptions, and abort.
    """
    failed: list[type[BaseException]] = []
    told = sys.excepthook

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        failed.append(kind)
        told(kind, error, trace)

    def end() -> None:
        if thread.is_alive():
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1 if failed else 0)

    sys.excepthook = tell
    atexit.register(end)


def _choose_interface(address: str) -> None:
    """Let gloo use the interface that leads to the others; by itself it asks for the host's name."""
    if "GLOO_SOCKET_IFNAME" in os.environ:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))  # sends nothing: it only looks up the way
        own = probe.getsockname()[0]
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                request = struct.pack("256s", name.encode()[:15])
                answer = fcntl.ioctl(probe.fileno(), SIOCGIFADDR, request)
                if socket.inet_ntoa(answer[20:24]) == own:
                    os.environ["GLOO_SOCKET_IFNAME"] = name
                    return
