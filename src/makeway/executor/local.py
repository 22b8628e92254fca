"""Make workers real as processes of this machine.

Orders are turned into files and messages: `launch.json` and a request to the zygote for a launch,
Go and Stop to the agents. What happens comes from three sides: agents call and say Ready and
Started and what was measured; the kernel says through a pidfd that an agent is gone; then
`exit.json` says how its worker ended.

A worker is at most one, by its lock: before anything is launched the folder is looked at, and an
agent that lives there is adopted instead. So the same orders can be repeated after a restart, and
an agent that outlived the controller simply goes on.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import threading
import time
from pathlib import Path

import msgspec

from makeway.executor import folder as files
from makeway.executor.address import listen
from makeway.executor.base import Observed, Readings
from makeway.executor.launches import Site, launches
from makeway.executor.processes import boot_id, holders, kill_all, start_ticks
from makeway.executor.protocol import (
    Fork,
    Forked,
    Frames,
    FromAgent,
    Go,
    Launch,
    Measured,
    Message,
    Ready,
    Started,
    Stop,
    send,
)
from makeway.executor.zygote import Zygote
from makeway.model.effect import (
    Effect,
    LaunchWorkers,
    ReleaseWorkers,
    ResizeWorkers,
    StopWorkers,
)
from makeway.model.event import Event, WorkerExited, WorkerReady, WorkerStarted
from makeway.model.record import Exit

ADDRESS = "127.0.0.1"
SILENT_MS = 5_000
Key = tuple[str, int, int]


class Watched(msgspec.Struct, kw_only=True, eq=False):
    """What is known of one worker's agent."""

    job: str
    number: int
    fence: int
    rank: int
    folder: Path
    pidfd: int | None = None
    peer: socket.socket | None = None
    started: bool = False
    orders: list[Message] = []
    kill_at_ms: int | None = None


class LocalExecutor:
    """Workers as local processes; see the module and `base.Executor`."""

    def __init__(self, store: Path, zygote: Zygote, *, sample_ms: int = 1000) -> None:
        """Listen for agents in the store's folder."""
        self._store, self._zygote = store, zygote
        door = store / "controller.sock"
        self._site = Site(store=store, controller=door, address=ADDRESS, sample_ms=sample_ms)
        self._boot = boot_id()
        self._watched: dict[Key, Watched] = {}
        self._by_folder: dict[str, Watched] = {}
        self._events: list[Event] = []
        self._readings: list[Readings] = []
        self._selector = selectors.DefaultSelector()
        self._door = listen(door)
        self._door.settimeout(0)
        self._selector.register(self._door, selectors.EVENT_READ, self._welcome)
        self._bell: int | None = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._ringing = threading.Lock()
        self._selector.register(self._bell, selectors.EVENT_READ, lambda _fd: self._woken())
        self._listen_to_zygote()

    # ── orders ────────────────────────────────────────────────────────────────────────────────────

    def carry_out(self, effect: Effect) -> None:
        """Begin to do what is ordered."""
        match effect:
            case LaunchWorkers():
                for launch in launches(effect, self._site):
                    self._launch(launch)
            case ReleaseWorkers():
                go = Go(fence=effect.fence, address=effect.address, port=effect.port)
                for worker in self._of(effect.job, effect.fence):
                    if not worker.started:
                        self._order(worker, go)
            case ResizeWorkers():
                # The jobs of workflows are rigid, and nothing else is launched here yet.
                message = f"{effect.job}: the number of local workers cannot change"
                raise AssertionError(message)
            case StopWorkers():
                stop = Stop(fence=effect.fence, cause=effect.cause, grace_ms=effect.grace_ms)
                for worker in self._of(effect.job, effect.fence):
                    self._order(worker, stop)
                    # The agent kills in time by itself; this is for one that does not answer.
                    worker.kill_at_ms = _now_ms() + effect.grace_ms + SILENT_MS

    def _launch(self, launch: Launch) -> None:
        if (launch.job, launch.fence, launch.rank) in self._watched:
            return
        folder = files.worker_folder(self._store, launch.job, launch.number, launch.rank)
        worker = Watched(
            job=launch.job,
            number=launch.number,
            fence=launch.fence,
            rank=launch.rank,
            folder=folder,
        )
        self._watched[(launch.job, launch.fence, launch.rank)] = worker
        self._by_folder[str(folder)] = worker
        if (folder / files.LAUNCH).exists():
            self._find_again(worker)
            return
        folder.mkdir(parents=True, exist_ok=True)
        files.write_whole(folder / files.LAUNCH, launch)
        self._fork(worker)

    def _fork(self, worker: Watched) -> None:
        if self._zygote.ask(Fork(folder=str(worker.folder))):
            self._listen_to_zygote()

    def _order(self, worker: Watched, message: Message) -> None:
        """Send an order, and keep it for an agent that is not in touch at this moment."""
        if message not in worker.orders:
            worker.orders.append(message)
        if worker.peer is not None:
            with contextlib.suppress(OSError):  # it has been cut off; it will call again
                send(worker.peer, message)

    def _of(self, job: str, fence: int) -> list[Watched]:
        return [worker for key, worker in self._watched.items() if key[:2] == (job, fence)]

    # ── adoption ──────────────────────────────────────────────────────────────────────────────────

    def _find_again(self, worker: Watched) -> None:
        """Adopt a worker launched before a restart, or tell how it ended."""
        ended = files.read_exit(worker.folder)
        if ended is not None:
            self._gone(worker, ended)
            return
        lock = files.try_lock(worker.folder)
        if lock is not None:
            os.close(lock)
            # Nobody lives there. If the program was never let go, nothing of the user's has run.
            ended = files.read_exit(worker.folder) or self._vanished(worker)
            self._gone(worker, ended)
            return
        agent = files.read_whole(worker.folder / files.AGENT, files.AgentRecord)
        if agent is None or not self._is_agent(agent):
            # The agent is gone, and the worker holds the lock: it has nobody to answer for it.
            self._sweep(worker)
            self._gone(worker, self._vanished(worker))
            return
        self._watch(worker, agent.pid)

    def _is_agent(self, agent: files.AgentRecord) -> bool:
        return agent.boot == self._boot and start_ticks(agent.pid) == agent.started_ticks

    def _vanished(self, worker: Watched) -> Exit:
        begun = (worker.folder / files.BEGUN).exists()
        return Exit(
            at_ms=_now_ms(),
            lost="its agent vanished without a record" if begun else "it vanished before it began",
            started=begun,
        )

    def _sweep(self, worker: Watched) -> None:
        marker = f"MAKEWAY_DIR={worker.folder}\0"
        until = time.monotonic() + SILENT_MS / 1000
        while pids := holders((worker.folder / files.LOCK).resolve(), marker):
            kill_all(pids)
            if time.monotonic() > until:
                break
            time.sleep(0.01)

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
        if self._events or self._readings:
            timeout_ms = 0
        elif any(worker.kill_at_ms is not None for worker in self._watched.values()):
            timeout_ms = min(timeout_ms, 200)
        for key, _ in self._selector.select(timeout_ms / 1000):
            key.data(key.fileobj)
        self._kill_silent()
        observed = Observed(events=self._events, readings=self._readings)
        self._events, self._readings = [], []
        return observed

    def wake(self) -> None:
        """Let an `observe` that waits, or else the next one, return at once."""
        with self._ringing:
            if self._bell is not None:
                os.eventfd_write(self._bell, 1)

    def _woken(self) -> None:
        if self._bell is not None:
            os.eventfd_read(self._bell)

    def close(self) -> None:
        """Let go of everything but the workers."""
        with self._ringing:  # another thread may still want to wake what is no more
            bell, self._bell = self._bell, None
            if bell is not None:
                os.close(bell)
        for worker in self._watched.values():
            if worker.peer is not None:
                worker.peer.close()
            if worker.pidfd is not None:
                os.close(worker.pidfd)
        self._watched.clear()
        self._door.close()
        self._selector.close()
        self._zygote.close()

    def _welcome(self, _door: object) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                peer, _ = self._door.accept()
                peer.settimeout(None)
                caller = _Caller(peer, self)
                self._selector.register(peer, selectors.EVENT_READ, caller.hear)

    def _forked(self, message: Forked) -> None:
        worker = self._by_folder.get(message.folder)
        if worker is None or worker.pidfd is not None:
            return
        if message.pid is not None:
            self._watch(worker, message.pid)
        else:
            self._gone(worker, Exit(at_ms=_now_ms(), lost=message.problem, started=False))

    def _listen_to_zygote(self) -> None:
        sock = self._zygote.socket
        for key in list(self._selector.get_map().values()):
            if key.data == self._hear_zygote:
                self._selector.unregister(key.fileobj)
        self._selector.register(sock, selectors.EVENT_READ, self._hear_zygote)

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
        for worker in list(self._watched.values()):
            if worker.pidfd is None and worker.peer is None:
                self._find_again(worker) if (worker.folder / files.AGENT).exists() else self._fork(
                    worker
                )

    def heard(self, peer: socket.socket, message: FromAgent) -> None:
        """Take a message of an agent; the first one says who calls."""
        if isinstance(message, Measured):
            self._measured(message)
            return
        worker = self._watched.get((message.job, message.fence, message.rank))
        if worker is None:
            return  # nobody waits for it: an attempt that is over
        if worker.peer is not peer:
            worker.peer = peer
            for order in worker.orders:
                with contextlib.suppress(OSError):
                    send(peer, order)
        match message:
            case Ready():
                event: Event = WorkerReady(
                    job=message.job,
                    fence=message.fence,
                    rank=message.rank,
                    pid=message.pid,
                    address=message.address,
                    port=message.port,
                )
            case Started():
                worker.started = True
                event = WorkerStarted(
                    job=message.job, fence=message.fence, rank=message.rank, pid=message.pid
                )
        self._events.append(event)

    def hung_up(self, peer: socket.socket) -> None:
        """Forget a connection that is over; the agent calls again if it lives."""
        self._selector.unregister(peer)
        peer.close()
        for worker in self._watched.values():
            if worker.peer is peer:
                worker.peer = None

    def _left(self, worker: Watched) -> None:
        """Read what an agent that is gone still had to say, then how its worker ended."""
        if worker.pidfd is not None:
            self._selector.unregister(worker.pidfd)
            os.close(worker.pidfd)
            worker.pidfd = None
        while worker.peer is not None:
            self._selector.get_key(worker.peer).data(worker.peer)
        ended = files.read_exit(worker.folder)
        if ended is None:
            self._sweep(worker)
            ended = self._vanished(worker)
        self._gone(worker, ended)

    def _gone(self, worker: Watched, ended: Exit) -> None:
        self._watched.pop((worker.job, worker.fence, worker.rank), None)
        self._by_folder.pop(str(worker.folder), None)
        self._take_spool(worker)
        self._events.append(
            WorkerExited(job=worker.job, fence=worker.fence, rank=worker.rank, exit=ended)
        )

    def _take_spool(self, worker: Watched) -> None:
        spool = worker.folder / files.SPOOL
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
            kept = msgspec.msgpack.decode(spool.read_bytes(), type=list[Measured])
            spool.unlink()
            for message in kept:
                self._measured(message)

    def _measured(self, message: Measured) -> None:
        self._readings.append(
            Readings(
                job=message.job,
                number=message.number,
                rank=message.rank,
                samples=message.samples,
            )
        )

    def _kill_silent(self) -> None:
        now_ms = _now_ms()
        for worker in list(self._watched.values()):
            if worker.kill_at_ms is not None and now_ms >= worker.kill_at_ms:
                worker.kill_at_ms = now_ms + SILENT_MS
                if worker.pidfd is not None:
                    with contextlib.suppress(ProcessLookupError):
                        signal.pidfd_send_signal(worker.pidfd, signal.SIGKILL)


class _Caller:
    """One connection of an agent."""

    def __init__(self, peer: socket.socket, executor: LocalExecutor) -> None:
        self._peer, self._executor = peer, executor
        self._frames: Frames[FromAgent] = Frames(FromAgent)

    def hear(self, _peer: object) -> None:
        if self._peer.fileno() < 0:
            return  # it hung up in the same round in which it could still be heard
        try:
            data = self._peer.recv(1 << 18)
            messages = self._frames.feed(data)
        except (OSError, ValueError, msgspec.DecodeError):
            data, messages = b"", []
        for message in messages:
            self._executor.heard(self._peer, message)
        if not data:
            self._executor.hung_up(self._peer)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
