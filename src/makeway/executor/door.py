"""Let agents of other machines call: where the door is, and by which token they are let in.

`door.json` in the store says host and port, and holds the key from which the token of each worker
of each attempt follows; only the owner of the store can read it. A token says for which worker it
speaks, stands in no table, and is worth nothing once the fence of the attempt is passed. After a
restart the key is what it was, and the port too where it is still free.

Raises:  Unavailable: the address cannot be listened at
Source:  HMAC with SHA-256: RFC 2104
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import socket
from pathlib import Path

import msgspec

from makeway.errors import Unavailable
from makeway.executor.folder import read_whole
from makeway.executor.protocol import Hello, Message, send

FILE = "door.json"
KEY_BYTES = 32
WAITING = 1024
PROBE_S = 0.5


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """Where agents call, and the key of their tokens."""

    host: str
    port: int
    key: str

    @property
    def house(self) -> str:
        """Name the store wherever others are as well; it tells nothing of the key."""
        return hashlib.sha256(f"house {self.key}".encode()).hexdigest()[:12]

    def hello(self, job: str, number: int, fence: int, rank: int) -> Hello:
        """Give what a worker's agent says first, with its token."""
        hello = Hello(job=job, number=number, fence=fence, rank=rank)
        return msgspec.structs.replace(hello, token=_token(hello, self.key))

    def knows(self, hello: Hello) -> bool:
        """Say whether we have made this token, for this worker."""
        token = hello.token.encode(errors="replace")
        return hmac.compare_digest(_token(hello, self.key).encode(), token)


def known_door(store: Path) -> Door:
    """Read what is known of the door, or begin with a fresh key."""
    known = read_whole(store / FILE, Door)
    return known or Door(host="", port=0, key=secrets.token_hex(KEY_BYTES))


def open_door(store: Path, known: Door, host: str, port: int) -> tuple[Door, socket.socket]:
    """Listen, and write down where; port 0: that of the last time, or any."""
    wanted = port or (known.port if known.host == host else 0)
    try:
        listening = _listen(host, wanted)
    except OSError as error:
        if port or not wanted:
            hint = "set executor.host and executor.port to where agents can reach this machine"
            problem = f"agents cannot be listened for: {error.strerror or error}"
            raise Unavailable(problem, where=f"{host}:{wanted}", hint=hint) from None
        listening = _listen(host, 0)
    door = Door(host=host, port=int(listening.getsockname()[1]), key=known.key)
    _write(store, door)
    return door, listening


def answer(peer: socket.socket, message: Message) -> None:
    """Say something to who calls; who does not take it is cut off, and calls again."""
    try:
        send(peer, message)
    except OSError:
        hang_up(peer)


def hang_up(peer: socket.socket) -> None:
    """End a conversation; it is forgotten when the end of it is read."""
    with contextlib.suppress(OSError):
        peer.shutdown(socket.SHUT_RDWR)


def refuses(address: str, port: int) -> bool:
    """Say whether surely nobody listens there; no answer is none."""
    try:
        socket.create_connection((address, port), timeout=PROBE_S).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(WAITING)
    except OSError:
        listening.close()
        raise
    return listening


def _write(store: Path, door: Door) -> None:
    fresh = store / f".{FILE}.{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(door))
    fresh.rename(store / FILE)


def _token(hello: Hello, key: str) -> str:
    said = f"{hello.fence} {hello.number} {hello.rank} {hello.job}"
    return hmac.new(key.encode(), said.encode(errors="replace"), hashlib.sha256).hexdigest()
