"""Decide what is done about a judgement, and say so in one sentence that names who pays.

In this order, and the first that applies ends it: what is no failure goes on; what is running is
helped, not killed; what is permanent or was cancelled stops; what may not be repeated is asked
about; what has repeated itself too often, or has no budget left, stops; what is not worth it stops
or goes on when nobody else wants the room. All else is tried again, with what it lacked.

Takes:   Judgement
Gives:   Decision
Holds:   a stop charges nothing · a wait charges what its retry will · an eviction charges nothing
"""

from __future__ import annotations

from msgspec.structs import replace

from makeway.health.budgets import Account, account_of, streak
from makeway.health.growth import FINE_MS, grown, kept, sampled_too_seldom
from makeway.health.judge import Judgement
from makeway.health.rules.finding import exceeds, size, when
from makeway.health.rules.inputs import away_paths, lost_inputs, makers, not_there
from makeway.model.incident import Amounts
from makeway.model.record import Cause, CauseClass, Decision

C, K = Cause, CauseClass
SAME_MAX, ATTEMPTS_MAX = 3, 20
GROWS = (C.OOM_HOST, C.MEMORY_LEAK)
HOPELESS = ("not_improving", "too_slow")
NEVER_BEGAN = (C.UNSCHEDULABLE, C.START_TIMEOUT)
QUESTIONS = {
    C.KILLED_UNKNOWN: "who killed it? possible: the kernel for memory, an administrator, a time "
    "limit outside makeway; retry it once that is known",
    C.CRASH_NATIVE: "it crashed again: which library is at the top of its stack?",
}


def remedy(judgement: Judgement) -> Decision:
    """Choose what is done."""
    found = judgement.finding
    cause, kind = judgement.diagnosis.cause, judgement.diagnosis.cause_class
    if cause is C.NONE:
        return _nothing_wrong(judgement)
    if judgement.scene.running:
        helped = _running(judgement)
        if helped is not None:
            return helped
    if kind is K.HOPELESS:
        return _hopeless(judgement, None)
    if kind is K.PREEMPTED:
        return _requeue(judgement)
    if kind is K.CANCELLED:
        return stop(judgement, "it was cancelled, so it is not tried again")
    if kind is K.PERMANENT:
        return _permanent(judgement)
    if found.wait and cause is C.UNKNOWN:
        return _decision(judgement, "wait", f"wait for {found.wait}; nothing is charged")
    return _retry(judgement)


def _nothing_wrong(judgement: Judgement) -> Decision:
    if judgement.scene.running and judgement.judged.outlook.verdict == "converged":
        text = f"{judgement.judged.outlook.text}: it may end here, as a success"
        return _decision(judgement, "stop", text)
    if judgement.scene.running:
        return _decision(judgement, "continue", "nothing is wrong, so it goes on")
    return _decision(judgement, "continue", "it ended well, so what comes next goes on")


def _running(judgement: Judgement) -> Decision | None:
    """Help what runs; None where it must be restarted."""
    found, cause = judgement.finding, judgement.diagnosis.cause
    if cause is C.STRAGGLER:
        if not found.act:
            return _decision(judgement, "continue", f"{judgement.diagnosis.text}: {found.hint}")
        account = account_of(judgement)
        if account.empty:
            return _decision(judgement, "continue", empty(account))
        decision = _decision(judgement, "replace_worker",
                             f"rank {found.ranks[0]} is replaced, {charged(account)}", account)  # fmt: skip
        return replace(decision, replace_ranks=found.ranks, exclude_nodes=found.nodes)
    if cause is C.DATA_SKEW:
        text = "the data are divided anew; another worker would be as slow with them"
        return _decision(judgement, "rebalance", text)
    if cause in (C.DEGRADED, C.DATA_STARVED):
        return _decision(judgement, "continue", f"{judgement.diagnosis.text}: it goes on, watched")
    return None


def _hopeless(judgement: Judgement, account: Account | None) -> Decision:
    """Let go on what is not worth it when nobody else wants the room, or end it, as was asked."""
    judged, request = judgement.judged, judgement.scene.incident.request
    wish = request.on_hopeless or "yield"
    text = judged.outlook.text if judged.outlook.verdict in HOPELESS else judgement.finding.said
    if wish == "flag":
        return _decision(judgement, "continue", f"{text}: it is marked, as on_hopeless says")
    if wish == "stop" and not judged.gentle:
        return stop(judgement, f"{text}: it ends, as on_hopeless says")
    paid = f", {_counted(account)}" if account is not None else ""
    said = f"{text}: it goes on with the lowest priority, on what nobody else uses{paid}"
    return _resumed(judgement, _decision(judgement, "yield", said, account))


def _requeue(judgement: Judgement) -> Decision:
    text = "it was no failure: it is queued again in its place, and nothing is charged"
    decision = _decision(judgement, "requeue", text)
    return replace(_resumed(judgement, decision), memory_bytes=kept(judgement.scene.incident))


def _permanent(judgement: Judgement) -> Decision:
    cause, found = judgement.diagnosis.cause, judgement.finding
    if cause is C.NO_PROGRESS:
        return stop(judgement, f"{found.said}: it is not tried again, whatever its ledgers hold")
    if (
        cause is C.MEMORY_LEAK
        and sum(past.cause in GROWS for past in judgement.scene.incident.history) < 1
    ):
        return _retry(judgement)
    sure = "permanent, so another attempt would repeat it"
    return stop(judgement, f"{cause} is {sure}")


# ── another attempt ───────────────────────────────────────────────────────────────────────────────


def _retry(judgement: Judgement) -> Decision:
    incident, cause = judgement.scene.incident, judgement.diagnosis.cause
    no = refused(judgement)
    if no is not None:
        return no
    account = account_of(judgement)
    if account.empty:
        stopped = stop(judgement, empty(account))
        return replace(stopped, ledger=account.name, ledger_before=account.before,
                       ledger_after=account.before)  # fmt: skip
    verdict = judgement.judged.outlook.verdict
    if verdict in ("not_improving", "converged", "too_slow") and (
        incident.request.on_hopeless != "flag"
    ):
        return _not_worth_it(judgement, account)
    memory, why = None, ""
    if cause in GROWS:
        growth = grown(incident, judgement.finding.asked_bytes)
        if growth.stop:
            return replace(stop(judgement, growth.stop), hint=growth.stop)
        memory = growth.memory_bytes
        why = f" with {size(memory)} ({growth.why})" if memory is not None else ""
    kind = judgement.diagnosis.cause_class
    text = f"{cause} is {kind}, so this step alone is tried again{why}, {charged(account)}"
    return tried_again(judgement, account, text, memory)


def tried_again(
    judgement: Judgement, account: Account, text: str, memory_bytes: int | None
) -> Decision:
    """Try it once more, and wait first for what it lacks; `memory_bytes` where it grows."""
    incident, cause = judgement.scene.incident, judgement.diagnosis.cause
    fine = cause in GROWS and sampled_too_seldom(incident)
    decision = replace(
        _decision(judgement, "retry", text, account),
        after_ms=round(max(account.wait_s, judgement.finding.after_s) * 1000),
        memory_bytes=memory_bytes if memory_bytes is not None else kept(incident),
        sample_interval_ms=FINE_MS if fine else None,
    )
    return _prepared(judgement, _resumed(judgement, decision))


def refused(judgement: Judgement, *, sure: bool = False) -> Decision | None:
    """Say why it may not be tried again, whatever its ledgers hold; `sure`: somebody wants it."""
    incident, cause = judgement.scene.incident, judgement.diagnosis.cause
    began = incident.begun is not False and cause not in NEVER_BEGAN
    if incident.request.idempotent is False and began:
        asked = "it may not be repeated by itself (idempotent: false): is another attempt safe?"
        return replace(stop(judgement, asked), hint=asked)
    tried = 1 + sum(past.cause is not C.PREEMPTED for past in incident.history)
    if tried >= ATTEMPTS_MAX:
        return stop(judgement, f"it has been tried {tried} times; {ATTEMPTS_MAX} are the most")
    before = sum(past.cause is cause for past in incident.history)
    if judgement.finding.once and before and not sure:
        stopped = stop(judgement, f"{cause} came again, and one more attempt was all it was worth")
        return replace(stopped, hint=QUESTIONS.get(cause, judgement.diagnosis.hint))
    same = streak(judgement)
    if same >= SAME_MAX:
        text = f"the same failure ended {same} attempts in a row and none came further: it stops"
        return stop(judgement, text)
    return None


def _not_worth_it(judgement: Judgement, account: Account) -> Decision:
    outlook = judgement.judged.outlook
    if outlook.verdict == "too_slow":
        return _hopeless(judgement, account)
    word = "it has reached its goal" if outlook.verdict == "converged" else "it is not worth it"
    return stop(judgement, f"{outlook.text}: {word}, so it is not tried again")


def _prepared(judgement: Judgement, decision: Decision) -> Decision:
    """Make sure that what the attempt needs is there: its data, a machine, room."""
    incident, found = judgement.scene.incident, judgement.finding
    again = tuple(dict.fromkeys((*found.rerun, *_lost_too(judgement))))
    if judgement.diagnosis.cause is C.DATA_LOST and not again:
        text = "it is not known which step made what is lost, so it cannot be made again"
        stopped = stop(judgement, text)
        return replace(stopped, hint="run the step that made it, then resume")
    if again:
        rule = f"{', '.join(again)} makes its output again first; then {decision.rule}"
        text = f"{judgement.diagnosis.text}: {rule}"
        return replace(decision, action="rerun_upstream", rerun=again, text=text, rule=rule)
    others = incident.cluster.other_nodes
    if found.nodes and others != 0:
        decision = replace(decision, exclude_nodes=found.nodes)
    needed = judgement.diagnosis.cause in (C.GPU_HARDWARE, C.NODE_LOST, C.OOM_VICTIM,
                                           C.SDC_SUSPECTED)  # fmt: skip
    if found.nodes and others == 0 and needed:
        decision = replace(decision, exclude_nodes=found.nodes)
        return _waits(decision, "a healthy machine")
    away = not_there(incident)
    if found.wait or away is not None:
        decision = replace(decision, lacks=away_paths(incident))
        return _waits(decision, found.wait or f"{away} to be there")
    if judgement.diagnosis.cause is C.DISK_FULL and not _space(judgement):
        return _waits(decision, "space on its disk")
    request, free = incident.request, incident.cluster.free
    memory = decision.memory_bytes if decision.memory_bytes is not None else request.memory_bytes
    short = exceeds(Amounts(memory_bytes=memory, cpus=request.cpus, gpus=request.gpus), free)
    return _waits(decision, f"room ({'; '.join(short)})") if short else decision


def _lost_too(judgement: Judgement) -> tuple[str, ...]:
    """Name who must make lost inputs again, whatever it was that ended the attempt."""
    return makers(judgement.scene.incident) if lost_inputs(judgement.scene.incident) else ()


def _space(judgement: Judgement) -> bool:
    disk = judgement.scene.incident.disk
    return bool(disk.bytes_free) and disk.inodes_free != 0


def _waits(decision: Decision, what: str) -> Decision:
    text = f"wait for {what}; then {decision.rule}"
    return replace(decision, action="wait", text=text, rule=text)


def _resumed(judgement: Judgement, decision: Decision) -> Decision:
    """Go on from the latest work that is saved."""
    incident = judgement.scene.incident
    saved = [past.checkpoint for past in incident.history if past.checkpoint is not None]
    if incident.checkpoint.progress is not None:
        saved = [incident.checkpoint.progress]
    return replace(decision, resume_from=max(saved, default=None))


# ── how it is said ────────────────────────────────────────────────────────────────────────────────


def charged(account: Account) -> str:
    """Say who pays, and how long it waits."""
    wait = f" after {when(account.wait_s)}" if account.wait_s else ""
    return f"{_counted(account)}{wait}"


def _counted(account: Account) -> str:
    count = f"{account.after[0]}" if account.allowed is None else (
        f"{account.after[0]} of {account.allowed}"
    )  # fmt: skip
    more = ", refilled since more was saved" if account.refilled else ""
    return f"retry {count}, {account.name} ledger{more}"


def empty(account: Account) -> str:
    """Say that nobody pays any more."""
    if not account.allowed:
        return f"the {account.name} ledger allows no retry, so it stops"
    return f"the {account.name} ledger is empty ({account.used} of {account.allowed}), so it stops"


def stop(judgement: Judgement, why: str) -> Decision:
    """End it, for this reason."""
    return _decision(judgement, "stop", why)


def _decision(
    judgement: Judgement, action: str, rule: str, account: Account | None = None
) -> Decision:
    diagnosis = judgement.diagnosis
    decision = Decision(
        action=action,
        cause=diagnosis.cause,
        fingerprint=diagnosis.fingerprint,
        text=f"{diagnosis.text}: {rule}",
        rule=rule,
    )
    if account is None:
        return decision
    return replace(
        decision, ledger=account.name, ledger_used=account.after[0],
        ledger_allowed=account.allowed or 0, ledger_before=account.before,
        ledger_after=account.after,
    )  # fmt: skip
