"""Say why a job does not run: one closed list of reasons, each with the question it answers.

Every "no" is a value: the reason, a sentence with the numbers in it, and who blocks. The most
specific reason wins, and the same word stands in the terminal, on the wire and on the pages.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Reason(StrEnum):
    """Why a job waits or was refused; the groups are never, held, policy, capacity, moving."""

    MISCONFIGURED = "Misconfigured"
    EXCEEDS_LIMIT = "ExceedsLimit"
    NO_NODE_FITS = "NoNodeFits"
    HELD = "Held"
    DEPENDENCY_PENDING = "DependencyPending"
    DATA_UNAVAILABLE = "DataUnavailable"
    BACKOFF = "Backoff"
    CLASS_LIMIT = "ClassLimit"
    QUEUE_LIMIT = "QueueLimit"
    OVER_SHARE = "OverShare"
    BORROWING_OFF = "BorrowingOff"
    BEHIND_PRIORITY = "BehindPriority"
    BEHIND_SHARE = "BehindShare"
    INSUFFICIENT_FREE = "InsufficientFree"
    GANG_INCOMPLETE = "GangIncomplete"
    FRAGMENTED = "Fragmented"
    RESERVED_FOR_OTHER = "ReservedForOther"
    WAITING_FOR_EVICTION = "WaitingForEviction"
    MIN_RUN_TIME = "MinRunTime"
    NOT_READY = "NotReady"


# Reasons of one family turn into each other all the time while a job waits for the same thing; what
# is written down is a change of family.
ROOM = (Reason.INSUFFICIENT_FREE, Reason.GANG_INCOMPLETE, Reason.FRAGMENTED)
BEHIND = (Reason.BEHIND_PRIORITY, Reason.BEHIND_SHARE, Reason.RESERVED_FOR_OTHER)


def family(reason: Reason) -> Reason:
    """Give the reason that stands for all which are told as one."""
    return ROOM[0] if reason in ROOM or reason in BEHIND else reason


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """A "no" with its grounds; `detail` holds the numbers of the sentence, `blocked_by` jobs.

    `unblock` names changes that would start the job, the cheapest first; `starts_at_ms` is when it
    is expected to start as things are. Both are worked out when somebody asks, not in every cycle.
    """

    reason: Reason
    text: str
    detail: dict[str, object] = {}
    blocked_by: tuple[str, ...] = ()
    unblock: tuple[str, ...] = ()
    starts_at_ms: int | None = None
