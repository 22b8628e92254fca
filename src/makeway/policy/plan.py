"""Say what was decided: each decision with its reason, and why everybody else waits.

A plan is data. The engine turns its decisions into events, in their order; what is not in it stays
as it is. Jobs that are alike wait for the same reason, so there is one `Hold` a kind, and its
sentence is made when it is asked for (`explain`), before anything of the plan is carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from makeway.model.cluster import Allocation
from makeway.model.wait import Reason, Wait
from makeway.policy.snapshot import Kind


class Start(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Give the job this allocation now."""

    job: str
    allocation: Allocation


class Resize(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Let a running elastic job go on with this allocation; `beneficiary` gets what it loses."""

    job: str
    allocation: Allocation
    beneficiary: str | None = None
    rule: str | None = None


class Preempt(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Evict the job for another one, by this rule: `priority`, `reclaim`, `backfill`, ..."""

    job: str
    beneficiary: str
    rule: str
    text: str = ""
    lost_worker_ms: int = 0


class Reserve(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Keep these slots for a waiting job; it starts when the victims have left them."""

    job: str
    allocation: Allocation
    rule: str | None = None
    victims: tuple[str, ...] = ()


class Promise(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Nobody behind this job may delay it from here on; `at_ms` is when it should start."""

    job: str
    at_ms: int | None = None


class Release(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Give the slots up that were kept for a job."""

    job: str
    text: str = ""


class Reject(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """End the job: it can never run here."""

    job: str
    wait: Wait


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Leave the jobs of one kind where they are; the family of the reason, not yet its sentence."""

    kind: Kind
    reason: Reason


Decided = Start | Resize | Preempt | Reserve | Promise | Release | Reject


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All that one cycle decided; `basis` is the seq of the snapshot that it was made from.

    holds       one for every kind of which a job still waits when the plan is carried out
    explain     (kind, job id) -> Wait, the sentence for that job; only until the plan is carried out
    wake_at_ms  when the plan could change although nothing has happened; None: never
    """

    basis: int
    decisions: tuple[Decided, ...] = ()
    holds: Sequence[Hold] = ()
    explain: Callable[[Kind, str], Wait] | None = None
    wake_at_ms: int | None = None
