"""Make workers real as processes of this machine.

Orders are turned into files and messages: `launch.json` and a request to the zygote for a launch,
Go, Resize and Stop to the agents. What happens comes from three sides: agents call and say Ready
and Started and what was measured; the kernel says through a pidfd that an agent is gone; then
`exit.json` says how its worker ended.

A worker is at most one, by its lock: before anything is launched the folder is looked at, and an
agent that lives there is adopted instead. So the same orders can be repeated after a restart, and
an agent that outlived the controller simply goes on. GPUs and processors are given out only when
all that was repeated is known, which is so when `observe` is called: whoever lives has theirs.

All nodes are this machine, whatever their names.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
from pathlib import Path

import msgspec

from makeway.executor import folder as files
from makeway.executor.address import listen
from makeway.executor.adoption import find, swept
from makeway.executor.base import Observed, Readings
from makeway.executor.equipment import Equipment, Site, asked_by
from makeway.executor.launches import Place, launches
from makeway.executor.protocol import (
    Fork,
    Forked,
    FromAgent,
    Go,
    Launch,
    Measured,
    Ready,
    Started,
    Stop,
)
from makeway.executor.team import Team
from makeway.executor.watched import ANSWER_MS, Caller, Watched
from makeway.executor.zygote import Zygote
from makeway.failpoint import reach
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

DOOR = "controller.sock"
DEFAULT = Site()
LOOK_MS = 200


class LocalExecutor:
    """Workers as local processes; see the module and `base.Executor`."""

    def __init__(
        self, store: Path, zygote: Zygote, *, sample_ms: int = 1000, site: Site = DEFAULT
    ) -> None:
        """Listen for agents in the store's folder."""
        self._store, self._zygote, self._equipment = store, zygote, Equipment(site)
        self._place = Place(store=store, controller=store / DOOR, sample_ms=sample_ms)
        self._teams: dict[tuple[str, int], Team] = {}
        self._by_folder: dict[str, Watched] = {}
        self._peers: set[socket.socket] = set()  # those who have not said yet who they are as well
        self._by_peer: dict[socket.socket, Watched] = {}
        self._events: list[Event] = []
        self._readings: list[Readings] = []
        self._unlaunched: list[tuple[Watched, Resources]] | None = []  # None: all is known by now
        self._selector = selectors.DefaultSelector()
        self._door = listen(store / DOOR)
        self._door.settimeout(0)
        self._selector.register(self._door, selectors.EVENT_READ, self._welcome)
        self._bell: int | None = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._ringing = threading.Lock()
        self._selector.register(self._bell, selectors.EVENT_READ, self._woken)
        self._listen_to_zygote()

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
        team.advance(_now_ms())

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
            self._equipment.equipped(launch, asked[rank]) if rank in team.members else launch
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
                done = Exit(at_ms=_now_ms(), code=0, started=False)
                self._events.append(_exited(launch, done))
            else:
                self._begin(team, launch, asked)

    def _begin(self, team: Team, launch: Launch, asked: Resources) -> None:
        worker = self._watch_over(team, launch)
        if self._unlaunched is not None:
            self._unlaunched.append((worker, asked))
        else:
            self._fork(worker, asked)

    def _fork(self, worker: Watched, asked: Resources) -> None:
        worker.launch = launch = self._equipment.equipped(worker.launch, asked)
        try:
            worker.folder.mkdir(parents=True, exist_ok=True)
            files.write_whole(worker.folder / files.LAUNCH, launch)
        except OSError as error:
            self._gone(worker, Exit(at_ms=_now_ms(), lost=f"not launched: {error}", started=False))
        else:
            self._ask_for_agent(worker)

    def _ask_for_agent(self, worker: Watched) -> None:
        reach("executor.fork.before")
        if self._zygote.ask(Fork(folder=str(worker.folder))):
            self._listen_to_zygote()
        reach("executor.fork.after")

    def _stop(self, worker: Watched, cause: str, grace_ms: int) -> None:
        worker.order(Stop(fence=worker.launch.fence, cause=cause, grace_ms=grace_ms))
        # The agent kills in time by itself; this is for one that does not answer.
        worker.kill_at_ms = _now_ms() + grace_ms + ANSWER_MS

    def _watch_over(self, team: Team, launch: Launch) -> Watched:
        worker = Watched(launch=launch, folder=self._folder(launch))
        self._teams[(launch.job, launch.fence)] = team
        team.members[launch.rank] = worker
        self._by_folder[str(worker.folder)] = worker
        return worker

    def _folder(self, launch: Launch) -> Path:
        return files.worker_folder(self._store, launch.job, launch.number, launch.rank)

    def _find_again(self, team: Team, launch: Launch, asked: Resources) -> None:
        """Adopt a worker launched before a restart, or tell how it ended."""
        worker = self._watch_over(team, launch)
        known = files.read_whole(worker.folder / files.LAUNCH, Launch)
        if known is not None:
            worker.launch = known
        found = find(worker.folder)
        if not isinstance(found, Exit):
            self._equipment.hold(worker.launch, asked)
        self._take_up(worker, found)

    def _take_up(self, worker: Watched, found: int | Exit | None) -> None:
        if isinstance(found, Exit):
            self._gone(worker, found)
        elif found is None:
            self._ask_for_agent(worker)
        else:
            self._watch(worker, found)

    def _watch(self, worker: Watched, pid: int) -> None:
        try:
            worker.pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            self._left(worker)
            return
        self._selector.register(worker.pidfd, selectors.EVENT_READ, lambda _fd: self._left(worker))

    # ── what happens ──────────────────────────────────────────────────────────────────────────────

    def observe(self, timeout_ms: int) -> Observed:
        """Wait until something happens, at most so long, and tell it."""
        unlaunched, self._unlaunched = self._unlaunched or [], None
        for worker, asked in unlaunched:
            self._fork(worker, asked)
        late = [worker for worker in self._by_folder.values() if worker.kill_at_ms is not None]
        if self._events or self._readings:
            timeout_ms = 0
        elif late:
            timeout_ms = min(timeout_ms, LOOK_MS)
        for key, _ in self._selector.select(timeout_ms / 1000):
            key.data(key.fileobj)
        for worker in late:
            worker.kill_late(_now_ms())
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
        for worker in self._by_folder.values():
            if worker.pidfd is not None:
                os.close(worker.pidfd)
        for peer in self._peers:
            peer.close()
        self._teams.clear()
        self._by_folder.clear()
        self._door.close()
        self._selector.close()
        self._zygote.close()

    def _welcome(self, _door: object) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                peer, _ = self._door.accept()
                peer.settimeout(None)
                self._peers.add(peer)
                caller = Caller(peer, self._heard, self._hung_up)
                self._selector.register(peer, selectors.EVENT_READ, caller.hear)

    def _forked(self, message: Forked) -> None:
        worker = self._by_folder.get(message.folder)
        if worker is None or worker.pidfd is not None:
            return
        found: int | Exit | None = message.pid
        if found is None:  # there is one already, or there can be none
            found = find(worker.folder)
            found = found or Exit(at_ms=_now_ms(), lost=message.problem, started=False)
        self._take_up(worker, found)

    def _listen_to_zygote(self) -> None:
        for key in list(self._selector.get_map().values()):
            if key.data == self._hear_zygote:
                self._selector.unregister(key.fileobj)
        self._selector.register(self._zygote.socket, selectors.EVENT_READ, self._hear_zygote)

    def _hear_zygote(self, _sock: object) -> None:
        replies = self._zygote.replies()
        if replies is not None:
            for reply in replies:
                if isinstance(reply, Forked):
                    self._forked(reply)
            return
        # It died (somebody killed it, or ran it out of memory). A fresh one takes what it owed;
        # an agent that was forked all the same holds its lock, and is found by it.
        self._zygote.restart()
        self._listen_to_zygote()
        for worker in list(self._by_folder.values()):
            if worker.pidfd is None and (worker.folder / files.LAUNCH).exists():
                self._take_up(worker, find(worker.folder))

    def _heard(self, peer: socket.socket, message: FromAgent) -> None:
        """Take a message of an agent; the first one says who calls."""
        if isinstance(message, Measured):
            self._measured(message)
            return
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
                team.advance(_now_ms())
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

    def _left(self, worker: Watched) -> None:
        """Read what an agent that is gone still had to say, then how its worker ended."""
        if worker.pidfd is not None:
            self._selector.unregister(worker.pidfd)
            os.close(worker.pidfd)
            worker.pidfd = None
        while worker.peer is not None:
            self._selector.get_key(worker.peer).data(worker.peer)
        self._gone(worker, files.read_exit(worker.folder) or swept(worker.folder))

    def _gone(self, worker: Watched, ended: Exit) -> None:
        launch = worker.launch
        team = self._teams[(launch.job, launch.fence)]
        team.members.pop(worker.rank, None)
        self._by_folder.pop(str(worker.folder), None)
        self._equipment.give_back(worker.folder)
        self._take_spool(worker)
        self._events.append(_exited(launch, ended))
        team.advance(_now_ms())
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


def _exited(launch: Launch, ended: Exit) -> WorkerExited:
    return WorkerExited(job=launch.job, fence=launch.fence, rank=launch.rank, exit=ended)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
