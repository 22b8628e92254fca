"""Meet at a Unix socket in a folder, however long the folder's path is.

The kernel takes at most 107 bytes of path for a socket, and stores lie in deep folders. Going
through /proc/self/fd makes the path short without moving anybody's working directory.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path


def listen(path: Path, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """Bind a socket that only this user can reach, in place of one that a dead process left."""
    sock = socket.socket(socket.AF_UNIX, kind)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    with _short(path) as short:
        sock.bind(short)
    path.chmod(0o600)
    if kind is socket.SOCK_STREAM:
        sock.listen(512)
    return sock


def connect(path: Path, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """Connect to a socket that `listen` made."""
    sock = socket.socket(socket.AF_UNIX, kind)
    try:
        with _short(path) as short:
            sock.connect(short)
    except OSError:
        sock.close()
        raise
    return sock


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
