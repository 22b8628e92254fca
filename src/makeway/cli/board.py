"""Keep what a person wants to see of one run while it happens: a fold over entries and readings."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from makeway.engine.state import State
from makeway.executor.base import Readings
from makeway.model import event as ev
from makeway.model.phase import ExecutionPhase, RunPhase
from makeway.model.record import Cause
from makeway.model.workflow import (
    Execution,
    Run,
    Selection,
    Step,
    execution_id,
    run_of,
    step_key,
)
from makeway.policy.say import count_of
from makeway.workflows.graph import upstream

HIDDEN = ("system/", "available/", "progress")


class Row(msgspec.Struct, kw_only=True):
    """What is shown of one step."""

    key: str
    step: Step
    upstream: tuple[str, ...]
    phase: ExecutionPhase = ExecutionPhase.PENDING
    text: str = ""
    attempt: int = 0
    workers: int = 0
    progress: float | None = None
    metrics: dict[str, float] = {}
    memory_bytes: float = 0
    since_ms: int = 0
    began_ms: int | None = None
    ended_ms: int | None = None
    selection: Selection | None = None


class Board:
    """One run as a table of its steps; `news` are sentences for a terminal that only scrolls."""

    def __init__(self, run: ev.RunSubmitted | Run) -> None:
        """Begin with every step pending."""
        self.run_id = run.run if isinstance(run, ev.RunSubmitted) else run.id
        self.workflow, self.resumed_from = run.workflow, run.resumed_from
        self.rows = {
            step.key: Row(key=step.key, step=step, upstream=upstream(step))
            for step in run.workflow.steps
        }
        self.executions: dict[str, Execution] = {
            step.key: Execution(
                id=execution_id(self.run_id, step.key), run=self.run_id, key=step.key
            )
            for step in run.workflow.steps
        }
        self.phase = RunPhase.RUNNING
        self.text = ""
        self.never = False  # a step asks for what no machine here has
        self.news: list[tuple[int, str, str]] = []

    def adopt(self, state: State) -> None:
        """Take over what is believed of a run that began under an earlier controller."""
        for execution in state.executions[self.run_id].values():
            row = self.rows.get(execution.key) or self._again(execution.key, None)
            row.phase, row.selection = execution.phase, execution.selection
            row.metrics = dict(execution.metrics)
            self.executions[execution.key] = execution
            attempt = state.attempts.get(execution.id)
            if attempt is not None:
                row.attempt, row.workers = attempt.number, len(attempt.workers)
                row.began_ms = attempt.started_at_ms
                self._tell(attempt.started_at_ms, row.key, "goes on where it was")

    def take(self, entries: Iterable[ev.Entry], readings: Iterable[Readings] = ()) -> None:
        """Fold in what happened."""
        for entry in entries:
            self._entry(entry.event, entry.at_ms)
        for reading in readings:
            if run_of(reading.job) == self.run_id:
                self._reading(reading)

    def _row(self, job: str) -> Row | None:
        run, _, key = job.partition(".")
        return self.rows.get(key) if run == self.run_id else None

    def _entry(self, event: ev.Event, at_ms: int) -> None:
        match event:
            case ev.RunFinished(run=run, phase=phase, text=text) if run == self.run_id:
                self.phase, self.text = phase, text
            case ev.RunCancelRequested(run=run) if run == self.run_id:
                self.phase = RunPhase.CANCELLING
            case ev.JobRejected(job=job) if self._row(job) is not None:
                self.never = True
            case ev.ExecutionSubmitted(execution=job) | ev.ExecutionEnded(execution=job):
                self._execution(event, job, at_ms)
            case (
                ev.LateResult(execution=job)
                | ev.ExecutionReplaced(replaces=job)
                | ev.OutputDiverged(execution=job)
            ):
                row = self._row(job)
                if row is not None:
                    self._late(event, row, at_ms)
            case (
                ev.JobWaiting(job=job)
                | ev.AttemptStarted(job=job)
                | ev.AttemptReleased(job=job)
                | ev.JobRequeued(job=job)
                | ev.AttemptStopped(job=job)
                | ev.AttemptResized(job=job)
            ):
                row = self._row(job)
                if row is not None:
                    self._job(event, row, at_ms)
            case _:
                pass

    def _again(self, key: str, waits_for: tuple[str, ...] | None) -> Row:
        """Show one more execution of a step."""
        step = self.workflow.step(step_key(key))
        row = Row(key=key, step=step, upstream=upstream(step) if waits_for is None else waits_for)
        self.rows[key] = row
        self.executions[key] = Execution(
            id=execution_id(self.run_id, key), run=self.run_id, key=key
        )
        return row

    def _late(
        self, event: ev.LateResult | ev.ExecutionReplaced | ev.OutputDiverged, row: Row, at_ms: int
    ) -> None:
        if isinstance(event, ev.OutputDiverged):
            row.text = event.text
            self._tell(at_ms, row.key, f"warning: {event.text}")
        elif isinstance(event, ev.LateResult):
            row.selection, row.text = event.selection, event.text
            self._tell(at_ms, row.key, event.text)
        else:
            key = event.execution.partition(".")[2]
            self._again(key, event.upstream)
            self._tell(at_ms, row.key, f"is done again, as {key}: {event.text}")

    def _job(self, event: ev.Event, row: Row, at_ms: int) -> None:
        match event:
            case ev.JobWaiting(wait=wait):
                if row.phase is not ExecutionPhase.BACKOFF:
                    row.text = f"{wait.reason.value}: {wait.text}"
                    self._tell(at_ms, row.key, f"waits: {row.text}")
            case ev.AttemptStarted(number=number, allocation=allocation):
                row.phase, row.text = ExecutionPhase.STARTING, ""
                row.attempt, row.workers = number, allocation.workers
                row.began_ms = row.began_ms or at_ms
                row.since_ms, row.progress = at_ms, None
            case ev.AttemptReleased():
                row.phase, row.since_ms = ExecutionPhase.RUNNING, at_ms
                again = f", attempt {row.attempt}" if row.attempt > 1 else ""
                plural = "s" if row.workers > 1 else ""
                self._tell(at_ms, row.key, f"runs with {row.workers} worker{plural}{again}")
            case ev.JobRequeued(decision=decision):
                evicted = decision.cause is Cause.PREEMPTED
                row.phase = ExecutionPhase.QUEUED if evicted else ExecutionPhase.BACKOFF
                row.text, row.since_ms = decision.text, at_ms
                if evicted:
                    self._tell(at_ms, row.key, f"attempt {row.attempt}: {decision.text}")
                    return
                self._tell(at_ms, row.key, f"attempt {row.attempt} failed: {decision.text}")
            case ev.AttemptStopped(cause="cancel"):
                row.text = "is being stopped"
            case ev.AttemptStopped(cause="preempted", beneficiary=beneficiary):
                row.text = f"is being evicted for {beneficiary}"
                self._tell(at_ms, row.key, row.text)
            case ev.AttemptResized(allocation=allocation):
                row.workers = allocation.workers
                self._tell(at_ms, row.key, f"goes on with {count_of(row.workers, 'worker')}")
            case _:
                pass

    def _execution(
        self, event: ev.ExecutionSubmitted | ev.ExecutionEnded, execution: str, at_ms: int
    ) -> None:
        row = self._row(execution)
        if row is None:
            return
        if isinstance(event, ev.ExecutionSubmitted):
            row.phase, row.since_ms = ExecutionPhase.QUEUED, at_ms
            return
        row.phase, row.text, row.ended_ms = event.phase, event.text, at_ms
        row.selection = event.selection
        row.metrics = {**row.metrics, **event.metrics}
        if event.phase.good:
            row.progress = 1.0
        self.executions[row.key] = msgspec.structs.replace(
            self.executions[row.key],
            phase=event.phase,
            text=event.text,
            output=event.output,
            metrics=event.metrics,
            selection=event.selection,
        )
        self._tell(at_ms, row.key, self._ended(row))

    def _ended(self, row: Row) -> str:
        words = [row.phase.value]
        if row.began_ms is not None and row.ended_ms is not None:
            words.append(f"after {(row.ended_ms - row.began_ms) / 1000:.1f} s")
        if row.metrics and row.phase is ExecutionPhase.SUCCEEDED:
            words.append(metrics_text(row.metrics))
        if row.text:
            words.append(row.text)
        return ": ".join([" ".join(words[:2]), *words[2:]]) if row.began_ms else ": ".join(words)

    def _reading(self, reading: Readings) -> None:
        row = self._row(reading.job)
        if row is None:
            return
        for sample in reading.samples:
            if sample.name == "progress" and reading.rank == 0:
                self._progress(row, sample.value, sample.at_ms)
            elif sample.name == "system/memory_usage_bytes" and reading.rank == 0:
                row.memory_bytes = sample.value
            elif reading.rank == 0 and not sample.name.startswith(HIDDEN):
                row.metrics[sample.name] = sample.value

    def _progress(self, row: Row, value: float, at_ms: int) -> None:
        before = row.progress or 0.0
        row.progress = value
        quarter = int(value * 4)
        if quarter > int(before * 4) and value < 1:
            text = f"{value:.0%}"
            if row.metrics:
                text += f", {metrics_text(row.metrics)}"
            self._tell(at_ms, row.key, text)

    def _tell(self, at_ms: int, key: str, text: str) -> None:
        self.news.append((at_ms, key, text))


def metrics_text(metrics: dict[str, float], most: int = 4) -> str:
    """Write the last metrics in one short line."""
    return "  ".join(f"{name} {value:.4g}" for name, value in list(metrics.items())[:most])
