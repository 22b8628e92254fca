"""Stand around one worker: reserve, wait at the barrier, start it, measure it, own its end.

One agent a worker, in a session of its own, so that neither a closed terminal nor the death of the
controller reaches the worker. Its life is a line, with one way back:

    reserve -> tell Ready -> wait for Go -> start the program -> tell Started -> measure
            ^                            -> Resize: it leaves within the grace time, or is killed ─┐
            └───────────────────────────────── as a worker of the next generation ─────────────────┘
            -> the program has ended, or Stop and the grace time is over
            -> kill what is left of its tree -> write exit.json -> go

It calls the controller and calls again whenever it is cut off. Without a controller it goes on all
the same; what it has to say then stands in the worker's folder. Nothing of the user's runs before
Go, so an attempt whose barrier was called off can be repeated safely.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import msgspec

from makeway.executor import folder as files
from makeway.executor.processes import (
    become_subreaper,
    boot_id,
    descendants,
    kill_descendants,
    start_ticks,
)
from makeway.executor.protocol import (
    Ended,
    Go,
    Launch,
    Ready,
    Resize,
    Started,
    Stop,
    membership,
)
from makeway.failpoint import reach
from makeway.model.record import Exit
from makeway.worker.account import Account, account_of, let_in, name_of
from makeway.worker.contact import Contact, Nearby
from makeway.worker.ending import refused, write_exit
from makeway.worker.flood import cut_flood
from makeway.worker.holding import named_after
from makeway.worker.limits import MemoryLimit
from makeway.worker.link import Link
from makeway.worker.meter import Meter
from makeway.worker.program import Starting, start_program
from makeway.worker.reserve import Reservation, reserve

# Without Go for this long after its barrier, nobody will ever come: the agent gives up by itself.
ORPHAN_MS = 60_000
KILL_AGAIN_MS = 50
DONE, NEVER_AGAIN, YIELDED = 0, 93, 75
LEFT = (files.NOTICE, files.REPORT, files.ERROR, files.YIELD)  # by the generation before


def run_agent(folder: Path, lock: int, loaded: str, contact: Contact | None = None) -> None:
    """Be a worker's agent, and never return; `loaded` is the user's file that is imported already."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    become_subreaper()
    launch = files.read_whole(folder / files.LAUNCH, Launch)
    assert launch is not None, "launch.json is written before the fork"
    call = launch.program.call
    contact = contact or Nearby(Path(launch.controller))
    Agent(folder, launch, lock, contact, cold=call is not None and call.file != loaded).run()
    os._exit(0)


class Agent:
    """The agent of one worker; see the module."""

    def __init__(
        self, folder: Path, launch: Launch, lock: int, contact: Contact, *, cold: bool
    ) -> None:
        """Take the worker's folder, what to run, and the lock that says that it lives."""
        self._folder, self._launch, self._lock, self._cold = folder, launch, lock, cold
        self._contact, self._link = contact, Link(contact, folder)
        self._severed = ""
        self._limit = MemoryLimit(launch)
        self._meter = Meter(launch, folder)
        self._account: Account | None = None
        self._child: int | None = None
        self._begun = False
        self._status: int | None = None
        self._cpu_ms = 0
        self._look_at_ms = 0
        self._kill_at_ms: int | None = None
        self._stop: Stop | None = None
        self._resize: Resize | None = None

    def run(self) -> None:
        """Live the line that the module describes."""
        try:
            self._introduce()
            with reserve(self._launch) as reservation:
                while (go := self._barrier(reservation)) is not None:
                    self._start(go, reservation)
                    self._watch(reservation)
                    if self._resize is None or self._code() in (DONE, NEVER_AGAIN):
                        break
                    self._come_back(self._resize, reservation)
        except OSError as error:
            self._give_up(error)
            return
        self._end()

    def _introduce(self) -> None:
        """Say who this is, so that it is found again; become able to start another user's program."""
        pid = os.getpid()
        ticks = start_ticks(pid)
        assert ticks is not None, "a process sees itself in /proc"
        refused = None
        try:
            self._account = account_of(self._launch)
        except PermissionError as error:
            refused = error
        name = name_of(self._account)
        record = files.AgentRecord(pid=pid, started_ticks=ticks, boot=boot_id(), run_as=name)
        files.write_whole(self._folder / files.AGENT, record)
        if refused is not None:
            raise refused
        if self._account is not None:
            let_in(self._account, self._folder, files.checkpoints(self._folder))
            self._link.let_in(self._account.uid, self._account.gid)

    # ── the barrier ───────────────────────────────────────────────────────────────────────────────

    def _barrier(self, reservation: Reservation) -> Go | None:
        self._say_ready(self._launch, reservation)
        give_up_ms = _now_ms() + self._launch.barrier_ms + ORPHAN_MS
        while _now_ms() < give_up_ms and not self._contact.broken():
            for message in self._link.exchange(timeout_ms=500):
                if message.fence != self._launch.fence:
                    continue
                match message:
                    case Stop():
                        return None
                    case Go(generation=generation) if generation == self._launch.generation:
                        reach("agent.go")
                        return message
                    case Resize(launch=launch) if launch.generation > self._launch.generation:
                        self._be(launch)
                        self._say_ready(launch, reservation)
                        give_up_ms = _now_ms() + launch.barrier_ms + ORPHAN_MS
                    case _:
                        pass  # said again, of a generation that is over
        return None

    def _say_ready(self, launch: Launch, reservation: Reservation) -> None:
        self._link.greet(
            Ready(
                job=launch.job,
                fence=launch.fence,
                rank=launch.rank,
                pid=os.getpid(),
                address=launch.address,
                port=reservation.port,
                generation=launch.generation,
            )
        )

    def _be(self, launch: Launch) -> None:
        """Be this worker from here on, for whoever reads it in the folder as well."""
        with contextlib.suppress(OSError):  # the disk is full: then it is not for others to read
            files.write_whole(self._folder / files.LAUNCH, launch)
        self._launch = launch

    def _come_back(self, resize: Resize, reservation: Reservation) -> None:
        """Be a worker of the next generation; what the last program said stands until its barrier."""
        kill_descendants(os.getpid())
        self._be(resize.launch)
        self._resize = self._kill_at_ms = self._child = None
        reservation.renew()

    # ── while it runs ─────────────────────────────────────────────────────────────────────────────

    def _start(self, go: Go, reservation: Reservation) -> None:
        if self._status is not None:
            self._link.held.drop()
            for name in LEFT:
                (self._folder / name).unlink(missing_ok=True)
        reach("agent.begun.before")
        os.close(os.open(self._folder / files.BEGUN, os.O_WRONLY | os.O_CREAT, 0o644))
        reach("agent.begun.after")
        starting = Starting(
            folder=self._folder,
            launch=self._launch,
            go=go,
            executable=reservation.executable,
            cold=self._cold,
            lock=self._lock,
            limit=self._limit,
            account=self._account,
            close=(
                *self._link.descriptors(),
                *reservation.descriptors(),
                *self._contact.descriptors(),
            ),
        )
        self._child = start_program(starting)
        self._begun = True
        reach("agent.start.after")
        self._say_started(self._child)
        now_ms = _now_ms()
        self._meter.begin(now_ms)
        self._look_at_ms = now_ms + self._limit.pause_ms

    def _say_started(self, pid: int) -> None:
        launch = self._launch
        self._link.greet(
            Started(
                job=launch.job,
                fence=launch.fence,
                rank=launch.rank,
                pid=pid,
                generation=launch.generation,
            )
        )

    def _watch(self, reservation: Reservation) -> None:
        assert self._child is not None, "watched after the start"
        ended = os.pidfd_open(self._child)
        watched = (ended, *self._contact.descriptors())
        for descriptor in watched:
            self._link.watch(descriptor)
        try:
            while not self._reaped():
                for message in self._link.exchange(timeout_ms=self._patience_ms()):
                    if message.fence == self._launch.fence:
                        self._told(message, reservation)
                self._link.pass_on(self._launch, self._link.read_records())
                self._look(_now_ms())
        finally:
            for descriptor in watched:
                self._link.unwatch(descriptor)
            os.close(ended)

    def _look(self, now_ms: int) -> None:
        """Measure, and see to the limits of memory and of time, and to the right to be here."""
        if not self._severed and (why := self._contact.broken()):
            self._severed = why
            self._kill_at_ms = now_ms
        if now_ms >= self._meter.due_ms:
            samples = self._meter.read(descendants(os.getpid()), now_ms, self._link.dropped)
            self._link.pass_on(self._launch, samples)
            cut_flood(self._folder)
        if self._limit.there and now_ms >= self._look_at_ms:
            if self._limit.passed(descendants(os.getpid())):
                self._kill_tree()
            self._meter.seen(self._limit.seen_bytes)
            self._look_at_ms = now_ms + self._limit.pause_ms
        if self._kill_at_ms is not None and now_ms >= self._kill_at_ms:
            self._kill_tree()
            self._kill_at_ms = now_ms + KILL_AGAIN_MS

    def _reaped(self) -> bool:
        assert self._child is not None, "asked after the start"
        pid, status, usage = os.wait4(self._child, os.WNOHANG)
        if pid == 0:
            return False
        self._status = status
        self._cpu_ms += int((usage.ru_utime + usage.ru_stime) * 1000)
        # The child was forked from the zygote: its peak counts the pages that it shares with it.
        self._meter.peak_bytes = max(self._meter.peak_bytes, usage.ru_maxrss * 1024)
        return True

    def _patience_ms(self) -> int:
        until = self._meter.due_ms
        if self._limit.there:
            until = min(until, self._look_at_ms)
        if self._kill_at_ms is not None:
            until = min(until, self._kill_at_ms)
        return max(0, until - _now_ms())

    # ── what it is told ───────────────────────────────────────────────────────────────────────────

    def _told(self, message: Go | Resize | Stop, reservation: Reservation) -> None:
        match message:
            case Stop():
                self._leave(message.cause, message.grace_ms, again=self._stop is not None)
                self._stop, self._resize = message, None
            case Resize(launch=launch) if launch.generation > self._launch.generation:
                if self._stop is not None:
                    return  # it leaves for good
                if launch.live:
                    self._be(launch)
                    reservation.renew()
                    self._say_ready(launch, reservation)
                    return
                if self._resize is None:
                    self._leave("resize", message.grace_ms, again=False)
                if self._resize is None or launch.generation > self._resize.launch.generation:
                    self._resize = message
            case Go(generation=generation) if generation == self._launch.generation > 0:
                if self._launch.live:
                    self._tell_members(message)
            case _:
                pass  # said again, of a generation that is over

    def _leave(self, cause: str, grace_ms: int, *, again: bool) -> None:
        """Give notice to the main process alone: killing a group would hit its data loaders."""
        now_ms = _now_ms()
        until = now_ms + grace_ms
        if not again:
            self._notice(cause, now_ms, until)
            assert self._child is not None, "told after the start"
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGTERM)
        self._kill_at_ms = min(until, self._kill_at_ms or until)

    def _notice(self, cause: str, now_ms: int, until_ms: int) -> None:
        notice = {"cause": cause, "at_ms": now_ms, "deadline_ms": until_ms}
        with contextlib.suppress(OSError):  # the disk is full: the signal says it as well
            files.write_whole(self._folder / files.NOTICE, notice)

    def _tell_members(self, go: Go) -> None:
        """Say to a program that takes it as it runs with whom it goes on, and where they meet."""
        launch = self._launch
        if self._stop is not None or self._child is None:
            return
        files.write_whole(self._folder / files.RESIZE, membership(launch, go))
        now_ms = _now_ms()
        self._notice("resize", now_ms, now_ms)
        self._say_started(self._child)

    def _kill_tree(self) -> None:
        """Kill all below this process; the child's own status is left for whoever waits for it."""
        self._limit.kill()
        for pid in [*descendants(os.getpid()), *([self._child] if self._child else [])]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _give_up(self, error: OSError) -> None:
        """Say why the program was not started; or end it, if it is this agent that cannot go on."""
        if self._child is None or self._status is not None:
            ended = refused(error)
        else:
            self._kill_tree()
            kill_descendants(os.getpid())
            ended = Exit(at_ms=_now_ms(), lost=f"its agent could not go on: {error}")
        self._write_exit(msgspec.structs.replace(ended, started=self._begun))

    # ── its end ───────────────────────────────────────────────────────────────────────────────────

    def _code(self) -> int | None:
        """Give the exit code of the program, negative for a signal; None if it never ran."""
        return None if self._status is None else os.waitstatus_to_exitcode(self._status)

    def _end(self) -> None:
        at_ms = _now_ms()
        code = self._code()
        if code is None:  # called off
            why = self._contact.broken()
            off = Exit(at_ms=at_ms, signal=None if why else signal.SIGTERM, started=False)
            self._write_exit(msgspec.structs.replace(off, lost=why or None))
            return
        gone = kill_descendants(os.getpid())
        self._link.pass_on(self._launch, self._link.read_records(last=True))
        kills = self._limit.oom_kills
        peak = max(self._meter.peak_bytes, self._limit.peak_bytes if kills else 0)
        ended = Exit(
            at_ms=at_ms,
            code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            error=files.read_error(self._folder),
            report=files.read_report(self._folder) if code == 0 else None,
            memory_peak_bytes=peak,
            cpu_ms=self._cpu_ms,
            yielded=files.read_yield(self._folder) if code == YIELDED else None,
            oom_kills=kills,
            host_oom_kills=self._meter.host_kills.lately(kills) if code == -signal.SIGKILL else 0,
            over_memory=self._limit.over,
            lost=self._severed or (None if gone else "a process of its tree cannot be killed"),
        )
        holder = self._link.held.leave(self._launch, self._account) if code == DONE else None
        self._write_exit(ended)
        if holder is not None:
            named_after(holder, self._folder, name_of(self._account))

    def _write_exit(self, ended: Exit) -> None:
        self._limit.close()
        write_exit(self._folder, ended)
        if (hello := self._contact.first()) is not None:  # who listens cannot see the folder
            self._link.tell(Ended(job=hello.job, fence=hello.fence, rank=hello.rank, exit=ended))
        self._link.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
