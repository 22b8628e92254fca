"""Believe what makeway itself had ordered: the order was written down before it went out.

An order explains an end only if it came before it, and if the end looks like one: a process that
says of itself that it failed, before anybody told it to leave, was not stopped by the order.
"""

from __future__ import annotations

from collections.abc import Iterator

from makeway.health.rules.finding import Finding, Tier, fact, when
from makeway.health.rules.scene import Death, Scene
from makeway.model.incident import Intent
from makeway.model.record import Cause, CauseClass

CAUSES = {
    "preempt": Cause.PREEMPTED,
    "shrink": Cause.PREEMPTED,
    "drain": Cause.PREEMPTED,
    "timeout": Cause.TIMED_OUT,
    "cancel": Cause.CANCELLED,
    "memory_guard": Cause.OOM_HOST,
}
SAID = {
    "preempt": "makeway had told it to make room for another job",
    "shrink": "makeway had told it to give up workers",
    "drain": "makeway had told it to leave its machine, which is being drained",
    "timeout": "makeway had told it to end, since its time was over",
    "cancel": "makeway had told it to end, since somebody cancelled it",
    "memory_guard": "makeway's own guard ended it at its memory limit",
    "stop": "makeway had told it to end",
}
NEVER_RETRY, YIELDS = 93, 75
BY_ORDER = (9, 15)


def look(scene: Scene) -> Iterator[Finding]:
    """Find the order that ended the attempt."""
    intent, death = scene.incident.intent, scene.first
    if intent is None or death is None or not _explains(intent, death):
        return
    evidence = (fact(_said(intent), "intent"), fact(death.how, death.how_ref))
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
    further = cause is Cause.TIMED_OUT and _advanced(scene)
    yield Finding(
        cause=cause,
        tier=Tier.INTENT,
        said=_said(intent),
        evidence=evidence,
        confidence="established" if agree else "supported",
        cause_class=CauseClass.TEMPORARY if further else None,
        rank=death.rank,
    )


def _explains(intent: Intent, death: Death) -> bool:
    if death.code == NEVER_RETRY or death.lost:
        return False
    if intent.at_s is None:
        return True
    error = death.error
    said_s = error.at_s if error is not None and error.at_s is not None else None
    if said_s is not None and said_s < intent.at_s and death.by not in BY_ORDER:
        return False
    ended_s = said_s if death.at_s is None else death.at_s
    late = ended_s is not None and ended_s < intent.at_s
    return not late or (death.by in BY_ORDER and said_s is not None)


def _advanced(scene: Scene) -> bool:
    """Say whether more is saved than the attempts before had saved."""
    saved = scene.incident.checkpoint.progress
    before = [past.checkpoint for past in scene.incident.history if past.checkpoint is not None]
    return saved is not None and saved > max(before, default=0.0)


def _said(intent: Intent) -> str:
    at = "" if intent.at_s is None else f" at {when(intent.at_s)}"
    return f"{SAID[intent.kind]}{at}"
