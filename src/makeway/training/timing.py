"""Measure what a worker itself needs for a step, apart from what it waits for the others.

All workers of a step end together, so the whole time of a step names nobody. `wait` is the time from
when this worker's last gradients are handed over until backward returns; `local` is the rest of the
step. A worker that is slow has a long `local`, while the `wait` of all others grows.

Takes:   the model, wrapped for data parallel training; a hook sees each bucket of gradients
Gives:   ms of the step, of it local, wait and data
Cost:    two readings of the clock a bucket
Source:  docs/training.md has the table of what each kind of slowness looks like
"""

from __future__ import annotations

import time
from typing import Any

import msgspec


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """What one step took, in ms; `norms` the squared norm of this worker's own gradients."""

    step_ms: float
    wait_ms: float
    data_ms: float
    norm: float = 0.0

    @property
    def local_ms(self) -> float:
        """Give what this worker needed by itself."""
        return max(0.0, self.step_ms - self.wait_ms)


class Timer:
    """The clock of one worker's steps."""

    def __init__(self, *, norms: bool = False) -> None:
        """Take whether the norms of gradients are wanted, too."""
        self.norms = norms
        self._since = self._left = time.perf_counter()
        self._handed: float | None = None
        self._wait = self._norm = self._data = 0.0

    def begin(self) -> None:
        """Begin a part; the time since the last one went to its data."""
        self._data += time.perf_counter() - self._left

    def between(self) -> None:
        """End a part that is not the last of its step."""
        self._left = time.perf_counter()

    def end(self) -> Times:
        """End a step."""
        now = time.perf_counter()
        step = now - self._since
        times = Times(
            step_ms=step * 1000, wait_ms=self._wait * 1000, data_ms=self._data * 1000,
            norm=self._norm,
        )  # fmt: skip
        self._left = self._since = now
        self._wait = self._norm = self._data = 0.0
        return times

    def pause(self) -> None:
        """Leave out what was done since: it is no part of a step."""
        self._left = self._since = time.perf_counter()

    def hook(self, group: Any, bucket: Any) -> Any:  # noqa: ANN401 - torch's own types
        """Average one bucket of gradients over the workers, as DDP would; and look at the clock."""
        import torch
        import torch.distributed as dist

        gradients = bucket.buffer()
        if self.norms:
            self._norm += float(gradients.square().sum())
        if bucket.is_last():
            self._handed = time.perf_counter()
            # DDP's own callback, which waits for the others, is queued after this one: so this one
            # queues another, and that is the last of all.
            engine = torch.autograd.Variable._execution_engine  # noqa: SLF001 - no public way
            engine.queue_callback(lambda: engine.queue_callback(self._returned))
        workers = dist.get_world_size(group)
        averaged = gradients.div_(workers)
        asked = dist.all_reduce(averaged, group=group, async_op=True)
        return asked.get_future().then(lambda future: future.value()[0])

    def _returned(self) -> None:
        if self._handed is not None:
            self._wait += time.perf_counter() - self._handed
            self._handed = None
