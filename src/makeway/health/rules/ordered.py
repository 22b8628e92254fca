"""Believe what makeway itself had ordered: the order was written down before it went out.

An order explains an end only if it came before it, and if the end looks like one: a process that
says of itself that it failed, before anybody told it to leave, was not stopped by the order.
"""

from __future__ import annotations

from collections.abc import Iterator

from makeway.health.reach import saved_more
from makeway.health.rules.finding import Finding, Tier, fact, when
from makeway.health.rules.scene import Death, Scene, node_of
from makeway.model.incident import Intent
from makeway.model.record import Cause, CauseClass

CAUSES = {
    "preempt": Cause.PREEMPTED,
    "shrink": Cause.PREEMPTED,
    "drain": Cause.PREEMPTED,
    "restart": Cause.PREEMPTED,
    "timeout": Cause.TIMED_OUT,
    "cancel": Cause.CANCELLED,
    "memory_guard": Cause.OOM_HOST,
    "hang": Cause.HUNG,
    "barrier": Cause.START_TIMEOUT,
}
SAID = {
    "preempt": "makeway had told it to make room for another job",
    "shrink": "makeway had told it to give up workers",
    "drain": "makeway had told it to leave its machine, which is being drained",
    "restart": "makeway had told it to end, to be started anew",
    "timeout": "makeway had told it to end, since its time was over",
    "cancel": "makeway had told it to end, since somebody cancelled it",
    "memory_guard": "makeway's own guard ended it at its memory limit",
    "hang": "makeway had told it to end, since it came no further",
    "barrier": "makeway had called its start off",
    "stop": "makeway had told it to end",
}
BY_ORDER = (9, 15)


def look(scene: Scene) -> Iterator[Finding]:
    """Find the order that ended the attempt."""
    intent, death = scene.incident.intent, scene.first
    if intent is None or death is None or not _explains(intent, death):
        return
    ended = () if death.lost else (fact(death.how, death.how_ref),)
    evidence = (fact(_said(intent), "intent"), *ended, *intent.evidence)
    if intent.cause is not None:
        yield Finding(
            cause=intent.cause, tier=Tier.INTENT, said=_said(intent), evidence=evidence,
            confidence="supported",
        )  # fmt: skip
        return
    if intent.kind == "stop":
        # What the order was for is in the evidence that led to it; without any, somebody wanted it.
        yield Finding(
            cause=Cause.CANCELLED, tier=Tier.INTENT, said=_said(intent), evidence=evidence,
            vague=True,
        )  # fmt: skip
        return
    agree = intent.kind == "memory_guard" or not (
        death.signal == 9 and (scene.incident.kernel.oom_kill or 0) > 0
    )
    cause = CAUSES[intent.kind]
    further = cause is Cause.TIMED_OUT and saved_more(scene)
    step = scene.incident.checkpoint.step
    saved = "" if step is None or cause is not Cause.PREEMPTED else (
        f"; its work is saved up to step {step}"
    )  # fmt: skip
    yield Finding(
        cause=cause,
        tier=Tier.INTENT,
        said=f"{_said(intent)}{saved}",
        evidence=evidence,
        confidence="established" if agree else "supported",
        cause_class=CauseClass.TEMPORARY if further else None,
        rank=death.rank if cause is Cause.OOM_HOST else None,
        nodes=_of_few(scene, intent),
    )


def _explains(intent: Intent, death: Death) -> bool:
    if death.failed_itself:
        return False
    if death.lost:
        return intent.kind not in ("memory_guard", "stop")
    if intent.at_s is None:
        return True
    error = death.error
    said_s = error.at_s if error is not None and error.at_s is not None else None
    if said_s is not None and said_s < intent.at_s and death.by not in BY_ORDER:
        return False
    ended_s = said_s if death.at_s is None else death.at_s
    late = ended_s is not None and ended_s < intent.at_s
    return not late or (death.by in BY_ORDER and said_s is not None)


def _of_few(scene: Scene, intent: Intent) -> tuple[str, ...]:
    """Name the machines of those who brought it about, unless all of them did."""
    few = len(intent.ranks) < len(scene.incident.workers)
    names = [node_of(scene.incident, rank) for rank in intent.ranks] if few else []
    return tuple(dict.fromkeys(name for name in names if name))


def _said(intent: Intent) -> str:
    if intent.kind == "barrier" and intent.text:
        return intent.text
    at = "" if intent.at_s is None else f" at {when(intent.at_s)}"
    return f"{SAID[intent.kind]}{at}{f': {intent.text}' if intent.text else ''}"
