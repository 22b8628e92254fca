"""Keep what is known of one worker's agent, and hear what it says."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from makeway.executor.protocol import Frames, FromAgent, Launch, Message, send

# An agent has this long to answer beyond the grace time that it gives its worker.
ANSWER_MS = 5_000


class Watched(msgspec.Struct, kw_only=True, eq=False):
    """One worker: as which it was launched, its agent, and the orders that it was given.

    `ready_at` is the last generation at whose barrier it stood, and where it would meet the others
    there if it holds the port.
    """

    launch: Launch
    folder: Path
    pidfd: int | None = None
    peer: socket.socket | None = None
    started: bool = False
    orders: list[Message] = []
    kill_at_ms: int | None = None
    ready_at: int | None = None
    address: str = ""
    port: int = 0

    @property
    def rank(self) -> int:
        """Give its rank."""
        return self.launch.rank

    def order(self, message: Message) -> None:
        """Send an order, and keep it for an agent that is not in touch at this moment."""
        if message in self.orders:
            return
        self.orders.append(message)
        if self.peer is not None:
            self._say(message)

    def repeat(self) -> None:
        """Say again what it was told, to an agent that called anew; it does nothing twice."""
        for order in self.orders:
            if self.peer is not None:
                self._say(order)

    def _say(self, message: Message) -> None:
        """Send it; who has been cut off, or takes nothing, will call again, and hear all of it."""
        assert self.peer is not None, "said only while there is contact"
        try:
            send(self.peer, message)
        except OSError:
            with contextlib.suppress(OSError):
                self.peer.shutdown(socket.SHUT_RDWR)

    def kill_late(self, now_ms: int) -> None:
        """Kill an agent that did not do in time what it was told."""
        if self.kill_at_ms is not None and now_ms >= self.kill_at_ms:
            self.kill_at_ms = now_ms + ANSWER_MS
            if self.pidfd is not None:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)


class Caller:
    """One connection of an agent."""

    def __init__(
        self,
        peer: socket.socket,
        heard: Callable[[socket.socket, FromAgent], None],
        hung_up: Callable[[socket.socket], None],
    ) -> None:
        """Take whom to tell what is said, and when the connection is over."""
        self._peer, self._heard, self._hung_up = peer, heard, hung_up
        self._frames: Frames[FromAgent] = Frames(FromAgent)

    def hear(self, _peer: object) -> None:
        """Read what is there to be read."""
        if self._peer.fileno() < 0:
            return  # it hung up in the same round in which it could still be heard
        try:
            data = self._peer.recv(1 << 18)
            messages = self._frames.feed(data)
        except (OSError, ValueError, msgspec.DecodeError):
            data, messages = b"", []
        for message in messages:
            self._heard(self._peer, message)
        if not data:
            self._hung_up(self._peer)
