"""Make the order to leave, with the time that whoever is told has for it."""

from __future__ import annotations

from makeway.engine.state import State
from makeway.model import event as ev
from makeway.model.cluster import Allocation
from makeway.model.job import Attempt, JobSpec
from makeway.model.rules import Rules

# Peers of a worker that failed have nobody to talk to: they get little time to notice.
PEER_GRACE_MS = 5_000


def shrink(state: State, attempt: Attempt, to: Allocation, rule: str) -> ev.AttemptResized:
    """Let an attempt go on with fewer workers."""
    return ev.AttemptResized(
        job=attempt.job,
        number=attempt.number,
        fence=attempt.fence,
        generation=attempt.generation + 1,
        allocation=to,
        grace_ms=grace_ms("preempted", state.jobs[attempt.job].spec, state.rules),
        rule=rule,
    )


def grace_ms(cause: str, spec: JobSpec, rules: Rules) -> int:
    """Say how long workers may take to leave; at the barrier they have nothing to save yet."""
    match cause:
        case "preempted":
            return min(spec.grace_ms, rules.preemption.grace_ms)
        case "barrier":
            return 0
        case "peer":
            return min(PEER_GRACE_MS, spec.grace_ms)
        case _:
            return spec.grace_ms


def stop(state: State, attempt: Attempt, cause: str, text: str = "") -> ev.AttemptStopped:
    """Tell all workers of an attempt to leave; the text says why, for its diagnosis."""
    return ev.AttemptStopped(
        job=attempt.job,
        number=attempt.number,
        fence=attempt.fence,
        cause=cause,
        grace_ms=grace_ms(cause, state.jobs[attempt.job].spec, state.rules),
        text=text,
    )
