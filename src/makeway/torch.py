"""Train with PyTorch on any number of workers: `import makeway.torch as mwt`.

    run = mwt.init()

docs/training.md goes through it in ten minutes. Importing this imports no PyTorch.
"""

from __future__ import annotations

from makeway.training import session as _session
from makeway.training.meeting import DEADLINE_S, NotReady
from makeway.training.session import HANG_S, Session
from makeway.worker import recorder as _recorder

__all__ = ["NotReady", "Session", "init"]


class _Recorded:
    """What a training tells goes to the worker's recorder; outside makeway there is none."""

    def metric(self, name: str, value: float, step: int | None) -> None:
        """Record a reading."""
        _recorder.log_metric(name, value, step)

    def note(self, kind: str, key: str, value: object) -> None:
        """Record a fact."""
        active = _recorder.current()
        if active is not None:
            active.note(kind, key, value)


def init(*, deadline_s: float = DEADLINE_S, hang_s: float = HANG_S) -> Session:
    """Meet with the other workers, and give the session in which they train.

    deadline_s  how long to wait for all to come; then NotReady names who is missing
    hang_s      how long a collective waits for a peer that has stopped
    """
    return _session.init(_Recorded(), deadline_s=deadline_s, hang_s=hang_s)
