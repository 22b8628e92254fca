"""Decide by the rules that people have added, where one of them matches; else by our own.

The first that matches counts: those of the step stand before those of the configuration. What
makeway had ordered itself (an eviction, a cancellation), what ended well and what still runs is
nobody's to rule on; neither is a program that says itself that it must not be tried again. A rule
that says retry is held to what holds for all: what may not be repeated, the most attempts, the same
failure again and again, and the ledger that pays.

Takes:   Judgement, the rules of the configuration; those of the step are in its incident
Gives:   Decision, which names the rule, and what would have been decided without it
Holds:   without a rule that matches, what `remedy` decides
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from msgspec.structs import replace

from makeway.expression import Node, holds, names, parse
from makeway.health.budgets import Account, account_of
from makeway.health.growth import bound_of, grown
from makeway.health.judge import Judgement
from makeway.health.last import values_of
from makeway.health.remedy import GROWS, charged, empty, refused, remedy, stop, tried_again
from makeway.health.rules.finding import size
from makeway.health.rules.scene import node_of
from makeway.health.rules.signs import names_of
from makeway.model.record import Cause, CauseClass, Decision
from makeway.model.ruling import KINDS, Rule

C = Cause
OURS = (C.NONE, C.CANCELLED, C.NO_PROGRESS, C.USER_PERMANENT, C.UNSCHEDULABLE)


def decide(judgement: Judgement, rules: Sequence[Rule] = ()) -> Decision:
    """Choose what is done."""
    without = remedy(judgement)
    found = _first(judgement, (*judgement.scene.incident.on_failure, *rules))
    if found is None:
        return without
    decision = _stopped(judgement, found) if found.action == "stop" else _tried(judgement, found)
    rule = f"{found.called} says {found.action}: {decision.rule}"
    if without.action != decision.action:
        rule = f"{rule} (without it: {without.action})"
    return replace(
        decision,
        rule=rule,
        text=f"{judgement.diagnosis.text}: {rule}",
        hint=found.hint or decision.hint,
    )


def _first(judgement: Judgement, rules: Sequence[Rule]) -> Rule | None:
    cause, kind = judgement.diagnosis.cause, judgement.diagnosis.cause_class
    if judgement.scene.running or cause in OURS or kind is CauseClass.PREEMPTED:
        return None
    return next((rule for rule in rules if _matches(judgement, rule)), None)


def _matches(judgement: Judgement, rule: Rule) -> bool:
    """Say whether all that a rule names is so."""
    diagnosis, death = judgement.diagnosis, judgement.scene.first
    if rule.causes and diagnosis.cause not in rule.causes:
        return False
    if rule.classes and diagnosis.cause_class not in rule.classes:
        return False
    if rule.exit_codes and (death is None or death.code not in rule.exit_codes):
        return False
    if rule.exceptions:
        error = None if death is None else death.error
        whole = () if error is None else (error.type, *error.bases, *names_of(error))
        if not {*rule.exceptions} & {*whole}:
            return False
    if not rule.when:
        return True
    condition = _condition(rule.when)
    return holds(condition, values_of(judgement, names(condition)))


@cache
def _condition(text: str) -> Node:
    return parse(text, KINDS)


def _stopped(judgement: Judgement, rule: Rule) -> Decision:
    return stop(judgement, rule.hint or "it is not tried again")


def _tried(judgement: Judgement, rule: Rule) -> Decision:
    no = refused(judgement, sure=True)
    if no is not None:
        return no
    account = account_of(judgement)
    if account.name == "app" and account.allowed is not None:
        account = replace(account, allowed=max(account.allowed, rule.times or 1))
    used = _used(judgement)
    if rule.times is not None and used >= rule.times:
        return stop(judgement, f"it allows {rule.times}, and there were {used}")
    if account.empty:
        return replace(
            stop(judgement, empty(account)), ledger=account.name, ledger_before=account.before,
            ledger_after=account.before,
        )  # fmt: skip
    return _changed(judgement, rule, account)


def _used(judgement: Judgement) -> int:
    cause = judgement.diagnosis.cause
    return sum(past.cause is cause for past in judgement.scene.incident.history)


def _changed(judgement: Judgement, rule: Rule, account: Account) -> Decision:
    """Try it again with what the rule changes."""
    incident = judgement.scene.incident
    memory, told = _memory(judgement, rule)
    if memory is None and judgement.diagnosis.cause in GROWS and not told:
        growth = grown(incident, judgement.finding.asked_bytes)
        if growth.stop:
            return replace(stop(judgement, growth.stop), hint=growth.stop)
        memory, told = growth.memory_bytes, growth.why
    bigger = f" with {size(memory)}{f' ({told})' if told else ''}" if memory is not None else ""
    nodes = _avoided(judgement) if rule.exclude_nodes else ()
    away = f", not on {', '.join(nodes)}" if nodes else ""
    if rule.after_ms is not None:
        account = replace(account, wait_given_s=rule.after_ms / 1000)
    text = f"this step alone is tried again{bigger}{away}, {charged(account)}"
    decision = tried_again(judgement, account, text, memory)
    if nodes:
        both = dict.fromkeys((*decision.exclude_nodes, *nodes))
        decision = replace(decision, exclude_nodes=tuple(both))
    return decision


def _memory(judgement: Judgement, rule: Rule) -> tuple[int | None, str]:
    """Give the memory that a rule asks for, as far as there can be so much."""
    incident = judgement.scene.incident
    had = incident.request.memory_bytes
    wanted = rule.memory_bytes
    if rule.memory_factor is not None and had is not None:
        wanted = round(had * rule.memory_factor)
    if wanted is None:
        return None, ""
    most = bound_of(incident)
    if most is not None and wanted > most:
        return most, f"{size(most)} is the most it may have"
    return wanted, ""


def _avoided(judgement: Judgement) -> tuple[str, ...]:
    """Name the machine of the failure, unless there is no other."""
    scene = judgement.scene
    if scene.incident.cluster.other_nodes == 0:
        return ()
    rank = judgement.diagnosis.rank
    name = scene.node or (None if rank is None else node_of(scene.incident, rank))
    return (name,) if name else ()
