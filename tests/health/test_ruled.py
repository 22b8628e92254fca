"""What people's own rules and patterns change, and what they cannot."""

from __future__ import annotations

from typing import Any

import pytest

from makeway.health.judge import Judgement, judge
from makeway.health.remedy import remedy
from makeway.health.ruled import decide
from makeway.intake.evidence import incident_of
from makeway.intake.located import item_of
from makeway.model.record import Cause, CauseClass, Decision
from makeway.model.ruling import LogPattern, Rule

BUG = {"ended": {"at": 4, "exit_code": 1},
       "error": {"type": "mine.Missing", "bases": ["KeyError", "LookupError"], "message": "x"}}  # fmt: skip
OOM = {"request": {"memory": "200MB", "max_memory": "1GB"}, "ended": {"at": 9, "signal": 9},
       "kernel": {"oom_kill": 1, "memory_peak": "200MB", "cgroup": True}}  # fmt: skip
GONE = {"ended": {"at": 9, "exit_code": 1}, "error": {"type": "ConnectionResetError", "errno": 104}}
RETRY = Rule(name="mine", where="makeway.toml:3", exceptions=("KeyError",), action="retry")


def judged(document: dict[str, Any], *patterns: LogPattern) -> Judgement:
    return judge(incident_of(item_of(document, "it")), patterns)


def decided(document: dict[str, Any], *rules: Rule) -> Decision:
    return decide(judged(document), rules)


def test_a_rule_overrules_ours_and_is_named_with_what_we_would_have_done() -> None:
    found = decided(BUG, RETRY)
    assert found.action == "retry"
    assert found.rule.startswith("rule mine (makeway.toml:3) says retry: ")
    assert found.rule.endswith("retry 1 of 1, app ledger after 10 s (without it: stop)")
    assert found.text.endswith(found.rule)


@pytest.mark.parametrize(
    "rule",
    [
        Rule(causes=(Cause.CODE_ERROR,)),
        Rule(classes=(CauseClass.PERMANENT,)),
        Rule(exceptions=("LookupError",)),
        Rule(exceptions=("mine.Missing",)),
        Rule(exceptions=("Missing",)),
        Rule(exit_codes=(2, 1)),
        Rule(when="last.exit_code = 1 and last.exception = 'Missing'"),
        Rule(causes=(Cause.CODE_ERROR,), exit_codes=(1,), when="last.duration < 5s"),
    ],
)
def test_a_rule_matches_by_all_that_it_names(rule: Rule) -> None:
    assert decided(BUG, rule).rule.startswith("rule says stop")


@pytest.mark.parametrize(
    "rule",
    [
        Rule(causes=(Cause.CODE_ERROR,), exit_codes=(2,)),
        Rule(exceptions=("ValueError",)),
        Rule(when="last.memory_peak > 0"),
        Rule(classes=(CauseClass.TEMPORARY,)),
    ],
)
def test_without_a_rule_that_matches_it_is_as_always(rule: Rule) -> None:
    assert decided(BUG, rule) == remedy(judged(BUG))


def test_the_first_that_matches_counts_and_the_steps_own_go_before() -> None:
    stop = Rule(name="later", exceptions=("KeyError",))
    assert decided(BUG, RETRY, stop).action == "retry"
    own = {"name": "own", "exception": "KeyError", "do": "stop", "hint": "as I said"}
    found = decided({**BUG, "on_failure": [own]}, RETRY)
    assert (found.action, found.hint) == ("stop", "as I said")
    assert found.rule == "rule own (it: on_failure[0]) says stop: as I said"


@pytest.mark.parametrize(
    "rule, memory, said",
    [
        (Rule(memory_bytes=800_000_000), 800_000_000, "with 800MB"),
        (Rule(memory_factor=3), 600_000_000, "with 600MB"),
        (Rule(memory_factor=9), 1_000_000_000, "1GB is the most it may have"),
        (Rule(), 400_000_000, "2 times its limit"),
    ],
)
def test_a_rule_says_how_much_memory_is_next_within_what_there_may_be(
    rule: Rule, memory: int, said: str
) -> None:
    import msgspec

    whole = msgspec.structs.replace(rule, causes=(Cause.OOM_HOST,), action="retry")
    found = decided(OOM, whole)
    assert (found.memory_bytes, found.ledger) == (memory, "oom")
    assert said in found.rule


def test_a_rule_says_how_long_to_wait_and_which_machine_to_avoid() -> None:
    rule = Rule(causes=(Cause.CONNECTION,), action="retry", after_ms=90_000, exclude_nodes=True)
    nodes = {"nodes": [{"name": "n1", "alive": True}], "cluster": {"other_nodes": 2}}
    found = decided({**GONE, **nodes}, rule)
    assert (found.after_ms, found.exclude_nodes) == (90_000, ("n1",))
    assert "not on n1" in found.rule
    alone = decided({**GONE, **nodes, "cluster": {"other_nodes": 0}}, rule)
    assert alone.exclude_nodes == ()


def past(cause: str, times: int) -> list[dict[str, object]]:
    return [{"attempt": at + 1, "cause": cause, "progress": at / 10} for at in range(times)]


def test_a_rule_gives_only_as_many_retries_as_it_says() -> None:
    rule = Rule(exceptions=("KeyError",), action="retry", times=2)
    moved = {**BUG, "samples": {"progress": [[3, 0.9]]}}
    assert decided({**moved, "history": past("CODE_ERROR", 1)}, rule).action == "retry"
    found = decided({**moved, "history": past("CODE_ERROR", 2)}, rule)
    assert found.action == "stop"
    assert "it allows 2, and there were 2" in found.rule


@pytest.mark.parametrize(
    "more, said",
    [
        ({"request": {"idempotent": False}}, "it may not be repeated by itself"),
        ({"history": past("PREEMPTED", 2) + past("CONNECTION", 19)}, "20 are the most"),
        ({"ledgers": {"app": [1, 1]}}, "the app ledger is empty (1 of 1)"),
        (
            {"history": [{"attempt": at, "cause": "CODE_ERROR", "progress": 0.5} for at in (1, 2)],
             "samples": {"progress": [[3, 0.5]]}},
            "the same failure ended 3 attempts in a row",
        ),
    ],
)  # fmt: skip
def test_ledgers_and_caps_hold_for_every_rule(more: dict[str, Any], said: str) -> None:
    found = decided({**BUG, **more}, RETRY)
    assert found.action == "stop"
    assert said in found.rule


@pytest.mark.parametrize(
    "document",
    [
        {"ended": {"at": 9, "signal": 15}, "intent": {"kind": "preempt", "at": 8}},
        {"ended": {"at": 9, "signal": 15}, "intent": {"kind": "cancel", "at": 8}},
        {"ended": {"at": 9, "exit_code": 93}},
        {"ended": {"at": 9, "exit_code": 0}},
        {"now": 9},
    ],
)
def test_what_makeway_ordered_and_what_is_no_failure_is_nobodys_to_rule_on(
    document: dict[str, Any],
) -> None:
    every = tuple(Cause)
    for action in ("retry", "stop"):
        found = decided(document, Rule(causes=every, action=action))
        assert found == remedy(judged(document))


# ── patterns ──────────────────────────────────────────────────────────────────────────────────────

BUSY = LogPattern(pattern="seat .* taken", cause=Cause.CONNECTION, hint="wait", where="f.toml:2")
LINE = {"ended": {"at": 9, "exit_code": 1}, "log": ["begin", "seat 7 is taken", "end"]}


def test_a_pattern_names_a_cause_that_the_table_does_not_know() -> None:
    assert judged(LINE).diagnosis.cause is Cause.UNKNOWN
    found = judged(LINE, BUSY).diagnosis
    assert (found.cause, found.confidence, found.hint) == (Cause.CONNECTION, "supported", "wait")
    assert found.evidence[0].ref == "log[1]"


def test_a_pattern_reads_exceptions_too_and_goes_before_the_table() -> None:
    error = {"type": "RuntimeError", "message": "seat 7 is taken: permission denied"}
    found = judged({"ended": {"at": 9, "exit_code": 1}, "error": error}, BUSY).diagnosis
    assert (found.cause, found.confidence) == (Cause.CONNECTION, "established")


def test_a_pattern_of_a_log_gives_way_to_stronger_evidence() -> None:
    assert judged({**OOM, "log": LINE["log"]}, BUSY).diagnosis.cause is Cause.OOM_HOST
    assert judged({**BUG, "log": LINE["log"]}, BUSY).diagnosis.cause is Cause.CODE_ERROR


def test_what_only_follows_gives_way_to_whatever_says_why() -> None:
    follows = LogPattern(pattern="seat .* taken", cause=Cause.CONNECTION, role="cascade")
    both = {**LINE, "log": ["seat 7 is taken", "write: ENOSPC"]}
    assert judged(both, follows).diagnosis.cause is Cause.DISK_FULL
    assert judged(LINE, follows).diagnosis.cause is Cause.CONNECTION


def test_a_worker_whose_error_only_follows_is_not_blamed() -> None:
    follows = LogPattern(pattern="lost my peer", cause=Cause.CONNECTION, role="cascade")
    ends = {"ended": {"at": 5, "exit_code": 1}}
    workers = [
        {"rank": 0, **ends, "error": {"type": "RuntimeError", "message": "lost my peer", "at": 4}},
        {"rank": 1, **ends, "error": {"type": "KeyError", "message": "bug", "at": 4.5}},
    ]
    assert judged({"workers": workers}).diagnosis.rank == 0
    assert judged({"workers": workers}, follows).diagnosis.rank == 1


def test_an_advice_is_cut_out_and_a_confirmation_makes_surer() -> None:
    advice = LogPattern(pattern="^tip:", role="advice")
    told = {**LINE, "log": ["tip: write: ENOSPC"]}
    assert judged(told).diagnosis.cause is Cause.DISK_FULL
    assert judged(told, advice).diagnosis.cause is Cause.UNKNOWN
    sure = LogPattern(pattern="volume 3 at 100%", cause=Cause.DISK_FULL, role="confirmation")
    both = {**LINE, "log": ["write: ENOSPC", "volume 3 at 100%"]}
    assert judged(both).diagnosis.confidence == "supported"
    found = judged(both, sure).diagnosis
    assert (found.confidence, found.evidence[-1].ref) == ("established", "log[1]")
