"""Keep the envoy: the process that speaks to Ray on behalf of the controller.

Ray's client brings threads, signal handlers and its own idea of when a process has to die; none of
that belongs into the controller. So it lives in a process of its own (`ray_envoy`), which is asked
by messages and started again if it dies: what it brought about in Ray is detached, and found again
by name.

    executor --- Keep, Place, Find, Sweep, Free, Echo ---> envoy   (a socket pair)
    executor <-- Connected, Nodes, Placed, Found, Left, Echoed, Failed -- envoy

A *seat* is an actor of Ray in which the agent of one worker lives. A *group* is a placement group.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys

import msgspec

from makeway.errors import Unavailable
from makeway.executor.protocol import Failed, Frames, Hello, Message, send
from makeway.model.cluster import Node
from makeway.model.record import Exit

CONNECT_S = 40.0


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker holds of one node of Ray, in Ray's own amounts."""

    node_id: str
    amounts: dict[str, float]


class RayNode(msgspec.Struct, frozen=True, kw_only=True):
    """One living node of Ray, and as what makeway sees it."""

    node_id: str
    address: str
    port: int
    node: Node


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a seat tells its agent of the controller."""

    door: str
    hello: Hello
    lease_ms: int


class Keep(Message, frozen=True):
    """These groups are known; whatever else of this house there is must go."""

    groups: tuple[str, ...]


class Place(Message, frozen=True):
    """Let there be a group of these bundles, and in one of them a seat for the worker of a folder."""

    folder: str
    seat: str
    group: str
    bundles: tuple[Bundle, ...]
    index: int
    terms: Terms


class Find(Message, frozen=True):
    """Say whether there is this seat, and from now on when it has been left."""

    folder: str
    seat: str


class Sweep(Message, frozen=True):
    """End what lives in a seat, or take the seat away if nothing lives in it yet."""

    folder: str
    seat: str


class Free(Message, frozen=True):
    """A group is not needed any more, nor what is left in it."""

    group: str


class Echo(Message, frozen=True):
    """Find out whether a node does anything, and whether it sees a path."""

    node_id: str
    path: str = ""


class Connected(Message, frozen=True):
    """Ray is there, with these nodes; this machine is known in it by this address."""

    address: str
    nodes: tuple[RayNode, ...]


class Nodes(Message, frozen=True):
    """The nodes that Ray says are alive."""

    nodes: tuple[RayNode, ...]


class Placed(Message, frozen=True):
    """The seat is there, and the agent was started."""

    folder: str
    seat: str


class Found(Message, frozen=True):
    """Whether there is the seat."""

    folder: str
    seat: str
    there: bool


class Left(Message, frozen=True):
    """Nobody lives in the seat any more: how the worker ended, or why that is not known."""

    folder: str
    seat: str
    exit: Exit | None = None
    problem: str = ""


class Echoed(Message, frozen=True):
    """The node has answered: with its version, and whether the path is there."""

    node_id: str
    version: str
    sees: bool


ToEnvoy = Keep | Place | Find | Sweep | Free | Echo
FromEnvoy = Connected | Nodes | Placed | Found | Left | Echoed | Failed


class Envoy:
    """The process that speaks to Ray; `address` is Ray's, `house` names what is ours there."""

    def __init__(self, address: str, house: str) -> None:
        """Start it; it connects meanwhile. Unavailable: there is no Ray to speak to it with."""
        if importlib.util.find_spec("ray") is None:
            raise Unavailable("Ray is not installed here", hint="pip install 'makeway[ray]'")
        self._address, self._house = address, house
        self._start()

    @property
    def socket(self) -> socket.socket:
        """Give the socket on which its words come."""
        return self._socket

    def connected(self) -> Connected:
        """Wait until it has reached Ray; raise why it cannot."""
        self._socket.settimeout(CONNECT_S)
        said: FromEnvoy | None = None
        with contextlib.suppress(OSError):
            said = self._frames.receive(self._socket)
        self._socket.settimeout(None)
        if isinstance(said, Connected):
            return said
        self.close()
        where = f"executor.ray_address {self._address}"
        if isinstance(said, Failed):
            raise Unavailable(said.problem, where=where, hint=said.hint)
        hint = "is it up, and does this machine belong to it? ray status says so"
        raise Unavailable("Ray cannot be reached", where=where, hint=hint)

    def ask(self, message: Message) -> None:
        """Ask for something; what it leads to comes as words."""
        with contextlib.suppress(OSError):  # it is gone: whoever listens will notice that
            send(self._socket, message)

    def words(self) -> list[FromEnvoy] | None:
        """Read what it says; None if it is gone."""
        try:
            data = self._socket.recv(1 << 18)
        except OSError:
            data = b""
        return self._frames.feed(data) if data else None

    def restart(self) -> None:
        """Start a fresh one."""
        self.close()
        self._start()

    def close(self) -> None:
        """Let it go; what it brought about stays."""
        self._socket.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "makeway.executor.ray_envoy"),
                    *(str(theirs.fileno()), self._address, self._house),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=2,
                env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
                start_new_session=True,  # Ctrl-C is the controller's to handle
            )
        self._socket = ours
        self._frames: Frames[FromEnvoy] = Frames(FromEnvoy)
