"""Tell of runs: a page of them, or one with its steps and what is wrong in it."""

from __future__ import annotations

from collections.abc import Sequence

from makeway.engine.state import State
from makeway.errors import InvalidInput
from makeway.live.behind import Behind
from makeway.live.rights import assert_may
from makeway.model.record import Symptom
from makeway.store.read import get_run, list_executions, list_runs
from makeway.store.resolve import resolve_run
from makeway.store.rows import ExecutionRow, RunRow
from makeway.store.troubles import Trouble, troubles_of
from makeway.wire.page import PAGE, PAGE_MAX, Page
from makeway.wire.runs import RunStepView, RunView, TroubleView
from makeway.wire.tokens import Caller, Scope


class RunDesk:
    """What one caller can ask of runs; see `wire.desk.Desk`."""

    _service: Behind
    caller: Caller

    def runs(self, limit: int = PAGE, cursor: str | None = None) -> Page[RunView]:
        """List runs, the newest first."""
        assert_may(self.caller, Scope.READ)
        if not 1 <= limit <= PAGE_MAX:
            raise InvalidInput(f"{limit} is not between 1 and {PAGE_MAX}", where="limit")
        reader = self._service.reader
        before = None if cursor is None else get_run(reader, cursor).row.id
        rows = list_runs(reader, limit, before)
        items = tuple(run_view(row) for row in rows)
        return Page(items=items, next_cursor=rows[-1].id if len(rows) == limit else None)

    def run(self, ref: str) -> RunView:
        """Give one run with its steps, and what is wrong in it."""
        assert_may(self.caller, Scope.READ)
        reader = self._service.reader
        detail = get_run(reader, resolve_run(reader, ref))
        steps = list_executions(reader, detail.row.id)
        names = [step.id for step in steps if not step.phase.final]
        seen = self._service.inbox.ask(lambda state: _seen(state, names)) if names else {}
        return run_view(detail.row, detail.params, steps, troubles_of(steps, seen))


def run_view(
    row: RunRow,
    params: dict[str, object] | None = None,
    steps: Sequence[ExecutionRow] = (),
    troubles: Sequence[Trouble] = (),
) -> RunView:
    """Put it in the words of the wire."""
    return RunView(
        id=row.id, workflow=row.workflow, user=row.user, queue=row.queue, phase=row.phase.value,
        text=row.text, resumed_from=row.resumed_from, submitted_at_ms=row.submitted_at_ms,
        ended_at_ms=row.ended_at_ms, count=row.steps, ended=row.ended, good=row.good,
        troubles=tuple(_trouble(one) for one in troubles), params=params or {},
        steps=tuple(_step(one) for one in steps),
    )  # fmt: skip


def _seen(state: State, names: Sequence[str]) -> dict[str, Symptom]:
    known = {name: state.attempts[name].symptom for name in names if name in state.attempts}
    return {name: one for name, one in known.items() if one is not None}


def _trouble(one: Trouble) -> TroubleView:
    return TroubleView(
        step=one.step, phase=one.phase.value, cause=one.cause, text=one.text, hint=one.hint,
        attempts=one.attempts, holds_up=one.holds_up,
    )  # fmt: skip


def _step(row: ExecutionRow) -> RunStepView:
    found = None if row.attempt is None else row.attempt.diagnosis
    return RunStepView(
        id=row.id, key=row.key, phase=row.phase.value, text=row.text,
        cause=None if found is None else found.cause.value,
        wait=None if row.wait is None else f"{row.wait.reason.value}: {row.wait.text}",
        metrics=row.metrics, after=row.after, attempts=row.attempts,
        started_at_ms=row.started_at_ms, ended_at_ms=row.ended_at_ms,
    )  # fmt: skip
