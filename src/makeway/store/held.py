"""Find what processes hold in memory for all who share a store, and who holds it.

Such an artifact is an anonymous file (memfd) that one process holds open. It takes no room on a disk
or in /dev/shm, and the kernel frees it when its holder is gone, however that went: there is nothing
to clean up, and nothing that only looks as if it was there. Others of the same machine and the same
user read it through the holder's descriptor.

    memory/DIGEST/PID-FD-TOKEN   a link to /proc/PID/fd/FD; several: it is held several times
    memory/holders/PID.json      whose holder that is

A pid may be another process's by tomorrow, so the name of the anonymous file has the link's token in
it: what bears another name is not what is looked for.

It is imported in every worker, so it takes the standard library alone.

Takes:   the folder of the store, a digest
Gives:   a path to read; None where nobody holds it any more
Cost:    20 µs where something is held; one failed `stat` where nothing is
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

FOLDER, HOLDERS = "memory", "holders"
NAME = "makeway-"


def folder_of(store: Path, digest: str) -> Path:
    """Give the folder in which the links to one artifact lie."""
    return store / FOLDER / digest


def find(store: Path, digest: str) -> Path | None:
    """Give the path of an artifact that somebody holds; None: nobody does."""
    return next((link for link in _links(store, digest) if is_held(link)), None)


def last_known(store: Path, digest: str) -> Path | None:
    """Give where it was held, whether anybody holds it or not; None: it never was."""
    return next(_links(store, digest), None)


def is_held(link: Path) -> bool:
    """Say whether the process that a link leads to still holds what it held."""
    token = link.name.rpartition("-")[2]
    try:
        return os.readlink(os.readlink(link)).startswith(f"/memfd:{NAME}{token}")  # noqa: PTH115 - on the way to every artifact
    except OSError:
        return False


def link_name(pid: int, descriptor: int, token: str) -> str:
    """Name the link to what a process holds under a descriptor."""
    return f"{pid}-{descriptor}-{token}"


def links_of(store: Path, pid: int) -> Iterator[Path]:
    """Give all links that lead to a process."""
    with_others = (store / FOLDER).iterdir() if (store / FOLDER).is_dir() else iter(())
    for folder in with_others:
        if folder.name != HOLDERS:
            yield from folder.glob(f"{pid}-*")


def _links(store: Path, digest: str) -> Iterator[Path]:
    folder = folder_of(store, digest)
    try:
        names = sorted(os.listdir(folder), reverse=True)  # noqa: PTH208 - as above
    except OSError:
        return
    yield from (folder / name for name in names)
