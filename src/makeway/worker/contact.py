"""Reach the controller from an agent: by a socket of this machine, or over the network by a lease.

On this machine the kernel keeps the order: a worker's lock says whether it lives, so an agent goes
on for as long as it likes without a controller. Elsewhere nobody can look. There the agent shows
the token of its attempt, renews a lease, and where it cannot, ends its worker before the controller
may give the work to another:

    lease / 3    it renews                                 5 s
    lease * 2/3  not renewed since then: it ends its worker  10 s
    lease        the controller counts it as silent         15 s
    lease * 4/3  the controller begins it anew elsewhere     20 s

Each side measures by its own clock, and by one that no clock change moves and that goes on while
the machine sleeps. The agent counts from when it *sent* the question that was answered, so it is
never later than the controller, who counts from when that came.

Whoever started the agent (its seat) is watched as well: where that is taken away, by whatever rules
the place has, the worker has no right to be there any more.

Raises:  OSError, from `connect`: nobody listens, or nobody can be reached, now
Source:  Gray and Cheriton, Leases, SOSP 1989
"""

from __future__ import annotations

import os
import select
import socket
import time
from pathlib import Path
from typing import Protocol

import msgspec

from makeway.executor.address import connect
from makeway.executor.door import Door
from makeway.executor.folder import read_whole
from makeway.executor.protocol import Hello, Renew, Renewed

CONNECT_S = 0.5
NS_PER_MS = 1_000_000


class Contact(Protocol):
    """The way of an agent to its controller."""

    again_s: float

    def connect(self) -> socket.socket:
        """Call the controller."""
        ...

    def first(self) -> Hello | None:
        """Give what is said before anything else, if there is anything."""
        ...

    def renewal(self) -> Renew | None:
        """Give the question by which the lease is renewed, when it is time for it."""
        ...

    def renewed(self, answer: Renewed) -> None:
        """Take the controller's answer."""
        ...

    def broken(self) -> str:
        """Say why the worker may not go on; empty: it may."""
        ...

    def descriptors(self) -> tuple[int, ...]:
        """Give what can be read once the worker may not go on, and must not be inherited."""
        ...


class Nearby:
    """The controller is on this machine: there is no lease."""

    again_s = 0.25

    def __init__(self, path: Path) -> None:
        """Take where its socket is."""
        self._path = path

    def connect(self) -> socket.socket:
        """Call it."""
        return connect(self._path)

    def first(self) -> None:
        """Say nothing: who may open the socket is known."""

    def renewal(self) -> None:
        """Ask for nothing."""

    def renewed(self, answer: Renewed) -> None:
        """Be told nothing."""

    def broken(self) -> str:
        """Nothing can be broken."""
        return ""

    def descriptors(self) -> tuple[int, ...]:
        """Hold nothing."""
        return ()


class Seated(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is told by whoever started it: where the door is, and with what right it calls."""

    door: str
    hello: Hello
    lease_ms: int
    seat: int


class Remote:
    """The controller is on another machine, or could be: there is a lease."""

    again_s = 1.0

    def __init__(self, seated: Seated) -> None:
        """Begin the lease, and watch the seat."""
        self._seated = seated
        self._since_ns = self._asked_ns = _now_ns()
        self._patience_ns = seated.lease_ms * NS_PER_MS * 2 // 3
        self._seat = _watched(seated.seat)
        self._poll = select.poll()
        if self._seat is not None:
            self._poll.register(self._seat, select.POLLIN)

    def connect(self) -> socket.socket:
        """Call the controller where it is now: after a restart that may be another port."""
        door = read_whole(Path(self._seated.door), Door)
        if door is None:
            message = "there is no door"
            raise FileNotFoundError(message)
        return socket.create_connection((door.host, door.port), timeout=CONNECT_S)

    def first(self) -> Hello:
        """Say who calls, with the token of the attempt, and since when the lease runs."""
        return self._seated.hello

    def renewal(self) -> Renew | None:
        """Ask three times as often as the lease lasts."""
        now_ns = _now_ns()
        if (now_ns - self._asked_ns) * 3 < self._seated.lease_ms * NS_PER_MS:
            return None
        self._asked_ns = now_ns
        return Renew(sent_ns=now_ns)

    def renewed(self, answer: Renewed) -> None:
        """Count from when the question was sent."""
        self._since_ns = max(self._since_ns, min(answer.sent_ns, _now_ns()))

    def broken(self) -> str:
        """Say whether the seat is gone, or the lease is over."""
        if self._seat is None or self._poll.poll(0):
            return "its place was taken away: the process that held it is gone"
        silent_ns = _now_ns() - self._since_ns
        if silent_ns >= self._patience_ns:
            return f"its lease is over: no controller has answered for {silent_ns / 1e9:.0f} s"
        return ""

    def descriptors(self) -> tuple[int, ...]:
        """Give the seat's."""
        return () if self._seat is None else (self._seat,)


def _watched(seat: int) -> int | None:
    """Open the process that holds the place; None if it is gone, and its pid may be anybody's."""
    try:
        opened = os.pidfd_open(seat)
    except OSError:
        return None
    if os.getppid() != seat:
        os.close(opened)
        return None
    return opened


def _now_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
