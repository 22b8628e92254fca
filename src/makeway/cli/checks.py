"""The checks of `makeway doctor`: each looks at one thing and touches nothing.

Takes:   whom the commands here would ask
Gives:   findings; an error while looking is a finding too
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from makeway import __version__
from makeway.cli.connect import Asked, opened
from makeway.errors import MakewayError, Unreachable
from makeway.model.units import size_text
from makeway.store.elsewhere import noted

CGROUPS = Path("/sys/fs/cgroup")
WANTED = ("cpu", "memory", "pids")
FREE_WARN_BYTES, FREE_FAIL_BYTES = 2 << 30, 200 << 20
INODES_WARN = 10_000
NETWORKED = ("nfs", "nfs4", "cifs", "smb3", "ceph", "lustre", "glusterfs", "fuse.sshfs", "9p")
CLOCK_OFF_S = 2.0
POSTGRES_PORT, CONNECT_S = 5432, 3.0
BUILT_S = 1_735_689_600  # 2025-01-01: a clock before that is wrong


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at, and what is there: `state` is ok, warn or fail."""

    check: str
    state: str
    text: str
    advice: str = ""


def python(whom: Asked) -> Iterator[Finding]:
    """Look at the interpreter."""
    del whom
    version = ".".join(map(str, sys.version_info[:3]))
    text = f"makeway {__version__} on Python {version}, {sys.executable}"
    yield _ok("python", text)
    try:
        import sqlite3
    except ImportError:
        yield _fail("python", "it was built without SQLite", "use a Python that has it")
    else:
        yield _ok("sqlite", sqlite3.sqlite_version)


def store(whom: Asked) -> Iterator[Finding]:
    """Look whether the store can be written, and where it lies."""
    path = whom.store
    there = path if path.exists() else _nearest(path)
    if path.exists() and not path.is_dir():
        yield _fail("store", f"{path} is no folder", "use another one: --store DIR")
        return
    if not os.access(there, os.W_OK | os.X_OK):
        advice = "let this user write there, or use another store: --store DIR"
        yield _fail("store", f"{there} cannot be written", advice)
        return
    kind = _file_system(there)
    text = f"{path} ({kind})" + ("" if path.exists() else ", not there yet")
    if kind in NETWORKED and not noted(path):
        advice = "SQLite's locks are not safe there: use a local disk, or PostgreSQL"
        yield _warn("store", text, advice)
    else:
        yield _ok("store", text)


def lock(whom: Asked) -> Iterator[Finding]:
    """Look who works in the store."""
    from makeway.client.local import held, local_service

    local = local_service(whom.store)
    if local is not None:
        yield _ok("lock", f"the service {local.url} (pid {local.pid}) works in this store")
    elif held(whom.store):
        yield _ok("lock", "a command works in this store; a service could not start now")
    elif (whom.store / "service.json").exists():
        advice = "start it again with: makeway up"
        yield _warn("lock", "a service has left its file behind: it did not end in peace", advice)
    else:
        yield _ok("lock", "nobody works in this store")


def service(whom: Asked) -> Iterator[Finding]:
    """Ask the service how it is, and whether both clocks agree."""
    if whom.url is None:
        yield _warn("service", "no service works in this store", "start one with: makeway up")
        return
    try:
        with opened(whom) as desk:
            began = time.time()
            found = desk.status()
            took_s = time.time() - began
    except Unreachable as error:
        yield _fail("service", f"{whom.url} ({whom.because}): {error.problem}", error.hint)
        return
    except MakewayError as error:
        yield _fail("service", f"{whom.url} ({whom.because}): {error}", error.hint)
        return
    text = f"{whom.url} answers in {took_s * 1000:.0f} ms, version {found.version}"
    if found.version != __version__:
        yield _warn("service", text, f"this command is {__version__}: use the same version")
    elif not found.storing:
        yield _fail("service", f"{text}; it cannot store: {found.text}", "see its log")
    else:
        yield _ok("service", text)
    yield _ok("token", f"you are {found.user}: {', '.join(found.scopes) or 'no scope'}")
    if found.since_s > time.time() + CLOCK_OFF_S:
        ahead = found.since_s - time.time()
        advice = "let both machines keep their time by NTP"
        yield _warn("clock", f"the service's clock is {ahead:.0f} s ahead or more", advice)


def cgroups(whom: Asked) -> Iterator[Finding]:
    """Look whether memory and processors of a worker can be limited by the kernel."""
    del whom
    advice = "limits are kept by watching then: makeway ends what takes too much memory"
    try:
        names = (CGROUPS / "cgroup.controllers").read_text("utf-8").split()
    except OSError:
        if os.access(CGROUPS / "memory", os.W_OK):
            yield _ok("cgroups", "version 1, which this user may divide")
        elif (CGROUPS / "memory").is_dir():
            yield _warn("cgroups", "version 1, which this user may not divide", advice)
        else:
            yield _warn("cgroups", "there are none", advice)
        return
    missing = [name for name in WANTED if name not in names]
    own = _own_cgroup()
    if missing:
        yield _warn("cgroups", f"version 2, without {', '.join(missing)}", advice)
    elif own is None or not os.access(own, os.W_OK):
        yield _warn("cgroups", "version 2, but this user may not divide its own", advice)
    else:
        yield _ok("cgroups", f"version 2 with {', '.join(WANTED)}, below {own}")


def gpus(whom: Asked) -> Iterator[Finding]:
    """Look for GPUs, and for what they are asked with."""
    del whom
    found = sorted(Path("/proc/driver/nvidia/gpus").glob("*"))
    if not found:
        yield _ok("gpus", "there are none of NVIDIA")
        return
    text = f"{len(found)} of NVIDIA"
    try:
        __import__("pynvml")
    except ImportError:
        yield _warn("gpus", f"{text}, unwatched", "pip install 'makeway[gpu]' records their use")
    else:
        yield _ok("gpus", text)


def clock(whom: Asked) -> Iterator[Finding]:
    """Look whether the clock is behind what was written already."""
    now_s = time.time()
    newest_s = float(BUILT_S)
    with contextlib.suppress(OSError):
        newest_s = max([newest_s, *(one.stat().st_mtime for one in whom.store.iterdir())])
    if now_s + CLOCK_OFF_S < newest_s:
        behind = newest_s - now_s
        advice = "set it right: until it has caught up, all times in the log stand still"
        yield _fail("clock", f"it is {behind:.0f} s behind what the store has seen", advice)
    else:
        yield _ok("clock", time.strftime("%Y-%m-%d %H:%M:%S %z"))


def disk(whom: Asked) -> Iterator[Finding]:
    """Look how much room is left, for the store and for what workers share."""
    for name, path in (("disk", _nearest(whom.store)), ("shm", Path("/dev/shm"))):  # noqa: S108 - only looked at
        if not path.is_dir():
            continue
        free = shutil.disk_usage(path).free
        text = f"{size_text(free)} free at {path}"
        limits = (FREE_WARN_BYTES, FREE_FAIL_BYTES) if name == "disk" else (64 << 20, 0)
        if free < limits[1]:
            yield _fail(name, text, "make room: soon nothing can be written")
        elif free < limits[0]:
            yield _warn(name, text, "make room, before jobs fail for it")
        else:
            yield _ok(name, text)
    inodes = os.statvfs(_nearest(whom.store)).f_favail
    if 0 < inodes < INODES_WARN:
        yield _warn("disk", f"{inodes} files more can be made", "remove some before jobs fail")


def postgres(whom: Asked) -> Iterator[Finding]:
    """Look whether PostgreSQL can be reached, if it is what is to be used."""
    from makeway.cli.configured import configured

    given = {"service.store": str(whom.store)}
    address = configured(given, cluster=False).service.database
    if not address.startswith("postgres"):
        yield _ok("database", "SQLite, in the store")
        return
    parts = urlsplit(address)
    where = f"{parts.hostname or 'localhost'}:{parts.port or POSTGRES_PORT}"
    try:
        psycopg = __import__("psycopg")
    except ImportError:
        advice = "pip install 'makeway[postgres]'"
        yield _fail("database", f"PostgreSQL at {where}, but psycopg is not there", advice)
        return
    try:
        plain = address.replace("postgresql+psycopg://", "postgresql://", 1)
        psycopg.connect(plain, connect_timeout=int(CONNECT_S)).close()
    except (OSError, socket.gaierror, psycopg.Error) as error:
        reason = str(error).strip().partition("\n")[0]
        advice = "start it, or correct service.database of the configuration"
        yield _fail("database", f"PostgreSQL at {where}: {reason}", advice)
    else:
        yield _ok("database", f"PostgreSQL at {where} answers")


CHECKS = (python, store, lock, service, cgroups, gpus, clock, disk, postgres)


def _nearest(path: Path) -> Path:
    """Give the nearest folder above that is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path if path.is_dir() else path.parent


def _file_system(path: Path) -> str:
    """Name the kind of file system a path lies in."""
    best, kind = "", "unknown"
    try:
        mounts = Path("/proc/self/mounts").read_text("utf-8").splitlines()
    except OSError:
        return kind
    for line in mounts:
        words = line.split()
        point = words[1].replace("\\040", " ")
        inside = f"{path}/".startswith(f"{point.rstrip('/')}/")
        if inside and len(point) >= len(best):
            best, kind = point, words[2]
    return kind


def _own_cgroup() -> Path | None:
    try:
        lines = Path("/proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        number, _, rest = line.partition(":")
        if number == "0":
            return CGROUPS / rest.partition(":")[2].lstrip("/")
    return None


def _ok(check: str, text: str) -> Finding:
    return Finding(check=check, state="ok", text=text)


def _warn(check: str, text: str, advice: str) -> Finding:
    return Finding(check=check, state="warn", text=text, advice=advice)


def _fail(check: str, text: str, advice: str) -> Finding:
    return Finding(check=check, state="fail", text=text, advice=advice)
