"""Say what was decided: one decision a job, each with its reason.

A plan is data. The engine turns it into events; what is not in it stays as it is. Decisions about
running jobs (resize, preempt) and about the future (reserve) join the union as the policy grows.
"""

from __future__ import annotations

import msgspec

from makeway.model.cluster import Allocation
from makeway.model.wait import Wait


class Start(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Give the job this allocation now."""

    job: str
    allocation: Allocation


class Hold(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Leave the job where it is; `wait` says why."""

    job: str
    wait: Wait


class Reject(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """End the job: it can never run here."""

    job: str
    wait: Wait


Decided = Start | Hold | Reject


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All that one cycle decided; `basis` is the seq of the snapshot that it was made from."""

    basis: int
    decisions: tuple[Decided, ...] = ()
