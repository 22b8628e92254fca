"""Record from inside a worker: metrics, progress, parameters, models.

A call appends to a list; the list goes to the agent as one datagram, at once if the last one was
long enough ago, else by a thread that waits for that. The training thread never waits: if the agent
does not take them, samples are kept up to a limit, the oldest go first, and their number is told.
Outside makeway nothing is recorded and nobody is disturbed.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from makeway.errors import InvalidInput
from makeway.executor.address import connect
from makeway.model.record import Output, Report, Sample

SEND_EVERY_S = 0.1
KEPT_MAX = 100_000
DATAGRAM_SAMPLES = 1_000
NAME_MAX = 250

_encoder = msgspec.msgpack.Encoder()


class Recorder:
    """What one worker records; `folder` is its worker folder."""

    def __init__(self, folder: Path) -> None:
        """Find the agent."""
        self._socket = _dial(folder)
        self._kept: list[Sample] = []
        self._sent_at = 0.0
        self._lock = threading.Lock()
        self._waiting = threading.Event()
        self._thread: threading.Thread | None = None
        self.metrics: dict[str, float] = {}
        self.params: dict[str, object] = {}
        self.artifacts: list[Output] = []
        self.dropped = 0

    def sample(self, name: str, value: float, step: int | None = None) -> None:
        """Keep one reading, and send what is kept unless that was done a moment ago."""
        at_ms = time.time_ns() // 1_000_000
        with self._lock:
            self._kept.append(Sample(name=name, at_ms=at_ms, value=value, step=step))
            if time.monotonic() - self._sent_at >= SEND_EVERY_S:
                self._send()
                return
        self._send_later()

    def metric(self, name: str, value: float, step: int | None) -> None:
        """Record one value of a metric; its last value is final."""
        number = _number(name, value)
        self.metrics[_named(name)] = number
        self.sample(name, number, step)

    def flush(self) -> None:
        """Send everything now."""
        with self._lock:
            self._send()

    def report(self, output: Output | None) -> Report:
        """Sum up, at the end of a step that ended well."""
        self.flush()
        final = {name: value for name, value in self.metrics.items() if math.isfinite(value)}
        return Report(
            output=output,
            artifacts=tuple(self.artifacts),
            metrics=final,
            params=self.params,
            dropped=self.dropped,
        )

    def _send(self) -> None:
        self._sent_at = time.monotonic()
        while self._kept and self._socket is not None:
            batch = self._kept[:DATAGRAM_SAMPLES]
            try:
                self._socket.send(_encoder.encode(batch))
            except BlockingIOError:
                break
            except OSError:
                self._socket = None
                break
            del self._kept[: len(batch)]
        if len(self._kept) > KEPT_MAX:
            self.dropped += len(self._kept) - KEPT_MAX
            del self._kept[:-KEPT_MAX]

    def _send_later(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._send_kept, daemon=True, name="makeway")
            self._thread.start()
        self._waiting.set()

    def _send_kept(self) -> None:
        while True:
            self._waiting.wait()
            self._waiting.clear()
            time.sleep(SEND_EVERY_S)
            self.flush()


_current: Recorder | None = None
_looked = False


def current() -> Recorder | None:
    """Give this process's recorder; None outside makeway."""
    global _current, _looked  # noqa: PLW0603 - one recorder a process
    if not _looked:
        _looked = True
        folder = os.environ.get("MAKEWAY_DIR")
        _current = Recorder(Path(folder)) if folder else None
    return _current


def forget() -> None:
    """Let a forked child find a recorder of its own: threads do not come along."""
    global _current, _looked
    _current, _looked = None, False


os.register_at_fork(after_in_child=forget)


def log_metric(name: str, value: float, step: int | None = None) -> None:
    """Record a value of a metric, at a training step if it has one."""
    recorder = current()
    if recorder is not None:
        recorder.metric(name, value, step)


def log_metrics(values: Mapping[str, float], step: int | None = None) -> None:
    """Record several metrics of one training step."""
    for name, value in values.items():
        log_metric(name, value, step)


def log_param(name: str, value: object) -> None:
    """Record a parameter of this step."""
    recorder = current()
    if recorder is not None:
        plain = isinstance(value, str | int | float | bool | None)
        recorder.params[_named(name)] = value if plain else repr(value)


def log_params(values: Mapping[str, object]) -> None:
    """Record several parameters of this step."""
    for name, value in values.items():
        log_param(name, value)


def progress(done: float, total: float = 1.0) -> None:
    """Say how much is done: `progress(3, 10)`, or a fraction alone."""
    recorder = current()
    if recorder is not None:
        whole = _number("progress", total)
        part = _number("progress", done) / whole if whole > 0 else 0.0
        recorder.sample("progress", min(1.0, max(0.0, part)))


def _dial(folder: Path) -> socket.socket | None:
    try:
        sock = connect(folder / "record.sock", socket.SOCK_DGRAM)
    except OSError:
        return None  # the agent is gone, or this is no worker of ours: nothing to record to
    sock.settimeout(0)
    return sock


def _named(name: str) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= NAME_MAX:
        shown = repr(name)[:60]
        raise InvalidInput(f"a name has 1 to {NAME_MAX} characters, this is {shown}")
    return name


def _number(name: str, value: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InvalidInput(f"{value!r} is not a number", where=str(name)) from None
