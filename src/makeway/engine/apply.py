"""Change the state by one event; the only place where anything believed changes.

Every event has one handler, a short function found by its type: those of machines, queues and rules
stand here, the others in `jobs`, `wishes`, `attempts` and `runs`. Nothing is decided: what follows from an
event is concluded in `react`, logged, and comes through here as well. So replaying a log through
`apply` alone gives the state again, under whatever policy it was written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from makeway.engine import (
    attempts,
    avoiding,
    dependencies,
    holding,
    jobs,
    overriding,
    presence,
    runs,
    waiting,
    wishes,
)
from makeway.engine.past import Past, wanted
from makeway.engine.spent import held_above_normal
from makeway.engine.state import State
from makeway.model import event as ev
from makeway.model.record import Cause

# What brings, ends or changes demand or supply; what the policy decides is not among them.
DEMAND = (
    *(ev.NodeJoined, ev.NodeLost, ev.NodeDrained, ev.NodeUndrained, ev.NodeRemoved),
    *(ev.QueuesConfigured, ev.RulesConfigured, ev.JobSubmitted, ev.JobEligible, ev.JobFinished),
    *(ev.DataFound, ev.InputsRestored),
    *(ev.JobChanged, ev.JobHoldRequested, ev.JobReleaseRequested, ev.JobRetryRequested),
    ev.StepOverridden,
)


MACHINES = (ev.NodeJoined, ev.NodeLost, ev.NodeDrained, ev.NodeUndrained, ev.NodeRemoved)


def apply(state: State, entry: ev.Entry) -> None:
    """Believe one entry. An illegal change of phase raises before anything is changed."""
    assert entry.seq == state.seq + 1, f"entry {entry.seq} cannot follow entry {state.seq}"
    waiting.wake(state, entry.at_ms)
    HANDLERS[type(entry.event)](state, entry.event, entry.at_ms)
    if state.avoiding and isinstance(entry.event, MACHINES):
        avoiding.look_again(state)
    state.seq = entry.seq
    if _changes_demand(entry.event):
        state.demand_seq = entry.seq


def _changes_demand(event: ev.Event) -> bool:
    """Say whether there is another demand, or another supply, than before: not so by an eviction."""
    if isinstance(event, ev.JobRequeued):
        return event.decision.cause is not Cause.PREEMPTED
    return isinstance(event, DEMAND)


def _node_joined(state: State, event: ev.NodeJoined, _at_ms: int) -> None:
    holding.join(state, event.node)
    state.changed = True


def _node_lost(state: State, event: ev.NodeLost, _at_ms: int) -> None:
    holding.lose(state, event.name)
    state.changed = True


def _node_drained(state: State, event: ev.NodeDrained, _at_ms: int) -> None:
    holding.drain(state, event.name, event.text)
    state.changed = True


def _node_undrained(state: State, event: ev.NodeUndrained, _at_ms: int) -> None:
    holding.undrain(state, event.name)
    state.changed = True


def _node_removed(state: State, event: ev.NodeRemoved, _at_ms: int) -> None:
    holding.remove(state, event.name)
    state.changed = True


def _queues_configured(state: State, event: ev.QueuesConfigured, at_ms: int) -> None:
    before = state.declared
    told = [
        queue
        for queue in event.queues
        if queue.path not in before or queue.past_usage != before[queue.path].past_usage
    ]
    presence.configure(state, event.queues)
    if state.past is not None:
        state.past.start(told, at_ms)
    held = held_above_normal((key, one.usage) for key, one in state.held.items())
    state.spent.configure(state.declared.values(), held, at_ms)
    dependencies.inherit(state, [*state.dependents])
    state.changed = True


def _rules_configured(state: State, event: ev.RulesConfigured, at_ms: int) -> None:
    state.rules = event.rules
    for job in state.attempts:
        attempts.limit_time(state, job)
    usage = event.rules.usage
    if not wanted(usage):
        state.past = None
    elif state.past is None:
        state.past = Past(half_life_ms=usage.half_life_ms)
        state.past.start(state.declared.values(), at_ms)
        for (queue, _), held in state.held.items():
            state.past.move(queue, held.usage, at_ms)
    elif state.past.half_life_ms != usage.half_life_ms:
        state.past.decay(usage.half_life_ms, at_ms)
    state.changed = True


def _failures_configured(state: State, event: ev.FailuresConfigured, _at_ms: int) -> None:
    state.failures = event.failures


def _past_told(state: State, event: ev.PastUsageTold, at_ms: int) -> None:
    if state.past is not None:
        state.past.told(event.amounts, at_ms)
    state.spent.told(event.spent, at_ms)


# Any: each handler takes the one type that it is filed under, which a dict cannot express.
HANDLERS: dict[type, Callable[[State, Any, int], None]] = {
    ev.NodeJoined: _node_joined,
    ev.NodeLost: _node_lost,
    ev.NodeDrained: _node_drained,
    ev.NodeUndrained: _node_undrained,
    ev.NodeRemoved: _node_removed,
    ev.QueuesConfigured: _queues_configured,
    ev.RulesConfigured: _rules_configured,
    ev.FailuresConfigured: _failures_configured,
    ev.PastUsageTold: _past_told,
    **jobs.HANDLERS,
    **wishes.HANDLERS,
    **attempts.HANDLERS,
    **runs.HANDLERS,
    **overriding.HANDLERS,
}
