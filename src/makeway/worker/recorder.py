"""Record from inside a worker: metrics and progress, and the queue for all else (`noting`).

A call appends to a queue; the queue goes to the agent as one datagram, at once if the last one was
long enough ago, else by a thread that waits for that. The training thread never waits: if the agent
does not take them, samples are kept up to a limit, the oldest go first, and their number is told.
SIGTERM sends what is kept, whatever else it means to the program (`last_words`).
Outside makeway nothing is recorded and nobody is disturbed.

What is recorded is checked when it is recorded, so that a wrong value is told to whoever gave it
and never to the thread that sends it.

A forked child (a data loader's worker) records through a recorder of its own: its samples arrive,
while final values and parameters are those of the worker's main process.

Cost:    about 2 µs a call; measured in tests/worker/test_recorder.py
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import itertools
import math
import operator
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from makeway.errors import InvalidInput
from makeway.executor.address import connect
from makeway.model.record import Note, Output, Report, Sample
from makeway.worker import last_words
from makeway.worker.artifact import named, number
from makeway.worker.datagram import Noted, encoder

SEND_EVERY_S = 0.1
SEND_AGAIN_S = 0.002
KEPT_MAX = 100_000
NOTES_MAX = 10_000
# One datagram: the agent reads 256 KiB at once, and the kernel takes about 200 KiB.
DATAGRAM_SAMPLES = 1_000
DATAGRAM_BYTES = 100_000
# How long the end of a step waits for an agent that is busy, before what it keeps is given up.
LAST_WORDS_S = 5.0
SERIES_MAX = 10_000  # names of metrics; the store takes as many of one worker
RANKS_MAX = 100_000
SIGTERM_S, LOCKED_S = 0.5, 0.05
INTEGERS = range(-(2**63), 2**63)
BUSY = (errno.EAGAIN, errno.EINTR, errno.ENOBUFS, errno.ENOMEM)


class Recorder:
    """What one worker records; `folder` is its worker folder."""

    def __init__(self, folder: Path) -> None:
        """Find the agent."""
        self._pid = os.getpid()
        self._socket = _dial(folder)
        self._kept: deque[Sample] = deque()
        self._noted: deque[Note] = deque()
        self._sent_at = 0.0
        self._lock = threading.Lock()
        self._waiting = threading.Event()
        self._thread: threading.Thread | None = None
        self._listens = self._told_late = False
        self._dropped_told = 0
        self.tells_progress = False  # the program itself does
        self.metrics: dict[str, float] = {}
        self.params: dict[str, object] = {}
        self.artifacts: list[Output] = []
        self.dropped = 0
        self._told = False
        self._told_of: set[tuple[int, str]] = set()  # series of other workers

    def sample(
        self, name: str, value: float, step: int | None = None, worker: int | None = None
    ) -> None:
        """Keep one reading, and send what is kept unless that was done a moment ago."""
        at_ms = time.time_ns() // 1_000_000
        with self._lock:
            self._kept.append(Sample(name=name, at_ms=at_ms, value=value, step=step, worker=worker))
            if self._socket is None or len(self._kept) > KEPT_MAX:
                self._kept.popleft()
                self.dropped += 1
            self._send_soon()
        if not self._listens or self._told_late:
            self._hear()

    def note(self, kind: str, key: str, value: object = None) -> None:
        """Keep one fact that is no number, and send it likewise."""
        at_ms = time.time_ns() // 1_000_000
        with self._lock:
            self._noted.append(Note(kind=kind, key=key, at_ms=at_ms, value=value))
            if self._socket is None or len(self._noted) > NOTES_MAX:
                self._noted.popleft()
                self.dropped += 1
            self._send_soon()
        if not self._listens or self._told_late:
            self._hear()

    def metric(self, name: str, value: float, step: int | None) -> None:
        """Record one value of a metric; its last value is final."""
        name, value = named(name), number(name, value)
        if step is not None:
            step = _training_step(step)
        if name not in self.metrics and len(self.metrics) >= SERIES_MAX:
            self._too_many(name)
            return
        self.sample(name, value, step)
        self.metrics[name] = value

    def of_worker(self, name: str, value: float, step: int | None, worker: object) -> None:
        """Record one value of a metric that another worker has."""
        name, value = named(name), number(name, value)
        step = None if step is None else _training_step(step)
        if isinstance(worker, bool) or not isinstance(worker, int) or not 0 <= worker < RANKS_MAX:
            raise InvalidInput(
                f"worker is a rank, 0 or more, not {repr(worker)[:60]}", where=f"metric {name}"
            )
        if (worker, name) not in self._told_of:
            if len(self._told_of) >= SERIES_MAX:
                self._too_many(name)
                return
            self._told_of.add((worker, name))
        self.sample(name, value, step, worker)

    def _too_many(self, name: str) -> None:
        """Leave a metric out, and say so, once: the training must not end for it."""
        self.dropped += 1
        if not self._told:
            self._told = True
            told = (
                f"makeway: more than {SERIES_MAX:,} metrics of one worker; {name[:60]!r} and other"
                " new names are not recorded. Is a number that changes part of the name?\n"
            )
            with contextlib.suppress(AttributeError, OSError, ValueError):  # there is no stderr
                sys.stderr.write(told)
                sys.stderr.flush()

    def flush(self, patience_s: float = 0.0) -> None:
        """Send everything now; wait so long, if need be, until it is taken."""
        if os.getpid() != self._pid:
            return  # a forked child has a copy of what its parent will send
        until = time.monotonic() + patience_s
        while True:
            with self._lock:
                self._send()
                waits = self._waits and self._socket is not None
            if self._told_late:
                self._hear()
            if not waits or time.monotonic() >= until:
                return
            time.sleep(0.002)

    def report(self, output: Output | None) -> Report:
        """Sum up, at the end of a step that ended well."""
        self.flush(LAST_WORDS_S)
        with self._lock:  # what is told as dropped must not be sent after all
            self.dropped += len(self._kept) + len(self._noted)
            self._kept.clear()
            self._noted.clear()
        final = {name: value for name, value in self.metrics.items() if math.isfinite(value)}
        return Report(
            output=output,
            artifacts=tuple(self.artifacts),
            metrics=final,
            params=self.params,
            dropped=self.dropped,
        )

    @property
    def _waits(self) -> bool:
        return bool(self._kept or self._noted)

    def _hear(self) -> None:
        """Hear of SIGTERM from here on; or hear again what came while the lock was held."""
        self._listens = self._listens or last_words.listen(self._last_words)
        if self._told_late:
            self._told_late = False
            os.kill(os.getpid(), signal.SIGTERM)

    def _last_words(self) -> bool:
        """Send what is kept, from a handler; False if this very thread is sending, and hears later."""
        if os.getpid() == self._pid:
            if not self._lock.acquire(timeout=LOCKED_S):
                self._told_late = True
                return False
            self._lock.release()
            self.flush(SIGTERM_S)
        return True

    def _send_soon(self) -> None:
        if time.monotonic() - self._sent_at >= SEND_EVERY_S:
            self._send()
        if self._waits and not self._waiting.is_set():
            self._send_later()

    def _send(self) -> None:
        """Send as much as is taken now; only with the lock held."""
        self._sent_at = time.monotonic()
        lost = self.dropped - self._dropped_told
        if lost and self._put(encoder.encode(Noted(dropped=lost)), 1) == 1:
            self._dropped_told += lost
        self._send_from(self._noted, lambda notes: Noted(notes=tuple(notes)))
        self._send_from(self._kept, list)

    def _send_from(self, queue: deque[Any], form: Callable[[Sequence[Any]], object]) -> None:
        """Send a queue in datagrams that are as long as they may be."""
        size = DATAGRAM_SAMPLES
        while queue and self._socket is not None:
            batch = list(itertools.islice(queue, size))
            data = encoder.encode(form(batch))
            if len(data) > DATAGRAM_BYTES and len(batch) > 1:
                size = len(batch) // 2
                continue
            sent = self._put(data, len(batch))
            if sent == 0:
                return
            size = min(size, sent)
            if sent == len(batch):
                for _ in batch:
                    queue.popleft()

    def _put(self, data: bytes, count: int) -> int:
        """Send a datagram of so many; give how many may be in the next one, 0 to wait."""
        if self._socket is None:
            return 0
        try:
            self._socket.send(data)
        except OSError as error:
            if error.errno in BUSY:
                return 0
            if error.errno == errno.EMSGSIZE and count > 1:
                return count // 2
            # the agent is gone for good
            self._socket.close()
            self._socket = None
            self.dropped += len(self._kept) + len(self._noted)
            self._kept.clear()
            self._noted.clear()
            return 0
        return count

    def _send_later(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._send_kept, daemon=True, name="makeway")
            try:
                thread.start()
            except RuntimeError:  # too many of them, or Python is ending: the next call sends
                return
            self._thread = thread
        self._waiting.set()

    def _send_kept(self) -> None:
        pause_s = SEND_EVERY_S
        while True:
            self._waiting.wait()
            time.sleep(pause_s)
            self.flush()
            with self._lock:
                # What the agent did not take at once it takes in a moment: it only has to read.
                pause_s = SEND_AGAIN_S if self._waits else SEND_EVERY_S
                if not self._waits:
                    self._waiting.clear()


_current: Recorder | None = None
_looked = False
_looking = threading.Lock()


def current() -> Recorder | None:
    """Give this process's recorder; None outside makeway."""
    global _current, _looked  # noqa: PLW0603 - one recorder a process
    if not _looked:
        with _looking:
            if not _looked:
                folder = os.environ.get("MAKEWAY_DIR")
                _current = Recorder(Path(folder)) if folder else None
                if _current is not None:
                    _flush_at_end(_current)
                _looked = True  # last: who sees it takes what is there
    return _current


def forget() -> None:
    """Let a forked child find a recorder of its own: threads do not come along."""
    global _current, _looked, _looking
    _current, _looked, _looking = None, False, threading.Lock()


os.register_at_fork(after_in_child=forget)


def log_metric(name: str, value: float, step: int | None = None, worker: int | None = None) -> None:
    """Record a value of a metric, at a training step if it has one.

    `worker` is the rank that it is about, where that is another one: a parameter server may tell of
    those that it serves. What is told so is in the series of that rank, and no final value.
    """
    recorder = current()
    if recorder is None:
        return
    if worker is None:
        recorder.metric(name, value, step)
    else:
        recorder.of_worker(name, value, step, worker)


def log_metrics(values: Mapping[str, float], step: int | None = None) -> None:
    """Record several metrics of one training step."""
    recorder = current()
    if recorder is not None:
        for name, value in pairs(values):
            recorder.metric(name, value, step)


def progress(done: float, total: float = 1.0) -> None:
    """Say how much is done: `progress(3, 10)`, or a fraction alone."""
    recorder = current()
    if recorder is not None:
        part, whole = number("progress", done), number("progress", total)
        part = part / whole if whole > 0 else 0.0
        recorder.tells_progress = True
        # Not a number is no progress, and the one order of these two in which that holds.
        recorder.sample("progress", min(1.0, max(0.0, part)))


def pairs(values: object) -> list[tuple[str, Any]]:
    """Take what is given for a dict of names and values."""
    if not isinstance(values, Mapping):
        raise InvalidInput(f"a dict of names and values is wanted, not {repr(values)[:60]}")
    return list(values.items())


def _training_step(step: int) -> int:
    try:
        whole = operator.index(step)
    except TypeError:
        raise InvalidInput(f"step is {repr(step)[:60]}, which is not a whole number") from None
    if whole not in INTEGERS:
        raise InvalidInput(f"step has {whole.bit_length()} bits, which is beyond all counting")
    return whole


def _flush_at_end(recorder: Recorder) -> None:
    """Send what is kept when this process ends, also if multiprocessing has forked it."""
    atexit.register(recorder.flush, LAST_WORDS_S)
    forked = sys.modules.get("multiprocessing.util")
    if forked is not None:
        forked.Finalize(recorder, recorder.flush, (LAST_WORDS_S,), exitpriority=0)


def _dial(folder: Path) -> socket.socket | None:
    try:
        sock = connect(folder / "record.sock", socket.SOCK_DGRAM)
    except OSError:
        return None  # the agent is gone, or this is no worker of ours: nothing to record to
    sock.settimeout(0)
    return sock
