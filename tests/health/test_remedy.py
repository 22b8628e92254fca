"""What is done about a cause, and which ledger pays, told in a table."""

from __future__ import annotations

import re
from typing import Any

import pytest

from makeway.health.budgets import BACKOFF_MAX_S
from makeway.health.causes import CLASS_OF
from makeway.health.judge import Judgement
from makeway.health.outlook import Judged
from makeway.health.remedy import ATTEMPTS_MAX, remedy
from makeway.health.rules.finding import Finding, Tier
from makeway.health.rules.scene import scene_of
from makeway.model.incident import Checkpoint, Ended, Incident, Past, Request
from makeway.model.record import Cause, Decision, Diagnosis, Outlook

ONCE = (Cause.KILLED_UNKNOWN, Cause.CRASH_NATIVE)

# `before` lists the causes of the attempts before; nobody knows how far any of them came.
TABLE = """
cause                 retries  before                              decision
PREEMPTED             0        -                                   requeue
CANCELLED             9        -                                   stop
CANCELLED_EXTERNALLY  9        -                                   stop
CODE_ERROR            9        -                                   stop
MISSING_INPUT         9        -                                   stop
USER_PERMANENT        9        -                                   stop
UNKNOWN               0        -                                   stop: app 0 of 0
UNKNOWN               2        -                                   retry app 1 of 2
UNKNOWN               2        UNKNOWN                             retry app 2 of 2
UNKNOWN               2        UNKNOWN BAD_DATA                    stop: app 2 of 2
UNKNOWN               1        CONNECTION CONNECTION               retry app 1 of 1
BAD_DATA              0        -                                   retry app 1 of 1
OOM_HOST              0        -                                   retry oom 1 of 3
OOM_HOST              0        OOM_HOST CONNECTION OOM_HOST        retry oom 3 of 3
OOM_HOST              9        OOM_HOST*3                          stop: oom 3 of 3
CONNECTION            0        -                                   retry infra 1 of 5
CONNECTION            0        CONNECTION NODE_LOST STORAGE        retry infra 4 of 5
CONNECTION            0        NODE_LOST*5                         stop: infra 5 of 5
CONNECTION            9        UNKNOWN*5                           retry infra 1 of 5
START_TIMEOUT         0        -                                   retry infra 1 of 5
NODE_LOST             0        PREEMPTED*5                         retry infra 1 of 5
KILLED_UNKNOWN        0        -                                   retry infra 1 of 5
KILLED_UNKNOWN        9        KILLED_UNKNOWN                      stop
KILLED_UNKNOWN        0        NODE_LOST NODE_LOST CRASH_NATIVE    retry infra 4 of 5
CRASH_NATIVE          9        CRASH_NATIVE                        stop
TIMED_OUT             9        -                                   stop
HUNG                  0        -                                   retry hang 1 of 2
HUNG                  0        HUNG NODE_LOST                      retry hang 2 of 2
HUNG                  9        HUNG HUNG                           stop: hang 2 of 2
"""
ROWS = [re.split(r"\s{2,}", row.strip()) for row in TABLE.strip().splitlines()[1:]]


def history(before: str) -> tuple[Past, ...]:
    """Make earlier attempts; `NODE_LOST*5` stands for five of one kind."""
    found: list[Past] = []
    for word in before.split() if before != "-" else ():
        cause, _, times = word.partition("*")
        found += [Past(cause=Cause(cause))] * int(times or 1)
    return tuple(found)


def decided(cause: str, before: str = "-", **known: Any) -> Decision:
    """Decide about a failure of this cause, after those."""
    asked = {key: known.pop(key) for key in [*known] if key in Request.__struct_fields__}
    asked["retries"] = asked.get("retries", 0) or None
    fields: dict[str, Any] = {"ended": Ended(exit_code=1), "history": history(before)}
    incident = Incident(**{**fields, "request": Request(**asked), **known})
    code = Cause(cause)
    finding = Finding(cause=code, tier=Tier.STATUS, said="", once=code in ONCE)
    said = Diagnosis(cause=code, cause_class=CLASS_OF[code], confidence="", text="it failed")
    judged = Judged(outlook=Outlook(verdict="unknown", text=""))
    scene = scene_of(incident)
    return remedy(Judgement(scene=scene, finding=finding, diagnosis=said, judged=judged))


@pytest.mark.parametrize("cause,retries,before,expected", ROWS)
def test_it_is_decided(cause: str, retries: str, before: str, expected: str) -> None:
    found = decided(cause, before, retries=int(retries))
    told = found.action
    if found.action == "retry":
        told = f"retry {found.ledger} {found.ledger_used} of {found.ledger_allowed}"
    elif found.ledger_before is not None:
        told = f"stop: {found.ledger} {found.ledger_before[0]} of {found.ledger_before[1]}"
    assert told == expected
    assert found.text.startswith("it failed")
    assert found.cause is Cause(cause)


def test_the_sentence_tells_the_ledger_the_count_and_the_wait() -> None:
    found = decided("CONNECTION", "CONNECTION")
    assert found.text == (
        "it failed: CONNECTION is temporary, so this step alone is tried again, retry 2 of 5, infra ledger after 20 s"
    )


def test_a_lost_machine_costs_no_time() -> None:
    found = decided("NODE_LOST", "NODE_LOST*3")
    assert (found.after_ms, found.ledger_used) == (0, 4)


def test_what_allows_nothing_says_so() -> None:
    none, used = decided("UNKNOWN"), decided("UNKNOWN", "UNKNOWN*2", retries=2)
    assert none.text == "it failed: the app ledger allows no retry, so it stops"
    assert used.text == "it failed: the app ledger is empty (2 of 2), so it stops"


def test_a_job_is_tried_twenty_times_at_most() -> None:
    assert decided("UNKNOWN", f"UNKNOWN*{ATTEMPTS_MAX - 2}", retries=99).action == "retry"
    found = decided("UNKNOWN", f"UNKNOWN*{ATTEMPTS_MAX - 1}", retries=99)
    assert (found.action, found.rule) == (
        "stop", "it has been tried 20 times; 20 are the most",
    )  # fmt: skip


def test_an_eviction_is_no_try() -> None:
    assert decided("UNKNOWN", f"PREEMPTED*{ATTEMPTS_MAX}", retries=1).action == "retry"


def test_being_evicted_counts_for_nothing() -> None:
    found = decided("PREEMPTED", f"UNKNOWN*{ATTEMPTS_MAX}", idempotent=False)
    assert (found.action, found.ledger) == ("requeue", None)


@pytest.mark.parametrize("begun,action", [(True, "stop"), (None, "stop"), (False, "retry")])
def test_what_may_not_be_repeated_is_repeated_only_before_it_began(
    begun: bool | None, action: str
) -> None:
    assert decided("CONNECTION", idempotent=False, begun=begun).action == action


def test_the_wait_doubles_and_has_an_end() -> None:
    plain = [decided("UNKNOWN", f"UNKNOWN*{n}" if n else "-", retries=99) for n in range(10)]
    named = [
        decided("UNKNOWN", f"UNKNOWN*{n}" if n else "-", retries=99, name=f"a/{n}")
        for n in range(10)
    ]
    for number, (one, other) in enumerate(zip(plain, named, strict=True)):
        full_ms = min(BACKOFF_MAX_S * 1000, 10_000 * 2**number)
        assert one.after_ms == full_ms
        assert full_ms / 2 <= other.after_ms <= full_ms


def test_a_crowd_does_not_come_back_at_once_and_a_replay_waits_equally_long() -> None:
    def waits() -> list[int]:
        return [decided("CONNECTION", name=f"j{number}/1").after_ms for number in range(100)]

    assert len({*waits()}) > 90
    assert waits() == waits()


def test_what_is_saved_beyond_the_attempts_before_refills_the_ledger_of_the_infrastructure() -> (
    None
):
    past = Past(cause=Cause.CONNECTION, checkpoint_step=10)
    for step, action, used in ((10, "stop", 0), (11, "retry", 1)):
        found = decided(
            "CONNECTION",
            history=(past,),
            checkpoint=Checkpoint(step=step),
            ledgers={"infra": (5, 5)},
        )
        assert (found.action, found.ledger_used) == (action, used)
