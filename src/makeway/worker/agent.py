"""Stand around one worker: reserve, wait at the barrier, start it, measure it, own its end.

One agent a worker, in a session of its own, so that neither a closed terminal nor the death of the
controller reaches the worker. Its life is a line:

    reserve -> tell Ready -> wait for Go -> start the program -> tell Started -> measure
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
    cpu_ms_of,
    descendants,
    kill_descendants,
    memory_of,
    start_ticks,
)
from makeway.executor.protocol import Go, Launch, Ready, Started, Stop
from makeway.model.record import ErrorRecord, Exit, Sample
from makeway.worker.link import Link
from makeway.worker.program import Starting, start_program
from makeway.worker.reserve import Reservation, reserve

# Without Go for this long after its barrier, nobody will ever come: the agent gives up by itself.
ORPHAN_MS = 60_000
FIRST_SAMPLE_MS = 200
KILL_AGAIN_MS = 50


def run_agent(folder: Path, lock: int, loaded: str) -> None:
    """Be the agent of the worker whose folder this is, and never return.

    `loaded` is the user's file that this process has imported already, if any.
    """
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    become_subreaper()
    pid = os.getpid()
    ticks = start_ticks(pid)
    assert ticks is not None, "a process sees itself in /proc"
    record = files.AgentRecord(pid=pid, started_ticks=ticks, boot=boot_id())
    files.write_whole(folder / files.AGENT, record)
    launch = files.read_whole(folder / files.LAUNCH, Launch)
    assert launch is not None, "launch.json is written before the fork"
    call = launch.program.call
    Agent(folder, launch, lock, cold=call is not None and call.file != loaded).run()
    os._exit(0)


class Agent:
    """The agent of one worker; see the module."""

    def __init__(self, folder: Path, launch: Launch, lock: int, *, cold: bool) -> None:
        """Take the worker's folder, what to run, and the lock that says that it lives."""
        self._folder, self._launch, self._lock, self._cold = folder, launch, lock, cold
        self._link = Link(Path(launch.controller), folder)
        self._child: int | None = None
        self._status: int | None = None
        self._child_usage_ms = 0
        self._memory_peak = 0
        self._cpu_last = (0, 0)
        self._sample_at_ms = 0
        self._kill_at_ms: int | None = None
        self._stop: Stop | None = None

    def run(self) -> None:
        """Live the line that the module describes."""
        try:
            with reserve(self._launch) as reservation:
                go = self._barrier(reservation)
                if go is None:
                    self._write_exit(Exit(at_ms=_now_ms(), signal=signal.SIGTERM, started=False))
                    return
                self._start(go, reservation)
                self._watch()
        except OSError as error:
            self._write_exit(_refused(error))
            return
        self._end()

    def _barrier(self, reservation: Reservation) -> Go | None:
        launch = self._launch
        self._link.greet(
            Ready(
                job=launch.job,
                fence=launch.fence,
                rank=launch.rank,
                pid=os.getpid(),
                address=launch.address,
                port=reservation.port,
            )
        )
        give_up_ms = _now_ms() + launch.barrier_ms + ORPHAN_MS
        while _now_ms() < give_up_ms:
            for message in self._link.exchange(timeout_ms=500):
                if message.fence != launch.fence:
                    continue
                if isinstance(message, Stop):
                    return None
                return message
        return None

    def _start(self, go: Go, reservation: Reservation) -> None:
        (self._folder / files.BEGUN).touch()
        starting = Starting(
            folder=self._folder,
            launch=self._launch,
            go=go,
            cold=self._cold,
            lock=self._lock,
            close=(*self._link.descriptors(), *reservation.descriptors()),
        )
        self._child = start_program(starting)
        self._link.greet(
            Started(
                job=self._launch.job,
                fence=self._launch.fence,
                rank=self._launch.rank,
                pid=self._child,
            )
        )
        self._sample_at_ms = _now_ms() + min(FIRST_SAMPLE_MS, self._launch.sample_ms)

    def _watch(self) -> None:
        assert self._child is not None, "watched after the start"
        ended = os.pidfd_open(self._child)
        self._link.watch(ended)
        try:
            while not self._reaped():
                for message in self._link.exchange(timeout_ms=self._patience_ms()):
                    if isinstance(message, Stop) and message.fence == self._launch.fence:
                        self._told_to_stop(message)
                self._link.pass_on(self._launch, self._link.read_records())
                now_ms = _now_ms()
                if now_ms >= self._sample_at_ms:
                    self._measure(now_ms)
                if self._kill_at_ms is not None and now_ms >= self._kill_at_ms:
                    _kill_tree(self._child)
                    self._kill_at_ms = now_ms + KILL_AGAIN_MS
        finally:
            self._link.unwatch(ended)
            os.close(ended)

    def _reaped(self) -> bool:
        assert self._child is not None, "asked after the start"
        pid, status, usage = os.wait4(self._child, os.WNOHANG)
        if pid == 0:
            return False
        self._status = status
        self._child_usage_ms = int((usage.ru_utime + usage.ru_stime) * 1000)
        # The child was forked from the zygote: its peak counts the pages that it shares with it.
        self._memory_peak = max(self._memory_peak, usage.ru_maxrss * 1024)
        return True

    def _patience_ms(self) -> int:
        until = self._sample_at_ms
        if self._kill_at_ms is not None:
            until = min(until, self._kill_at_ms)
        return max(0, until - _now_ms())

    def _told_to_stop(self, stop: Stop) -> None:
        """Give notice to the main process alone: killing a group would hit its data loaders."""
        now_ms = _now_ms()
        until = now_ms + stop.grace_ms
        if self._stop is None:
            self._stop = stop
            self._kill_at_ms = until
            notice = {"cause": stop.cause, "at_ms": now_ms, "deadline_ms": until}
            files.write_whole(self._folder / files.NOTICE, notice)
            assert self._child is not None, "told after the start"
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGTERM)
        self._kill_at_ms = min(until, self._kill_at_ms or until)

    def _measure(self, now_ms: int) -> None:
        self._sample_at_ms = now_ms + self._launch.sample_ms
        tree = descendants(os.getpid())
        if not memory_of(tree):
            return  # it has just ended: nothing is no reading
        memory, cpu_ms = memory_of(tree), cpu_ms_of(tree)
        self._memory_peak = max(self._memory_peak, memory)
        samples = [Sample(name="system/memory_usage_bytes", at_ms=now_ms, value=memory)]
        before_ms, before_cpu = self._cpu_last
        if before_ms and now_ms > before_ms:
            percent = 100 * max(0, cpu_ms - before_cpu) / (now_ms - before_ms)
            samples.append(Sample(name="system/cpu_percent", at_ms=now_ms, value=round(percent, 1)))
        self._cpu_last = (now_ms, cpu_ms)
        self._link.pass_on(self._launch, samples)

    def _end(self) -> None:
        at_ms = _now_ms()
        gone = kill_descendants(os.getpid())
        self._link.pass_on(self._launch, self._link.read_records())
        assert self._status is not None, "ended after it was reaped"
        code = os.waitstatus_to_exitcode(self._status)
        ended = Exit(
            at_ms=at_ms,
            code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            error=files.read_error(self._folder),
            report=files.read_report(self._folder) if code == 0 else None,
            memory_peak_bytes=self._memory_peak,
            cpu_ms=self._child_usage_ms,
        )
        if not gone:
            ended = msgspec.structs.replace(ended, lost="a process of its tree cannot be killed")
        self._write_exit(ended)

    def _write_exit(self, ended: Exit) -> None:
        files.write_whole(self._folder / files.EXIT, ended, durable=True)
        self._link.close()


def _kill_tree(child: int) -> None:
    """Kill all below this process; the child's own status is left for whoever waits for it."""
    for pid in [*descendants(os.getpid()), child]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _refused(error: OSError) -> Exit:
    """Say why the program was not even started."""
    what = f"{error.strerror}: {error.filename}" if error.filename else str(error)
    bases = tuple(base.__name__ for base in type(error).__mro__[1:-1])
    return Exit(
        at_ms=_now_ms(),
        code=126,
        started=False,
        error=ErrorRecord(
            type=type(error).__name__, message=what, bases=bases, errno=error.errno,
            at_ms=_now_ms(),
        ),
    )  # fmt: skip


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
