"""Keep the books of retries: one ledger for each kind of trouble, so that none pays for another.

What a document says of a ledger counts; else what the history says was charged, against the
ledger's own limit. Work that was saved beyond the attempt before refills the ledger of the
infrastructure.

Takes:   Judgement
Gives:   Account: which ledger pays, how much of it is used, and what is allowed
"""

from __future__ import annotations

import zlib

import msgspec
from msgspec.structs import replace

from makeway.health.judge import Judgement
from makeway.health.reach import further, reached, reached_of, saved_before, saved_of
from makeway.model.incident import Past
from makeway.model.record import Cause, CauseClass

C = Cause
ALLOWED: dict[str, int | None] = {"app": 0, "infra": 5, "oom": 3, "preempt": None, "data": 1,
                                  "hang": 2}  # fmt: skip
PAYS = {
    **dict.fromkeys(
        (C.NODE_LOST, C.PARTITION, C.CONNECTION, C.STORAGE, C.GPU_HARDWARE, C.NETWORK_COLLECTIVE,
         C.DISK_FULL, C.GPU_FRAGMENT, C.STRAGGLER, C.OOM_VICTIM, C.KILLED_UNKNOWN, C.CRASH_NATIVE,
         C.START_TIMEOUT, C.LAUNCHER_STUCK, C.DATA_UNAVAILABLE, C.SDC_SUSPECTED, C.DEGRADED,
         C.DATA_SKEW, C.OOM_GPU, C.DATA_STARVED),
        "infra",
    ),
    **dict.fromkeys((C.OOM_HOST, C.MEMORY_LEAK, C.SHM_FULL), "oom"),
    C.HUNG: "hang",
    C.DATA_LOST: "data",
    C.PREEMPTED: "preempt",
}  # fmt: skip
CONFIRMS = (C.BAD_DATA, C.GPU_USER_FAULT, C.ENV_MISMATCH)  # one more attempt tells what it is
BACKOFF_S, BACKOFF_MAX_S = 10.0, 300.0
AT_ONCE = ("oom", "preempt", "data", "hang")
ELSEWHERE = (C.NODE_LOST, C.PARTITION)  # another machine has done nothing that one had to wait for


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger as it is now. `told` is what the document says, before anything is refilled.

    `attempt` names who pays, so that a crowd that failed at once does not come back at once;
    `wait_given_s` is how long somebody wants it to wait, instead of what is usual.
    """

    name: str
    used: int
    allowed: int | None
    refilled: bool = False
    told: int = 0
    attempt: str = ""
    at_once: bool = False
    wait_given_s: float | None = None

    @property
    def empty(self) -> bool:
        """Say whether it pays for nothing more."""
        return self.allowed is not None and self.used >= self.allowed

    @property
    def before(self) -> tuple[int, int | None]:
        """Give how it stands before the decision."""
        return self.told, self.allowed

    @property
    def after(self) -> tuple[int, int | None]:
        """Give how it stands once it has paid."""
        return self.used + 1, self.allowed

    @property
    def wait_s(self) -> float:
        """Give how long to wait: twice as long with each retry, and up to half of it less.

        How much less is a checksum of who waits, so that a replay waits equally long.
        """
        if self.wait_given_s is not None:
            return self.wait_given_s
        if self.at_once or self.name in AT_ONCE:
            return 0.0
        full = min(BACKOFF_MAX_S, BACKOFF_S * float(1 << min(self.used, 10)))
        if not self.attempt:
            return full
        return round(full * (0.5 + zlib.crc32(self.attempt.encode()) % 1000 / 2000), 3)


def account_of(judgement: Judgement) -> Account:
    """Find the ledger that pays for another attempt."""
    cause = judgement.diagnosis.cause
    name = PAYS.get(cause, "app")
    known = judgement.scene.incident.ledgers
    if cause is C.UNKNOWN and judgement.diagnosis.cause_class is CauseClass.TEMPORARY:
        name = "infra"  # the program asked for another attempt (makeway.Retry)
    if cause in CONFIRMS and cause is not C.BAD_DATA and _account(judgement, "app").empty:
        name = "infra"
    account = _account(judgement, name)
    asked = judgement.scene.incident.request.retries
    if cause is C.BAD_DATA and "app" not in known and asked is None:
        account = replace(account, allowed=1)
    return replace(account, attempt=judgement.scene.incident.name, at_once=cause in ELSEWHERE)


def _account(judgement: Judgement, name: str) -> Account:
    incident = judgement.scene.incident
    if name in incident.ledgers:
        used, allowed = incident.ledgers[name]
    else:
        paid = [past for past in incident.history if past.cause and _payer(past) == name]
        used, allowed = len(paid), ALLOWED[name]
        if name == "app":
            allowed = incident.request.retries or 0
    if name == "infra" and used and advanced(judgement):
        return Account(name=name, used=0, allowed=allowed, refilled=True, told=used)
    return Account(name=name, used=used, allowed=allowed, told=used)


def _payer(past: Past) -> str:
    return PAYS.get(past.cause, "app") if past.cause is not None else ""


def advanced(judgement: Judgement) -> bool:
    """Say whether more is saved than the attempts before had saved, where both are known."""
    return further(saved_of(judgement.scene), saved_before(judgement.scene)) is True


def streak(judgement: Judgement) -> int:
    """Count how often in a row the same failure ended attempts that came no further.

    What is not known to have come no further neither counts nor ends the row; a preemption is no
    failure.
    """
    diagnosis = judgement.diagnosis
    later, count = reached(judgement.scene), 1
    for past in reversed(judgement.scene.incident.history):
        if past.cause is C.PREEMPTED:
            continue
        if not _same(past, diagnosis.cause, diagnosis.fingerprint):
            break
        now = reached_of(past)
        gained = further(later, now)
        if gained:
            break
        count += gained is False
        later = now if now.known else later
    return count


def _same(past: Past, cause: Cause, fingerprint: str) -> bool:
    if past.fingerprint:
        return past.fingerprint == fingerprint
    return past.cause is cause
