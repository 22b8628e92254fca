"""Compare two states by what is believed in them."""

from __future__ import annotations

from typing import Any

from makeway.engine.state import State
from makeway.engine.waiting import wake
from makeway.policy.snapshot import kind_key


def believed(state: State, now_ms: int) -> dict[str, Any]:
    """Give all that a state holds, without its notes to itself.

    `changed` and `touched` say only that something is to be looked at again, and looking again at
    what has not changed gives nothing. A timer that has rung is gone from a state that was there,
    and is still in one that was replayed; and timers that stand for nothing lie around in both.
    Kinds are told by what the jobs of their lanes have in common.
    """
    wake(state, now_ms)
    facts = {name: getattr(state, name) for name in State.__slots__}
    for note in ("changed", "touched", "pauses", "rooms", "memo", "kinds", "kind_of"):
        del facts[note]
    facts["timers"] = {
        (at_ms, job) for at_ms, job in state.timers if at_ms > now_ms and state._pending(at_ms, job)
    }
    facts["executions"] = {run: dict(of_run) for run, of_run in state.executions.items()}
    facts["lanes"] = {kind_key(lane[0]): [*lane] for lane in state.lanes.values()}
    facts["past"] = None if state.past is None else state.past.read(state.queues, now_ms)
    return {name: dict(fact) if isinstance(fact, dict) else fact for name, fact in facts.items()}
