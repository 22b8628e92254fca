"""Turn orders into teams of workers, and what their agents say into events: what executors share.

Orders become launches, one a worker; agents call at a door, and say Ready and Started and what was
measured; each is told Go, Resize and Stop, now or when it calls again. How an agent is brought to
life, found again after a restart, and known to be gone, is the executor's own: a subclass says it.

    _door        where agents call
    _begin       a worker that there was not yet: bring an agent to life for it
    _find_again  a worker launched before a restart: adopt it, or tell how it ended
    _equipped    what the place has for a worker that stays while others come and go
    _let_go      what it had is free again

The same orders can be repeated after a restart: whoever is there already is not begun twice. What
is new is begun only when all that was repeated is known, which is so when `observe` is called.

Holds:   an end is told once · nobody is begun twice
"""

from __future__ import annotations

import abc
import contextlib
import os
import selectors
import socket
import threading
import time
from pathlib import Path

import msgspec

from makeway.executor import folder as files
from makeway.executor.base import Observed, Readings
from makeway.executor.equipment import asked_by
from makeway.executor.launches import Place, launches
from makeway.executor.protocol import FromAgent, Go, Launch, Measured, Ready, Started, Stop
from makeway.executor.team import Team
from makeway.executor.watched import ANSWER_MS, Caller, Watched
from makeway.model.effect import (
    Effect,
    LaunchWorkers,
    ReleaseWorkers,
    ResizeWorkers,
    StopWorkers,
)
from makeway.model.event import Event, WorkerExited, WorkerReady, WorkerStarted
from makeway.model.record import Exit
from makeway.model.resources import Resources

LOOK_MS = 200


class Crew(abc.ABC):
    """The workers of all attempts; see the module and `base.Executor`."""

    def __init__(self, place: Place, door: socket.socket) -> None:
        """Take where workers live, and the socket at which their agents call."""
        self._place, self._store, self._door = place, place.store, door
        self._teams: dict[tuple[str, int], Team] = {}
        self._by_folder: dict[str, Watched] = {}
        self._peers: set[socket.socket] = set()  # those who have not said yet who they are as well
        self._by_peer: dict[socket.socket, Watched] = {}
        self._events: list[Event] = []
        self._readings: list[Readings] = []
        self._unlaunched: list[tuple[Watched, Resources]] | None = []  # None: all is known by now
        self._selector = selectors.DefaultSelector()
        self._door.settimeout(0)
        self._selector.register(self._door, selectors.EVENT_READ, self._welcome)
        self._bell: int | None = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._ringing = threading.Lock()
        self._selector.register(self._bell, selectors.EVENT_READ, self._woken)

    # ── what an executor does in its own way ──────────────────────────────────────────────────────

    @abc.abstractmethod
    def _bring(self, worker: Watched, asked: Resources) -> None:
        """Write its launch down, and bring an agent to life for it."""

    @abc.abstractmethod
    def _find_again(self, team: Team, launch: Launch, asked: Resources) -> None:
        """Adopt a worker launched before a restart, or tell how it ended."""

    @abc.abstractmethod
    def _equipped(self, launch: Launch, asked: Resources) -> Launch:
        """Give a launch with all that its place has for it."""

    @abc.abstractmethod
    def _let_go(self, worker: Watched) -> None:
        """Know that what a worker had is free again."""

    @abc.abstractmethod
    def _too_late(self, worker: Watched, at_ms: int) -> None:
        """End a worker whose agent did not do in time what it was told, if that is so."""

    def _listen_at(self, peer: socket.socket) -> None:
        """Prepare a connection of an agent."""
        peer.settimeout(None)

    # ── orders ────────────────────────────────────────────────────────────────────────────────────

    def carry_out(self, effect: Effect) -> None:
        """Begin to do what is ordered."""
        key = (effect.job, effect.fence)
        if isinstance(effect, LaunchWorkers):
            self._launch(effect)
            return
        team = self._teams.get(key)
        if team is None:
            return  # an attempt that is over
        match effect:
            case ReleaseWorkers():
                team.released = True
                go = Go(fence=effect.fence, address=effect.address, port=effect.port)
                for worker in team.members.values():
                    if not worker.started:
                        worker.order(go)
            case ResizeWorkers():
                self._resize(team, effect)
            case StopWorkers():
                team.stopped = True
                for worker in team.members.values():
                    self._stop(worker, effect.cause, effect.grace_ms)
        team.advance(now_ms())

    def _launch(self, order: LaunchWorkers) -> None:
        each = launches(order, self._place)
        key = (order.job, order.fence)
        team = self._teams.get(key)
        if team is None:
            team = self._teams[key] = Team(self._folder(each[0]), len(each))
        for launch, asked in zip(each, asked_by(order), strict=True):
            if launch.rank in team.members:
                continue
            if (self._folder(launch) / files.LAUNCH).exists():
                self._find_again(team, launch, asked)
            elif not team.late and launch.rank < team.launched:
                self._begin(team, launch, asked)

    def _resize(self, team: Team, order: ResizeWorkers) -> None:
        asked = asked_by(order)
        each = [
            self._equipped(launch, asked[rank]) if rank in team.members else launch
            for rank, launch in enumerate(launches(order, self._place))
        ]
        if not team.begin(each, order.grace_ms):
            return
        for worker in team.members.values():
            if worker.rank >= len(each):
                self._stop(worker, "resize", order.grace_ms)
        for launch in each:
            if launch.rank not in team.members:
                self._join(team, launch, asked[launch.rank])

    def _join(self, team: Team, launch: Launch, asked: Resources) -> None:
        folder = self._folder(launch)
        earlier = files.read_whole(folder / files.LAUNCH, Launch)
        if earlier is not None and earlier.generation == launch.generation:
            self._find_again(team, launch, asked)
        elif earlier is None or team.joins(launch.rank):
            if (
                earlier is not None
            ):  # a worker of this rank has left: its files stay, out of the way
                folder.rename(folder.with_name(f"{folder.name}.{earlier.generation}"))
            if team.released and 0 not in team.members:
                # The work is done already: there is nothing to join.
                done = Exit(at_ms=now_ms(), code=0, started=False)
                self._events.append(exited(launch, done))
            else:
                self._begin(team, launch, asked)

    def _begin(self, team: Team, launch: Launch, asked: Resources) -> None:
        worker = self._watch_over(team, launch)
        if self._unlaunched is not None:
            self._unlaunched.append((worker, asked))
        else:
            self._bring(worker, asked)

    def _stop(self, worker: Watched, cause: str, grace_ms: int) -> None:
        worker.order(Stop(fence=worker.launch.fence, cause=cause, grace_ms=grace_ms))
        # The agent kills in time by itself; this is for one that does not answer.
        worker.kill_at_ms = now_ms() + grace_ms + ANSWER_MS

    def _watch_over(self, team: Team, launch: Launch) -> Watched:
        worker = Watched(launch=launch, folder=self._folder(launch))
        self._teams[(launch.job, launch.fence)] = team
        team.members[launch.rank] = worker
        self._by_folder[str(worker.folder)] = worker
        return worker

    def _folder(self, launch: Launch) -> Path:
        return files.worker_folder(self._store, launch.job, launch.number, launch.rank)

    # ── what happens ──────────────────────────────────────────────────────────────────────────────

    def observe(self, timeout_ms: int) -> Observed:
        """Wait until something happens, at most so long, and tell it."""
        unlaunched, self._unlaunched = self._unlaunched or [], None
        for worker, asked in unlaunched:
            self._bring(worker, asked)
        late = [worker for worker in self._by_folder.values() if worker.kill_at_ms is not None]
        if self._events or self._readings:
            timeout_ms = 0
        elif late:
            timeout_ms = min(timeout_ms, LOOK_MS)
        for key, _ in self._selector.select(timeout_ms / 1000):
            key.data(key.fileobj)
        for worker in late:
            self._too_late(worker, now_ms())
        observed = Observed(events=self._events, readings=self._readings)
        self._events, self._readings = [], []
        return observed

    def wake(self) -> None:
        """Let an `observe` that waits, or else the next one, return at once."""
        with self._ringing:
            if self._bell is not None:
                os.eventfd_write(self._bell, 1)

    def _woken(self, _bell: object) -> None:
        if self._bell is not None:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._bell)

    def close(self) -> None:
        """Let go of everything but the workers."""
        with self._ringing:  # another thread may still want to wake what is no more
            bell, self._bell = self._bell, None
            if bell is not None:
                os.close(bell)
        for peer in self._peers:
            peer.close()
        self._teams.clear()
        self._by_folder.clear()
        self._door.close()
        self._selector.close()

    def _welcome(self, _door: object) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                peer, _ = self._door.accept()
                self._listen_at(peer)
                self._peers.add(peer)
                caller = Caller(peer, self._heard, self._hung_up)
                self._selector.register(peer, selectors.EVENT_READ, caller.hear)

    def _heard(self, peer: socket.socket, message: FromAgent) -> None:
        """Take a message of an agent; the first one says who calls."""
        if isinstance(message, Measured):
            self._measured(message)
            return
        if not isinstance(message, Ready | Started):
            return  # what only agents of other machines say
        team = self._teams.get((message.job, message.fence))
        worker = None if team is None else team.members.get(message.rank)
        if team is None or worker is None:
            return  # nobody waits for it: an attempt that is over
        if worker.peer is not peer:
            worker.peer = peer
            self._by_peer[peer] = worker
            worker.repeat()
        job, fence, rank, pid = message.job, message.fence, message.rank, message.pid
        match message:
            case Ready(address=address, port=port):
                worker.ready_at, worker.address, worker.port = message.generation, address, port
                if message.generation == worker.launch.generation and not team.stopped:
                    worker.kill_at_ms = None
                self._events.append(
                    WorkerReady(
                        job=job, fence=fence, rank=rank, pid=pid, address=address, port=port
                    )
                )
                team.advance(now_ms())
            case Started():
                worker.started = True
                self._events.append(WorkerStarted(job=job, fence=fence, rank=rank, pid=pid))

    def _hung_up(self, peer: socket.socket) -> None:
        """Forget a connection that is over; the agent calls again if it lives."""
        self._selector.unregister(peer)
        peer.close()
        self._peers.discard(peer)
        worker = self._by_peer.pop(peer, None)
        if worker is not None and worker.peer is peer:
            worker.peer = None

    def _gone(self, worker: Watched, ended: Exit) -> None:
        launch = worker.launch
        team = self._teams[(launch.job, launch.fence)]
        team.members.pop(worker.rank, None)
        self._by_folder.pop(str(worker.folder), None)
        self._let_go(worker)
        self._take_spool(worker)
        self._events.append(exited(launch, ended))
        team.advance(now_ms())
        if not team.members:
            del self._teams[(launch.job, launch.fence)]

    def _take_spool(self, worker: Watched) -> None:
        spool = worker.folder / files.SPOOL
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
            kept = msgspec.msgpack.decode(spool.read_bytes(), type=list[Measured])
            spool.unlink()
            for message in kept:
                self._measured(message)

    def _measured(self, message: Measured) -> None:
        readings = Readings(
            job=message.job, number=message.number, rank=message.rank, samples=message.samples,
            notes=message.notes,
        )  # fmt: skip
        self._readings.append(readings)


def exited(launch: Launch, ended: Exit) -> WorkerExited:
    """Say that a worker has ended."""
    return WorkerExited(job=launch.job, fence=launch.fence, rank=launch.rank, exit=ended)


def now_ms() -> int:
    """Tell the time."""
    return time.time_ns() // 1_000_000
