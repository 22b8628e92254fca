"""Find the service of this machine that works in a store: whoever may read the store may ask it.

A service leaves `service.json` in its store and the secret of the store's owner in `owner.token`,
which nobody else can read. It is alive while it holds `controller.lock`: the kernel frees that
however the service went, so a file that was left behind deceives nobody.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

SERVICE, LOCK, TOKEN = "service.json", "controller.lock", "owner.token"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """What a service writes down of itself."""

    url: str
    pid: int = 0
    started: object = None


class Local(msgspec.Struct, frozen=True, kw_only=True):
    """A service that is alive, and the secret that its owner may use."""

    url: str
    pid: int
    token: str | None


def local_service(store: Path) -> Local | None:
    """Give the service that works in a store; None if there is none."""
    try:
        service = msgspec.json.decode((store / SERVICE).read_bytes(), type=Service)
    except (OSError, msgspec.DecodeError):
        return None
    if not held(store):
        return None
    return Local(url=service.url, pid=service.pid, token=owner_token(store))


def owner_token(store: Path) -> str | None:
    """Read the secret of the store's owner; None if there is none, or it is for others."""
    try:
        return (store / TOKEN).read_text("utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def held(store: Path) -> bool:
    """Say whether a controller works in a store."""
    try:
        lock = os.open(store / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(lock)
