"""Find out why an attempt ended, from how its workers ended; strongest evidence first.

Our own intent comes first: what we ordered, we know. Then that a worker vanished, then the exception
that its runner wrote down, then its signal or exit code. In a gang the *earliest* failure is
the cause; the errors of its peers name a socket, not a reason, and only follow from it. One
failure is known later than what it does to others, and goes before them: the loss of a machine.

Takes:   attempt   an attempt whose workers have all exited
Gives:   Diagnosis with the rank that failed first; cause NONE when every worker ended well
Source:  first failure wins: PyTorch elastic, "multiprocessing/errors"
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from makeway.health.causes import CLASS_OF, HINT, MEANING, cause_of_error
from makeway.model.job import Attempt, Worker
from makeway.model.record import Cause, CauseClass, Diagnosis, ErrorRecord, Evidence, Exit

SIGNALS = {1: "SIGHUP", 2: "SIGINT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
           9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM"}  # fmt: skip
NATIVE = {4, 6, 7, 8, 11}
ORDERED = {9, 15}  # by which a worker ends that was told to leave
NEVER_RETRY = 93
YIELDS = 75  # EX_TEMPFAIL: its work is saved, and it wants to go on later

# Causes of an order to leave by which nothing is lost but time: whoever leaves is not at fault.
NOTICES = ("preempted", "drained", "restarted")

# Classes of causes that a worker proves by itself, whatever became of a machine afterwards.
CERTAIN = {CauseClass.PERMANENT, CauseClass.RESOURCE, CauseClass.DATA}


def diagnose(attempt: Attempt, step_before: int | None = None) -> Diagnosis:
    """Name the cause of the end of an attempt; `step_before` is how far earlier ones had come."""
    released = attempt.released_at_ms is not None
    failed = sorted((w for w in attempt.workers if not _well(w, released)), key=_instant)
    if not failed:
        return _diagnosis(Cause.NONE, "established", "")
    ordered = _ordered(attempt, failed, step_before)
    if ordered is not None:
        return ordered
    first = _of_worker(failed[0], attempt)
    lost = next((w for w in failed if _node_gone(_exit(w))), None)
    if lost is None or first.cause_class in CERTAIN:
        return first
    # A lost node shows late, when its lease is over: its peers have long failed for want of it.
    return _of_worker(lost, attempt)


def reached(attempt: Attempt) -> int | None:
    """Give the furthest training step that is known of an attempt: what is saved, or was reported."""
    ends = [_exit(worker) for worker in attempt.workers]
    saved = _steps(end for end in ends if _saved(end, attempt))
    return max(saved or [end.step for end in ends if end.step is not None], default=None)


def _steps(ends: Iterable[Exit]) -> list[int]:
    """Give the training steps up to which work is said to be saved."""
    records = [end.yielded for end in ends]
    return [one.step for one in records if one is not None and one.step is not None]


def _ordered(
    attempt: Attempt, failed: Sequence[Worker], step_before: int | None
) -> Diagnosis | None:
    """Name the cause of an end that was ordered; None if nobody ordered it."""
    match attempt.stop_cause:
        case "cancel":
            return _diagnosis(Cause.CANCELLED, "established", "the order to stop is in the log")
        case "preempted" | "drained" | "restarted":
            return _noticed(attempt, failed)
        case "timeout":
            found = _diagnosis(Cause.TIMED_OUT, "established", attempt.stop_text)
            # What is saved beyond the last attempt is worth going on with; the same again is not.
            ends = [_exit(worker) for worker in failed]
            far = _steps(end for end in ends if _saved(end, attempt))
            advanced = max(far, default=0) > (step_before or 0)
            return replace(found, cause_class=CauseClass.TEMPORARY) if advanced else found
        case "hang":
            found = _diagnosis(Cause.HUNG, "established", attempt.stop_text)
            seen = attempt.symptom.evidence if attempt.symptom else ()
            return replace(found, evidence=(*found.evidence, *seen))
        case "barrier":
            missing = ", ".join(str(w.rank) for w in attempt.workers if not w.ready) or "none"
            waited = (attempt.barrier_at_ms - attempt.started_at_ms) / 1000
            return _diagnosis(
                Cause.START_TIMEOUT, "established", f"after {waited:g} s missing: rank {missing}"
            )
        case _:
            return None


def _noticed(attempt: Attempt, failed: Sequence[Worker]) -> Diagnosis:
    """Believe whoever left after a notice, unless it says of itself that it failed."""
    for worker in failed:
        end = _exit(worker)
        if end.code == NEVER_RETRY or (end.code == YIELDS and not _saved(end, attempt)):
            return _of_worker(worker, attempt)
    step = max(_steps(_exit(worker) for worker in failed), default=None)
    why = attempt.stop_text or "the order to leave is in the log"
    fact = why if step is None else f"{why}; its work is saved up to step {step}"
    return _diagnosis(Cause.PREEMPTED, "established", fact)


def _saved(end: Exit, attempt: Attempt) -> bool:
    """Say whether a worker left with its work saved, by a record of this very attempt."""
    return end.code == YIELDS and end.yielded is not None and end.yielded.fence == attempt.fence


def _of_yield(worker: Worker, attempt: Attempt, who: str) -> Diagnosis:
    end, rank = _exit(worker), worker.rank
    if end.yielded is None:
        text, root = f"{who}exit code 75 without a record of what is saved", "exit 75"
    elif not _saved(end, attempt):
        text, root = f"{who}exit code 75 with the record of an older attempt", "exit 75, old record"
    else:
        text = f"{who}it left by itself, its work is saved up to step {end.yielded.step}"
        return _diagnosis(Cause.PREEMPTED, "established", text, rank=rank)
    return _diagnosis(Cause.UNKNOWN, "supported", text, rank=rank, root=root)


def _of_worker(worker: Worker, attempt: Attempt) -> Diagnosis:
    end = _exit(worker)
    who = f"rank {worker.rank}: " if len(attempt.workers) > 1 else ""
    if end.lost is not None:
        cause = Cause.NODE_LOST if _node_gone(end) else Cause.KILLED_UNKNOWN
        return _diagnosis(cause, "established", who + end.lost, rank=worker.rank)
    if end.code == YIELDS:
        return _of_yield(worker, attempt, who)
    if end.error is not None and end.code != NEVER_RETRY:
        return _of_error(end.error, who, worker.rank)
    if end.signal is not None:
        name = SIGNALS.get(end.signal, f"signal {end.signal}")
        cause = Cause.CRASH_NATIVE if end.signal in NATIVE else Cause.KILLED_UNKNOWN
        return _diagnosis(cause, "supported", f"{who}ended by {name}", rank=worker.rank, root=name)
    cause = Cause.USER_PERMANENT if end.code == NEVER_RETRY else Cause.UNKNOWN
    if end.code in (126, 127):
        cause = Cause.CODE_ERROR
    text = f"{who}exit code {end.code}" + ("" if end.started else " before its program began")
    return _diagnosis(cause, "supported", text, rank=worker.rank, root=f"exit {end.code}")


def _of_error(error: ErrorRecord, who: str, rank: int) -> Diagnosis:
    cause = cause_of_error(error)
    frame = next((f for f in reversed(error.frames) if f.user), None)
    # The whole path stands in the record; a sentence has room for the name.
    file = frame.file.rpartition("/")[2] if frame else ""
    where = f" at {file}:{frame.line} in {frame.function}" if frame else ""
    short = error.type.rpartition(".")[2]
    root = f"{error.type} {frame.file}:{frame.function}" if frame else error.type
    confidence = "unknown" if cause is Cause.UNKNOWN else "established"
    text = f"{who}{short}: {error.message}{where}" if error.message else f"{who}{short}{where}"
    return _diagnosis(cause, confidence, text, rank=rank, root=root)


def _diagnosis(
    cause: Cause, confidence: str, fact: str, *, rank: int | None = None, root: str = ""
) -> Diagnosis:
    ref = "attempt" if rank is None else f"workers[{rank}].exit"
    return Diagnosis(
        cause=cause,
        cause_class=CLASS_OF[cause],
        confidence=confidence,
        text=f"{MEANING[cause]} ({fact})" if fact else MEANING[cause],
        hint=HINT.get(cause, ""),
        # What varies from attempt to attempt (ranks, times, addresses) stays out of it.
        fingerprint=hashlib.sha256(f"{cause} {root}".encode()).hexdigest()[:16],
        rank=rank,
        evidence=(Evidence(text=fact, ref=ref),) if fact else (),
    )


def _well(worker: Worker, released: bool) -> bool:  # noqa: FBT001 - a plain predicate
    """Say whether the worker did its work; an agent that leaves the barrier ends with 0 as well."""
    end = _exit(worker)
    return released and end.started and end.good


def _node_gone(end: Exit) -> bool:
    return end.lost is not None and end.lost.startswith("node ")


def _exit(worker: Worker) -> Exit:
    assert worker.exit is not None, "an attempt is diagnosed when all of its workers have exited"
    return worker.exit


def _instant(worker: Worker) -> tuple[int, bool, int]:
    """Order failures; of one instant, those that a signal made come last: peers get one at once."""
    end = _exit(worker)
    at_ms = end.error.at_ms if end.error is not None and end.error.at_ms else end.at_ms
    return at_ms, end.signal in ORDERED, worker.rank
