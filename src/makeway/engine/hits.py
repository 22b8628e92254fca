"""Remember which jobs failed lately, where and of what: the same at two of them is no fault of either.

Takes:   the end of an attempt, as it is believed
Gives:   the latest failures of other jobs, for the rules that weigh them
Holds:   HITS_KEPT failures at most; what ended before a restart of the controller is not known after it
"""

from __future__ import annotations

from makeway.engine.state import State
from makeway.model import event as ev
from makeway.model.incident import OtherHit, Past
from makeway.model.record import CauseClass

LATELY_MS = 600_000
NO_FAULT = (CauseClass.NONE, CauseClass.PREEMPTED, CauseClass.CANCELLED, CauseClass.HOPELESS)


def keep(state: State, event: ev.AttemptEnded, past: Past, at_ms: int) -> None:
    """Remember an attempt that has failed."""
    if event.diagnosis.cause_class not in NO_FAULT:
        step = state.jobs[event.job].spec.name
        hit = OtherHit(step=step, node=past.node, cause=event.diagnosis.cause)
        state.hits.append((at_ms, event.job, hit))


def of_others(state: State, job: str, at_ms: int) -> tuple[OtherHit, ...]:
    """Give what other jobs were hit by shortly before an instant, the latest of each."""
    since_ms = at_ms - LATELY_MS
    latest = {name: hit for at_ms, name, hit in state.hits if name != job and at_ms >= since_ms}
    return tuple(latest.values())
