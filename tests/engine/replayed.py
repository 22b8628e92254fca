"""Compare two states by what is believed in them."""

from __future__ import annotations

from typing import Any

from makeway.engine.state import State


def believed(state: State, now_ms: int) -> dict[str, Any]:
    """Give all that a state holds, without its notes to itself.

    `changed` and `touched` say only that something is to be looked at again, and looking again at
    what has not changed gives nothing. A timer that has rung is gone from a state that was there,
    and is still in one that was replayed; and timers that stand for nothing lie around in both.
    """
    facts = {name: getattr(state, name) for name in State.__slots__}
    del facts["changed"], facts["touched"]
    facts["timers"] = {
        (at_ms, job) for at_ms, job in state.timers if at_ms > now_ms and state._pending(at_ms, job)
    }
    facts["executions"] = {run: dict(of_run) for run, of_run in state.executions.items()}
    return {name: dict(fact) if isinstance(fact, dict) else fact for name, fact in facts.items()}
