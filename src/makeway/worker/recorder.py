"""Record from inside a worker: metrics, progress, parameters, models.

A call appends to a queue; the queue goes to the agent as one datagram, at once if the last one was
long enough ago, else by a thread that waits for that. The training thread never waits: if the agent
does not take them, samples are kept up to a limit, the oldest go first, and their number is told.
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
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

import msgspec

from makeway.errors import InvalidInput
from makeway.executor.address import connect
from makeway.model.record import Output, Report, Sample
from makeway.worker.artifact import named, number, text

SEND_EVERY_S = 0.1
SEND_AGAIN_S = 0.002
KEPT_MAX = 100_000
# One datagram: the agent reads 256 KiB at once, and the kernel takes about 200 KiB.
DATAGRAM_SAMPLES = 1_000
DATAGRAM_BYTES = 100_000
# How long the end of a step waits for an agent that is busy, before what it keeps is given up.
LAST_WORDS_S = 5.0
PARAM_CHARS = 8_000
SERIES_MAX = 10_000  # names of metrics; the store takes as many of one worker
INTEGERS = range(-(2**63), 2**63)
BUSY = (errno.EAGAIN, errno.EINTR, errno.ENOBUFS, errno.ENOMEM)

_encoder = msgspec.msgpack.Encoder()


class Recorder:
    """What one worker records; `folder` is its worker folder."""

    def __init__(self, folder: Path) -> None:
        """Find the agent."""
        self._pid = os.getpid()
        self._socket = _dial(folder)
        self._kept: deque[Sample] = deque()
        self._sent_at = 0.0
        self._lock = threading.Lock()
        self._waiting = threading.Event()
        self._thread: threading.Thread | None = None
        self.metrics: dict[str, float] = {}
        self.params: dict[str, object] = {}
        self.artifacts: list[Output] = []
        self.dropped = 0
        self._told = False

    def sample(self, name: str, value: float, step: int | None = None) -> None:
        """Keep one reading, and send what is kept unless that was done a moment ago."""
        at_ms = time.time_ns() // 1_000_000
        with self._lock:
            self._kept.append(Sample(name=name, at_ms=at_ms, value=value, step=step))
            if self._socket is None or len(self._kept) > KEPT_MAX:
                self._kept.popleft()
                self.dropped += 1
            if time.monotonic() - self._sent_at >= SEND_EVERY_S:
                self._send()
            if self._kept and not self._waiting.is_set():
                self._send_later()

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
                if not self._kept or self._socket is None or time.monotonic() >= until:
                    return
            time.sleep(0.002)

    def report(self, output: Output | None) -> Report:
        """Sum up, at the end of a step that ended well."""
        self.flush(LAST_WORDS_S)
        with self._lock:  # what is told as dropped must not be sent after all
            self.dropped += len(self._kept)
            self._kept.clear()
        final = {name: value for name, value in self.metrics.items() if math.isfinite(value)}
        return Report(
            output=output,
            artifacts=tuple(self.artifacts),
            metrics=final,
            params=self.params,
            dropped=self.dropped,
        )

    def _send(self) -> None:
        """Send as much as is taken now; only with the lock held."""
        self._sent_at = time.monotonic()
        size = DATAGRAM_SAMPLES
        while self._kept and self._socket is not None:
            batch = list(itertools.islice(self._kept, size))
            data = _encoder.encode(batch)
            if len(data) > DATAGRAM_BYTES and len(batch) > 1:
                size = len(batch) // 2
                continue
            try:
                self._socket.send(data)
            except OSError as error:
                if error.errno in BUSY:
                    return
                if error.errno == errno.EMSGSIZE and len(batch) > 1:
                    size = len(batch) // 2
                    continue
                # the agent is gone for good
                self._socket.close()
                self._socket = None
                self.dropped += len(self._kept)
                self._kept.clear()
                return
            for _ in batch:
                self._kept.popleft()

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
                pause_s = SEND_AGAIN_S if self._kept else SEND_EVERY_S
                if not self._kept:
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


def log_metric(name: str, value: float, step: int | None = None) -> None:
    """Record a value of a metric, at a training step if it has one."""
    recorder = current()
    if recorder is not None:
        recorder.metric(name, value, step)


def log_metrics(values: Mapping[str, float], step: int | None = None) -> None:
    """Record several metrics of one training step."""
    recorder = current()
    if recorder is not None:
        for name, value in _pairs(values):
            recorder.metric(name, value, step)


def log_param(name: str, value: object) -> None:
    """Record a parameter of this step."""
    recorder = current()
    if recorder is not None:
        recorder.params[named(name)] = _plain(value)


def log_params(values: Mapping[str, object]) -> None:
    """Record several parameters of this step."""
    recorder = current()
    if recorder is not None:
        for name, value in _pairs(values):
            recorder.params[named(name)] = _plain(value)


def progress(done: float, total: float = 1.0) -> None:
    """Say how much is done: `progress(3, 10)`, or a fraction alone."""
    recorder = current()
    if recorder is not None:
        part, whole = number("progress", done), number("progress", total)
        part = part / whole if whole > 0 else 0.0
        # Not a number is no progress, and the one order of these two in which that holds.
        recorder.sample("progress", min(1.0, max(0.0, part)))


def _pairs(values: object) -> list[tuple[str, float]]:
    if not isinstance(values, Mapping):
        raise InvalidInput(f"a dict of names and values is wanted, not {repr(values)[:60]}")
    return list(values.items())


def _plain(value: object) -> object:
    """Give a parameter as JSON has it, or else its text."""
    if isinstance(value, bool) or value is None:
        return value
    try:
        if isinstance(value, int) and int(value) in INTEGERS:
            return int(value)
        if isinstance(value, float) and math.isfinite(value):
            return float(value)
        shown = str(value) if isinstance(value, str | int | float) else repr(value)
    except Exception:  # noqa: BLE001 - this runs the value's own code
        shown = f"<{type(value).__name__}>"
    return text(shown[:PARAM_CHARS])


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
