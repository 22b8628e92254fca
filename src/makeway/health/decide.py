"""Decide what is done about a diagnosis, and which ledger pays for it.

A permanent failure only repeats itself: stop. A temporary one heals: try again, but not for ever,
which is what the ledgers are for. Each is a budget of its own, so that lost connections do not use
up what the user allowed for their own program. A decision names its rule, its ledger and the count
in one sentence.

Takes:   diagnosis of the attempt that just ended; the job with the decisions before it
Gives:   Decision: `stop`, `retry` (a ledger pays) or `requeue` (nobody pays)
Holds:   a job is tried at most 20 times, but for evictions · `idempotent=False` is never repeated
         once it has begun · who was restarted three times and came no further is stopped, whatever
         its ledgers hold
"""

from __future__ import annotations

import zlib

import msgspec

from makeway.model.job import Job
from makeway.model.record import Cause, CauseClass, Decision, Diagnosis

ATTEMPTS_MAX = 20
RESTARTS_MAX = 3  # in a row and without a step gained
BACKOFF_MS = 10_000
BACKOFF_MAX_MS = 300_000


class Ledger(msgspec.Struct, frozen=True):
    """A budget of retries; `allowed` of None is the user's own `retries=`.

    With `each_cause` only what the same cause has used counts: a machine that was lost before says
    nothing about a crash.
    """

    name: str
    allowed: int | None
    backoff: bool
    each_cause: bool = False


APP = Ledger("app", None, backoff=True)
INFRA = Ledger("infra", 5, backoff=True)
UNCLEAR = Ledger("infra", 1, backoff=True, each_cause=True)
START = Ledger("infra", 5, backoff=False)
HANG = Ledger("hang", 2, backoff=False)

PAYS = {
    Cause.START_TIMEOUT: INFRA,
    Cause.NODE_LOST: START,
    Cause.HUNG: HANG,
    Cause.CONNECTION: INFRA,
    Cause.STORAGE: INFRA,
    Cause.KILLED_UNKNOWN: UNCLEAR,
    Cause.CRASH_NATIVE: UNCLEAR,
}


FINAL = (CauseClass.PERMANENT, CauseClass.CANCELLED)


def decide(diagnosis: Diagnosis, job: Job, *, started: bool) -> Decision:
    """Choose between stopping and trying again; `started` says that the program had begun."""
    if job.stalled >= RESTARTS_MAX and diagnosis.cause_class not in FINAL:
        return _no_progress(diagnosis, job)
    if diagnosis.cause_class is CauseClass.PREEMPTED:
        text = f"{diagnosis.text}; it goes on when there is room, nothing is charged"
        return _decision("requeue", diagnosis, text, "preempted: never charged")
    if diagnosis.cause_class is CauseClass.PERMANENT:
        text = f"{diagnosis.text}: permanent, another attempt would repeat it"
        return _decision("stop", diagnosis, text, "permanent: stop")
    if diagnosis.cause_class is CauseClass.CANCELLED:
        return _decision("stop", diagnosis, diagnosis.text, "cancelled: do not retry")
    if started and not job.spec.idempotent:
        text = f"{diagnosis.text}: it may not be repeated by itself (idempotent=False)"
        return _decision("stop", diagnosis, text, "not idempotent: ask")
    evicted = sum(decision.cause is Cause.PREEMPTED for decision in job.history)
    if job.attempts - evicted >= ATTEMPTS_MAX:
        text = f"{diagnosis.text}: it has been tried {ATTEMPTS_MAX} times, which is the limit"
        return _decision("stop", diagnosis, text, "hard cap of attempts")
    return _charge(diagnosis, job, PAYS.get(diagnosis.cause, APP))


def _no_progress(diagnosis: Diagnosis, job: Job) -> Decision:
    far = f"{job.stalled} restarts in a row came no further than step {job.step}"
    text = f"{diagnosis.text}: no progress, {far}"
    decision = _decision("stop", diagnosis, text, "no progress: stop")
    return msgspec.structs.replace(decision, cause=Cause.NO_PROGRESS)


def _charge(diagnosis: Diagnosis, job: Job, ledger: Ledger) -> Decision:
    allowed = job.spec.retries if ledger.allowed is None else ledger.allowed
    paid = [
        decision
        for decision in job.history
        if decision.ledger == ledger.name
        and (decision.cause is diagnosis.cause or not ledger.each_cause)
    ]
    used = len(paid) + 1
    kind = diagnosis.cause_class.value
    if used > allowed:
        why = (
            f"all retries of the {ledger.name} ledger are used ({allowed} of {allowed})"
            if allowed
            else f"the {ledger.name} ledger allows no retry"
        )
        return _decision("stop", diagnosis, f"{diagnosis.text}: {kind}, and {why}", "ledger empty")
    after_ms = _backoff_ms(job, used) if ledger.backoff else 0
    when = f"in {after_ms / 1000:.0f} s" if after_ms else "at once"
    text = (
        f"{diagnosis.text}: {kind}, so this step alone is tried again {when} "
        f"(retry {used} of {allowed}, {ledger.name} ledger)"
    )
    decision = _decision("retry", diagnosis, text, f"{kind}: retry from the {ledger.name} ledger")
    return msgspec.structs.replace(
        decision, after_ms=after_ms, ledger=ledger.name, ledger_used=used, ledger_allowed=allowed
    )


def _backoff_ms(job: Job, used: int) -> int:
    """Double the wait with each retry; shift it by job, so that a crowd does not come back at once.

    The shift is a checksum of what the log holds, so that a replay waits equally long.
    """
    full = min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** (used - 1))
    part = zlib.crc32(f"{job.id}/{job.attempts}".encode()) % 1000 / 1000
    return int(full * (0.5 + 0.5 * part))


def _decision(action: str, diagnosis: Diagnosis, text: str, rule: str) -> Decision:
    return Decision(
        action=action,
        cause=diagnosis.cause,
        fingerprint=diagnosis.fingerprint,
        text=text,
        rule=rule,
    )
