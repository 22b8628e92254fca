"""The messages between the controller, the zygote, and the agents.

    controller --- Load, Define, Fork ---> zygote     (a socket pair; one reply each)
    controller --- Go, Resize, Stop -----> agent      (the agent calls, and calls again if cut off)
    controller <-- Ready, Started, Measured -- agent
    controller <-- Hello, Renew, Ended -- agent      (over the network; the answer is Renewed)

Frames are a length (4 bytes, big-endian) and MessagePack. What must survive the controller is not
sent at all: it is a file in the worker's folder (see `folder`).
"""

from __future__ import annotations

import socket
import struct
from typing import Generic, TypeVar

import msgspec

from makeway.model.job import Program
from makeway.model.record import Exit, Note, Sample
from makeway.model.workflow import Workflow

LENGTH = struct.Struct(">I")
FRAME_MAX = 64 << 20


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The base of every message."""


class Launch(Message, frozen=True):
    """All that an agent must know of its worker; written to `launch.json` before it is forked.

    user          whose processes these are, if such a Unix user is known here and we may; with
                  `users_required` nothing runs as anybody else
    generation    0 for the first membership of the attempt, +1 at each resize
    memory_bytes  what the worker's whole tree may use; 0: no limit
    cgroup        the folder of the cgroup to make for it; empty: the agent watches by itself
    devices       the GPUs that it may see; None: nothing is said of GPUs
    processors    those that it is pinned to; empty: any
    environment   the site's own variables; the program's come before them
    cpu_milli     what the worker asked for, in thousandths of a processor; 0: nothing is known
    time_limit_ms how long the program may run; None: as long as it wants
    """

    job: str
    number: int
    fence: int
    rank: int
    workers: int
    workers_min: int
    workers_max: int
    local_rank: int
    local_workers: int
    node: str
    node_rank: int
    nodes: int
    address: str
    barrier_ms: int
    sample_ms: int
    program: Program
    run: str | None
    step: str | None
    store: str
    controller: str
    user: str = ""
    users_required: bool = False
    generation: int = 0
    memory_bytes: int = 0
    cgroup: str = ""
    devices: tuple[int, ...] | None = None
    processors: tuple[int, ...] = ()
    environment: dict[str, str] = {}
    cpu_milli: int = 0
    time_limit_ms: int | None = None

    @property
    def live(self) -> bool:
        """Say whether the program takes a change of its number of workers while it runs."""
        return self.program.environment.get("MAKEWAY_ELASTIC") == "live"


def membership(launch: Launch, go: Go) -> dict[str, object]:
    """Say to a program that takes changes while it runs who it is now, and where all meet."""
    return {
        "generation": launch.generation + 1,
        "fence": launch.fence,
        "rank": launch.rank,
        "workers": launch.workers,
        "local_rank": launch.local_rank,
        "local_workers": launch.local_workers,
        "node_rank": launch.node_rank,
        "nodes": launch.nodes,
        "address": go.address,
        "port": go.port,
    }


class Load(Message, frozen=True):
    """Import this file, so that every worker forked later has it already."""

    file: str


class Define(Message, frozen=True):
    """Build the workflow of this file with these parameters (text, as typed by a person)."""

    file: str
    workflow: str | None
    params: dict[str, str]


class Fork(Message, frozen=True):
    """Fork an agent for the worker whose folder this is."""

    folder: str


class Loaded(Message, frozen=True):
    """The file is imported. `cold`: it started threads, so workers must begin afresh."""

    cold: bool = False


class Defined(Message, frozen=True):
    """The workflow, bound to its parameters."""

    workflow: Workflow


class Forked(Message, frozen=True):
    """The agent's process, or why there is none."""

    folder: str
    pid: int | None
    problem: str = ""


class Failed(Message, frozen=True):
    """The caller's mistake: what is wrong, where, and what to do about it."""

    problem: str
    where: str = ""
    hint: str = ""


class Ready(Message, frozen=True):
    """The worker's needs are reserved; it waits at the barrier. Sent again at each new contact."""

    job: str
    fence: int
    rank: int
    pid: int
    address: str
    port: int
    generation: int = 0


class Started(Message, frozen=True):
    """The worker's program runs. Sent again at each new contact."""

    job: str
    fence: int
    rank: int
    pid: int
    generation: int = 0


class Measured(Message, frozen=True):
    """Samples of the worker, and what its program noted."""

    job: str
    number: int
    rank: int
    samples: tuple[Sample, ...]
    notes: tuple[Note, ...] = ()


class Hello(Message, frozen=True):
    """Who calls from another machine, with the right to: said before anything else."""

    job: str
    number: int
    fence: int
    rank: int
    token: str = ""


class Renew(Message, frozen=True):
    """Ask to go on, at this time of the agent's own clock."""

    sent_ns: int


class Ended(Message, frozen=True):
    """How the worker ended, as `exit.json` says it as well: the last word of an agent."""

    job: str
    fence: int
    rank: int
    exit: Exit


class Renewed(Message, frozen=True):
    """Go on: the answer to a question of that time."""

    sent_ns: int


class Go(Message, frozen=True):
    """Run the program; all workers meet at this address."""

    fence: int
    address: str
    port: int
    generation: int = 0


class Resize(Message, frozen=True):
    """Go on as this worker of the next generation: leave, and come to the barrier again."""

    fence: int
    launch: Launch
    grace_ms: int


class Stop(Message, frozen=True):
    """Leave; what is there after the grace time is killed."""

    fence: int
    cause: str
    grace_ms: int


ToZygote = Load | Define | Fork
FromZygote = Loaded | Defined | Forked | Failed
ToAgent = Go | Resize | Stop | Renewed
FromAgent = Ready | Started | Measured | Hello | Renew | Ended

Incoming = TypeVar("Incoming")

_encoder = msgspec.msgpack.Encoder()


def send(sock: socket.socket, message: Message) -> None:
    """Send one frame, whole."""
    body = _encoder.encode(message)
    sock.sendall(LENGTH.pack(len(body)) + body)


class Frames(Generic[Incoming]):
    """Cut a stream into messages of one union, whatever pieces it arrives in."""

    def __init__(self, kind: type[Incoming] | object) -> None:
        """Take the union of the messages that may come."""
        self._decoder: msgspec.msgpack.Decoder[Incoming] = msgspec.msgpack.Decoder(kind)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Incoming]:
        """Take what was read and give the messages that are complete now."""
        self._buffer += data
        messages = []
        while len(self._buffer) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._buffer)
            if length > FRAME_MAX:
                message = f"a frame of {length} bytes is not of this protocol"
                raise ValueError(message)
            end = LENGTH.size + length
            if len(self._buffer) < end:
                break
            messages.append(self._decoder.decode(self._buffer[LENGTH.size : end]))
            del self._buffer[:end]
        return messages

    def receive(self, sock: socket.socket) -> Incoming | None:
        """Wait for one message on a socket that brings one at a time; None at its end."""
        while True:
            data = sock.recv(1 << 16)
            if not data:
                return None
            messages = self.feed(data)
            if messages:
                return messages[0]
