"""Say what a step may take over from other runs, or that it has to wait for one of them.

Runs that are not finished are looked at here; what was finished before is asked of whoever keeps
it. That is a question to the outside, as a policy is: what came of it stands in the log, so a replay
asks nobody. There is one engine a store, so a step that another run computes is one that this engine
knows of, and its end, however it comes, is an event.

Holds:   of runs that want the same of a step with `serialize`, one computes at a time
"""

from __future__ import annotations

from collections.abc import Iterator

from makeway.engine.state import State
from makeway.model.phase import ExecutionPhase
from makeway.model.record import Output
from makeway.model.workflow import Execution, Reusable, Step, execution_id
from makeway.workflows.cache import Kept


class Others:
    """The other runs, as one of them that goes on sees them; see `workflows.cache.Earlier`."""

    def __init__(self, state: State, kept: Kept, now_ms: int) -> None:
        """Look at what is believed, and at what is kept, as of now."""
        self._state, self._kept, self._now_ms = state, kept, now_ms

    def find(self, step: Step, cache_key: str) -> Reusable | None:
        """Give an output that stands in for the step, if it may be reused at all."""
        rule = step.cache
        if rule is None:
            return None
        since_ms = None if rule.ttl_ms is None else self._now_ms - rule.ttl_ms
        for other in self._of(step, cache_key):
            young = since_ms is None or other.ended_at_ms >= since_ms
            if other.phase is ExecutionPhase.SUCCEEDED and young and self._whole(other):
                return Reusable(
                    cache_key=cache_key, output=other.output, metrics=other.metrics, run=other.run
                )
        return self._kept.find(cache_key, since_ms)

    def computing(self, step: Step, cache_key: str) -> bool:
        """Say whether the step has to wait, since another run computes the very same."""
        if step.cache is None or not step.cache.serialize:
            return False
        return any(not other.phase.final for other in self._of(step, cache_key))

    def has(self, output: Output) -> bool:
        """Say whether an output of this run can still be read."""
        return self._kept.has(output)

    def truth(self, output: Output) -> bool | None:
        """Say whether an output is true; None if it is no plain value."""
        return self._kept.truth(output)

    def _of(self, step: Step, cache_key: str) -> Iterator[Execution]:
        for run, executions in self._state.executions.items():
            other = executions.get(execution_id(run, step.key))
            if other is not None and other.cache_key == cache_key:
                yield other

    def _whole(self, other: Execution) -> bool:
        return other.output is None or self._kept.there(other.output)
