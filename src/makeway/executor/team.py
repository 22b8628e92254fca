"""Bring the workers of an attempt from one generation to the next.

A resize is a restart of those that stay, around a new barrier, while the attempt goes on:

    leave      who is out of it is told so; nobody waits for them
    join       new workers come to the barrier first: all that takes long is done by then
    return     those that stay are told to leave their program and to come to the barrier as well
    go         when all stand there they are let go, and meet at the place that rank 0 holds now

Before the attempt itself was let go nothing runs that would have to stop: the workers are told who
they are now, and go with the order that lets the attempt go. Which generation is under way, and
whether it was let go, is written down beside rank 0 (`team.json`), so that the same orders after a
restart do nothing twice.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from makeway.executor import folder as files
from makeway.executor.protocol import Go, Launch, Resize, Stop
from makeway.executor.watched import ANSWER_MS, Watched


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """What `team.json` says: ranks from `before` on are new in this generation."""

    generation: int
    workers: int
    before: int
    gone: bool = False
    address: str = ""
    port: int = 0


class Team:
    """One attempt's workers; as members of a generation once it was resized."""

    def __init__(self, folder: Path, workers: int) -> None:
        """Take rank 0's folder, and with how many workers the attempt was ordered."""
        self._folder = folder
        known = files.read_whole(folder / files.TEAM, Membership)
        first = files.read_whole(folder / files.LAUNCH, Launch)
        # Of a job that was resized the order to launch speaks of later workers as well: these come
        # with the order to resize, which follows.
        self.late = known is not None
        self.launched = workers if first is None or known is not None else first.workers
        self._now = known or Membership(
            generation=0, workers=self.launched, before=self.launched, gone=True
        )
        self._launches: list[Launch] = []
        self._grace_ms = 0
        self.released = False
        self.stopped = False
        self.members: dict[int, Watched] = {}

    def begin(self, launches: list[Launch], grace_ms: int) -> bool:
        """Begin a generation, or go on with it after a restart; False if it is no new one."""
        generation = launches[0].generation
        if self._launches and generation <= self._now.generation:
            return False
        if generation > self._now.generation:
            before = self._now.workers
            self._now = Membership(generation=generation, workers=len(launches), before=before)
            self._write()
        self._launches, self._grace_ms = launches, grace_ms
        return True

    def joins(self, rank: int) -> bool:
        """Say whether a rank is new in this generation."""
        return rank >= self._now.before

    @property
    def broken(self) -> bool:
        """Say whether somebody is gone without whom those at the barrier wait in vain."""
        if not self.released or not self._launches or self._now.gone:
            return False
        return any(launch.rank not in self.members for launch in self._launches)

    def advance(self, now_ms: int) -> None:
        """Give the orders that can be given by now."""
        if not self._launches or self.stopped:
            return
        if self.broken:
            self._call_off()
            return
        if not self._now.gone:
            if self.released and any(self._awaited(launch.rank) for launch in self._launches):
                return  # those who join are on their way, and nobody has to wait for them idly
            self._call_back(now_ms)
            if not self.released or not all(self._there(each.rank) for each in self._launches):
                return
            first = self.members[0]
            self._now = msgspec.structs.replace(
                self._now, gone=True, address=first.address, port=first.port
            )
            self._write()
        now = self._now
        for worker in self._present():
            worker.order(
                Go(
                    fence=worker.launch.fence,
                    address=now.address,
                    port=now.port,
                    generation=now.generation,
                )
            )

    def _call_back(self, now_ms: int) -> None:
        for launch in self._launches:
            worker = self.members[launch.rank]
            if worker.launch.generation < self._now.generation:
                worker.launch = launch
                worker.order(Resize(fence=launch.fence, launch=launch, grace_ms=self._grace_ms))
                if self.released and not launch.live:
                    worker.kill_at_ms = now_ms + self._grace_ms + ANSWER_MS

    def _call_off(self) -> None:
        for worker in self._present():
            if worker.ready_at == self._now.generation:
                stop = Stop(fence=worker.launch.fence, cause="peer", grace_ms=0)
                worker.order(stop)

    def _present(self) -> list[Watched]:
        ranks = [launch.rank for launch in self._launches]
        return [self.members[rank] for rank in ranks if rank in self.members]

    def _awaited(self, rank: int) -> bool:
        return self.joins(rank) and self.members[rank].ready_at is None

    def _there(self, rank: int) -> bool:
        return self.members[rank].ready_at == self._now.generation

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # the disk is full: it goes on, but for a restart
            files.write_whole(self._folder / files.TEAM, self._now, durable=True)
