"""Read what workers print, from the files in their folders, while they print it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from makeway.executor.folder import LOG

CHUNK_BYTES = 1 << 18


class WorkerLogs:
    """The logs of one attempt's workers; each call goes on where the one before stopped."""

    def __init__(self, folder: Path, rank: int | None, over: Callable[[], bool]) -> None:
        """Take the attempt's folder and whose log is wanted; `over` says that the job is final."""
        self._folder, self._rank, self._over = folder, rank, over
        self._at: dict[int, int] = {}

    def more(self) -> Sequence[tuple[int, bytes]]:
        """Give what is new: whole lines, and what is left of the last one once it is over."""
        over = self._over()
        found = []
        for rank in self._ranks():
            data = self._read(rank, whole=over)
            if data:
                found.append((rank, data))
        return found

    def ended(self) -> bool:
        """Say whether nothing more will come."""
        return self._over()

    def _ranks(self) -> list[int]:
        if self._rank is not None:
            return [self._rank]
        return sorted(int(path.name) for path in self._folder.glob("[0-9]*"))

    def _read(self, rank: int, *, whole: bool) -> bytes:
        at = self._at.get(rank, 0)
        try:
            with (self._folder / str(rank) / LOG).open("rb") as file:
                file.seek(at)
                data = file.read(CHUNK_BYTES)
        except FileNotFoundError:
            return b""
        if not whole and len(data) < CHUNK_BYTES:
            data = data[: data.rfind(b"\n") + 1]
        self._at[rank] = at + len(data)
        return data


def tails(folder: Path, rank: int | None, most: int) -> list[tuple[int, bytes]]:
    """Read the end of each log of an attempt, whole lines of at most so many bytes."""
    ranks = [int(path.name) for path in folder.glob("[0-9]*")] if rank is None else [rank]
    found = []
    for one in sorted(ranks):
        try:
            with (folder / str(one) / LOG).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - most))
                data = file.read(most)
        except FileNotFoundError:
            continue
        found.append((one, data if size <= most else data[data.find(b"\n") + 1 :]))
    return found
