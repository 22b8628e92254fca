"""Leave with the work saved: exit code 75 and a record of what is saved, or 143 without one.

All workers end their program after the same step. Rank 0 saves, the others wait until it has; then
each writes down for its agent that it wants to go on, from which step. A worker that was not told by
itself yet waits for its own notice, for whoever leaves unbidden is taken for failed.

Takes:   State, if the program has one; the group in which the workers agree
Raises:  SystemExit
Source:  EX_TEMPFAIL (75) of sysexits.h: try again later
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

from makeway.executor.folder import YIELD, write_whole
from makeway.model.record import Yielded
from makeway.training.notice import Notice
from makeway.training.place import Place
from makeway.training.state import State

YIELDS, TERMINATED = 75, 143
TOLD_S = 10.0


def leave(place: Place, notice: Notice, state: State | None, step: int, group: Any) -> None:  # noqa: ANN401 - a process group
    """Save, say so, and end the program."""
    saved = _saved(place, state, step, group)
    part_ways()
    until = time.monotonic() + TOLD_S
    while not notice.leave and time.monotonic() < until:
        time.sleep(0.005)
    if saved and place.folder is not None:
        name = state.last.path.name if state is not None and state.last is not None else ""
        write_whole(place.folder / YIELD, Yielded(fence=place.fence, step=step, checkpoint=name))
        sys.exit(YIELDS)
    sys.exit(TERMINATED)


def part_ways() -> None:
    """Take leave of the group, so that none of its threads is met by the end of the interpreter."""
    import torch.distributed as dist

    if dist.is_initialized():
        with contextlib.suppress(RuntimeError):  # the others may be gone already
            dist.destroy_process_group()


def _saved(place: Place, state: State | None, step: int, group: Any) -> bool:  # noqa: ANN401 - a process group
    """Save at rank 0, and let all know whether that went well."""
    done = 0
    if state is not None:
        if place.rank == 0:
            with contextlib.suppress(OSError):  # the disk is full: what was saved before stays
                state.save(step)
                done = 1
        if group is not None:
            import torch
            import torch.distributed as dist

            said = torch.tensor([done], dtype=torch.int32)
            dist.broadcast(said, src=0, group=group)
            done = int(said.item())
    return bool(done)
