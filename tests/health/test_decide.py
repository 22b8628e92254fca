"""What is done about a diagnosis, and which ledger pays, told in a table."""

from __future__ import annotations

import re
from typing import Any

import pytest

from makeway.health.causes import CLASS_OF
from makeway.health.decide import ATTEMPTS_MAX, BACKOFF_MAX_MS, RESTARTS_MAX, decide
from makeway.model.job import Job
from makeway.model.record import Cause, Decision, Diagnosis
from tests import builders

# `before` lists what was decided before: causes, each paid by the ledger that pays for it.
TABLE = """
cause                 retries  before                              decision
PREEMPTED             0        -                                   requeue
CANCELLED             9        -                                   stop: cancelled: do not retry
CANCELLED_EXTERNALLY  9        -                                   stop: cancelled: do not retry
CODE_ERROR            9        -                                   stop: permanent: stop
MISSING_INPUT         9        -                                   stop: permanent: stop
USER_PERMANENT        9        -                                   stop: permanent: stop
UNKNOWN               0        -                                   stop: ledger empty
UNKNOWN               2        -                                   retry app 1 of 2
UNKNOWN               2        UNKNOWN                             retry app 2 of 2
UNKNOWN               2        UNKNOWN BAD_DATA                    stop: ledger empty
UNKNOWN               1        CONNECTION CONNECTION               retry app 1 of 1
OOM_HOST              1        -                                   retry app 1 of 1
CONNECTION            0        -                                   retry infra 1 of 5
CONNECTION            0        CONNECTION NODE_LOST STORAGE        retry infra 4 of 5
CONNECTION            0        NODE_LOST*5                         stop: ledger empty
CONNECTION            9        UNKNOWN*5                           retry infra 1 of 5
START_TIMEOUT         0        -                                   retry infra 1 of 5
NODE_LOST             0        PREEMPTED*5                         retry infra 1 of 5
KILLED_UNKNOWN        0        -                                   retry infra 1 of 1
KILLED_UNKNOWN        9        KILLED_UNKNOWN                      stop: ledger empty
KILLED_UNKNOWN        0        NODE_LOST NODE_LOST CRASH_NATIVE    retry infra 1 of 1
CRASH_NATIVE          9        CRASH_NATIVE                        stop: ledger empty
TIMED_OUT             9        -                                   stop: permanent: stop
HUNG                  0        -                                   retry hang 1 of 2
HUNG                  0        HUNG NODE_LOST                      retry hang 2 of 2
HUNG                  9        HUNG HUNG                           stop: ledger empty
"""
ROWS = [re.split(r"\s{2,}", row.strip()) for row in TABLE.strip().splitlines()[1:]]
LEDGERS = {"UNKNOWN": "app", "BAD_DATA": "app", "OOM_HOST": "app", "PREEMPTED": None,
           "HUNG": "hang"}  # fmt: skip


def diagnosis(cause: str) -> Diagnosis:
    known = Cause(cause)
    return Diagnosis(cause=known, cause_class=CLASS_OF[known], confidence="", text="it failed")


def job(before: str = "-", **known: Any) -> Job:
    """Make a job with these decisions behind it; `NODE_LOST*5` stands for five of one kind."""
    history = []
    for word in before.split() if before != "-" else ():
        cause, _, times = word.partition("*")
        paid = Decision(
            action="retry",
            cause=Cause(cause),
            fingerprint="",
            text="",
            rule="",
            ledger=LEDGERS.get(cause, "infra"),
        )
        history += [paid] * int(times or 1)
    attempts = len(history) + 1
    return builders.job("a", **{"history": tuple(history), "attempts": attempts, **known})


@pytest.mark.parametrize("cause,retries,before,expected", ROWS)
def test_it_is_decided(cause: str, retries: str, before: str, expected: str) -> None:
    found = decide(diagnosis(cause), job(before, retries=int(retries)), started=True)
    match found.action:
        case "retry":
            told = f"retry {found.ledger} {found.ledger_used} of {found.ledger_allowed}"
        case "stop":
            told = f"stop: {found.rule}"
        case _:
            told = found.action
    assert told == expected
    assert found.text.startswith("it failed")
    assert found.cause is Cause(cause)


def test_the_sentence_tells_the_ledger_the_count_and_the_wait() -> None:
    found = decide(diagnosis("CONNECTION"), job("CONNECTION"), started=True)
    assert found.text == (
        "it failed: temporary, so this step alone is tried again in "
        f"{found.after_ms / 1000:.0f} s (retry 2 of 5, infra ledger)"
    )


def test_a_lost_machine_costs_no_time() -> None:
    found = decide(diagnosis("NODE_LOST"), job("NODE_LOST*3"), started=True)
    assert found.after_ms == 0
    assert "tried again at once (retry 4 of 5, infra ledger)" in found.text


def test_what_allows_nothing_says_so() -> None:
    none = decide(diagnosis("UNKNOWN"), job(retries=0), started=True)
    used = decide(diagnosis("UNKNOWN"), job("UNKNOWN*2", retries=2), started=True)
    assert none.text == "it failed: unknown, and the app ledger allows no retry"
    assert used.text == "it failed: unknown, and all retries of the app ledger are used (2 of 2)"


def test_a_job_is_tried_twenty_times_at_most() -> None:
    last = job(retries=99, attempts=ATTEMPTS_MAX - 1)
    over = job(retries=99, attempts=ATTEMPTS_MAX)
    assert decide(diagnosis("UNKNOWN"), last, started=True).action == "retry"
    found = decide(diagnosis("UNKNOWN"), over, started=True)
    assert (found.action, found.rule) == ("stop", "hard cap of attempts")


@pytest.mark.parametrize("cause", ["CONNECTION", "UNKNOWN", "HUNG", "PREEMPTED"])
def test_who_comes_no_further_is_stopped_whatever_its_ledgers_hold(cause: str) -> None:
    stuck = job(retries=99, step=40, stalled=RESTARTS_MAX)
    found = decide(diagnosis(cause), stuck, started=True)
    assert (found.action, found.cause, found.rule) == (
        "stop", Cause.NO_PROGRESS, "no progress: stop",
    )  # fmt: skip
    assert found.text.endswith("3 restarts in a row came no further than step 40")
    once_less = job(retries=99, step=40, stalled=RESTARTS_MAX - 1)
    assert decide(diagnosis(cause), once_less, started=True).action != "stop"


def test_a_certain_cause_goes_before_a_lack_of_progress() -> None:
    stuck = job(step=40, stalled=RESTARTS_MAX)
    assert decide(diagnosis("CODE_ERROR"), stuck, started=True).cause is Cause.CODE_ERROR


def test_being_evicted_counts_for_nothing() -> None:
    over = job(attempts=ATTEMPTS_MAX, idempotent=False)
    assert decide(diagnosis("PREEMPTED"), over, started=True).action == "requeue"


@pytest.mark.parametrize("started,action", [(True, "stop"), (False, "retry")])
def test_what_may_not_be_repeated_is_repeated_only_before_it_began(
    started: bool, action: str
) -> None:
    found = decide(diagnosis("CONNECTION"), job(idempotent=False), started=started)
    assert found.action == action


def test_the_wait_doubles_and_has_an_end() -> None:
    waits = [
        decide(diagnosis("UNKNOWN"), job(f"UNKNOWN*{n}" if n else "-", retries=99), started=True)
        for n in range(10)
    ]
    for number, found in enumerate(waits):
        full = min(BACKOFF_MAX_MS, 10_000 * 2**number)
        assert full / 2 <= found.after_ms <= full


def test_a_crowd_does_not_come_back_at_once_and_a_replay_waits_equally_long() -> None:
    def waits() -> list[int]:
        return [
            decide(diagnosis("CONNECTION"), job(id=f"j{number}"), started=True).after_ms
            for number in range(100)
        ]

    assert len({*waits()}) > 90
    assert waits() == waits()


def test_an_eviction_is_no_try() -> None:
    often = job(f"PREEMPTED*{ATTEMPTS_MAX}", attempts=ATTEMPTS_MAX + 1, retries=1)
    assert decide(diagnosis("UNKNOWN"), often, started=True).action == "retry"
