"""Hear that it is time to leave, and let all workers hear it at the same step.

SIGTERM and the notice file say so; each worker hears it when it hears it. If one left its step alone,
the others would wait for it for ever. So every step asks all of them, with a reduction that is begun
before the step computes and read when it has computed: it costs no waiting, and all leave after the
same step. The order of the reduction's answer is MAX: what one has heard, all know.

Takes:   the group for these questions (its own, on the CPU: it never waits behind gradients)
Gives:   after each step, whether to go on
Source:  one rank that stops alone hangs the rest: a known trouble of training on preemptible machines
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

STAY, MOVE, LEAVE = 0, 1, 2


class Notice:
    """What this worker has heard."""

    def __init__(self, folder: Path | None) -> None:
        """Listen; outside makeway nobody gives notice, and SIGTERM means what it always did."""
        self.leave = False
        self._resize = None if folder is None else folder / "resize.json"
        self._resized_ns = self._stamp()
        self._before: Any = None
        if folder is not None and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._told)

    def heard(self) -> int:
        """Say what to do after this step, as far as this worker knows."""
        if self.leave:
            return LEAVE
        return MOVE if self._stamp() != self._resized_ns else STAY

    def moved(self) -> None:
        """Forget the change of workers that has been made."""
        self._resized_ns = self._stamp()

    def _stamp(self) -> int:
        if self._resize is None:
            return 0
        with contextlib.suppress(OSError):
            return os.stat(self._resize).st_mtime_ns  # noqa: PTH116 - asked at each step
        return 0

    def _told(self, number: int, frame: FrameType | None) -> None:
        self.leave = True
        if callable(self._before):
            self._before(number, frame)


class Question:
    """Ask all workers at each step; alone, ask oneself."""

    def __init__(self, notice: Notice, group: Any) -> None:  # noqa: ANN401 - a process group
        """Take the group, None for a worker on its own."""
        self._notice, self._group = notice, group
        self._asked: Any = None
        self._answer: Any = None

    def ask(self) -> None:
        """Begin to ask; the answer comes while the step computes."""
        if self._group is None:
            return
        import torch
        import torch.distributed as dist

        self._answer = torch.tensor([self._notice.heard()], dtype=torch.int32)
        self._asked = dist.all_reduce(
            self._answer, op=dist.ReduceOp.MAX, group=self._group, async_op=True
        )

    def answered(self) -> int:
        """Wait for the answer, if it is not there yet."""
        if self._group is None:
            return self._notice.heard()
        assert self._asked is not None, "asked before"
        self._asked.wait()
        self._asked = None
        return int(self._answer.item())
