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


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """A "no" with its grounds; `detail` holds the numbers of the sentence, `blocked_by` jobs."""

    reason: Reason
    text: str
    detail: dict[str, object] = {}
    blocked_by: tuple[str, ...] = ()
