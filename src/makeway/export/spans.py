"""Write runs, steps and attempts as spans of OpenTelemetry.

A span is written when what it is about has ended: an attempt within its step, a step within its
run, a job without a run by itself. Ids are made from ours, so a child is known to belong to its
parent before that has ended, and what is sent twice is the same span. The names are those of the
semantic conventions for pipelines; `error.type` is the code of the cause.

Takes:   entries of the log, and a store to look up what they are about
Gives:   spans of the OpenTelemetry SDK; times in ns since 1970
Source:  OpenTelemetry semantic conventions, CI/CD attributes (status: development)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from makeway.export.told import Ran, job_outcome, ran
from makeway.model.event import AttemptEnded, Entry, ExecutionEnded, JobFinished, RunFinished
from makeway.model.phase import ExecutionPhase, RunPhase
from makeway.store.database import Database
from makeway.store.read import get_execution, get_job, get_run
from makeway.version import __version__

MS = 1_000_000
RESULTS = {"succeeded": "success", "failed": "failure", "aborted": "cancellation"}
STEP_RESULTS = {
    ExecutionPhase.SUCCEEDED: "success", ExecutionPhase.CACHED: "success",
    ExecutionPhase.SKIPPED: "skip", ExecutionPhase.OMITTED: "skip",
    ExecutionPhase.CANCELLED: "cancellation",
}  # fmt: skip
RUN_RESULTS = {
    RunPhase.SUCCEEDED: "success", RunPhase.SUCCEEDED_WITH_FAILURES: "success",
    RunPhase.CANCELLED: "cancellation",
}  # fmt: skip
GOOD = ("success", "skip", "cancellation")
Attributes = dict[str, str | int | float]
Kin = tuple[str, str, str | None]  # names of the trace, of the span itself, of its parent


class Writer:
    """Writes spans; see the module."""

    def __init__(self, database: Database, service: str) -> None:
        """Take where to look things up, and as which service all of it is told."""
        self._database = database
        self._resource = Resource({"service.name": service, "service.version": __version__})
        self._scope = InstrumentationScope("makeway", __version__)

    def written(self, entry: Entry) -> Iterator[ReadableSpan]:
        """Give the spans that an entry of the log ends: mostly none."""
        match entry.event:
            case AttemptEnded(job=job, number=number):
                known = ran(self._database, job, number)
                if known is not None:
                    yield self._attempt(known, entry.at_ms)
            case ExecutionEnded(execution=execution):
                yield self._step(execution, entry.at_ms)
            case JobFinished(job=job):
                yield from self._job(job, entry.at_ms)
            case RunFinished(run=run):
                yield self._run(run, entry.at_ms)
            case _:
                pass

    def _attempt(self, known: Ran, at_ms: int) -> ReadableSpan:
        attempt, spec = known.attempt, known.job.spec
        peaks = [one.memory_peak_bytes or 0 for one in attempt.workers]
        about: Attributes = {
            "cicd.pipeline.task.name": known.name,
            "cicd.pipeline.task.run.id": attempt.id,
            "cicd.pipeline.task.run.result": RESULTS[known.outcome],
            "makeway.attempt": attempt.number,
            "makeway.queue": spec.queue,
            "makeway.workers": attempt.workers_count,
            "process.memory.usage": max(peaks, default=0),
        }
        if known.outcome != "succeeded" and attempt.diagnosis is not None:
            about["error.type"] = str(attempt.diagnosis.cause)
        text = attempt.diagnosis.text if attempt.diagnosis else ""
        return self._span(
            f"{known.name} attempt {attempt.number}", (attempt.started_at_ms, at_ms), about,
            kin=(spec.run or known.job.id, attempt.id, known.job.id),
            wrong=text if known.outcome == "failed" else None,
        )  # fmt: skip

    def _step(self, execution: str, at_ms: int) -> ReadableSpan:
        step = get_execution(self._database, execution)
        run = get_run(self._database, step.run).row
        result = STEP_RESULTS.get(step.phase, "failure")
        about: Attributes = {
            "cicd.pipeline.name": run.workflow, "cicd.pipeline.run.id": run.id,
            "cicd.pipeline.task.name": step.key, "cicd.pipeline.task.run.id": step.id,
            "cicd.pipeline.task.run.result": result,
        }  # fmt: skip
        if result == "failure" and step.attempt and step.attempt.diagnosis:
            about["error.type"] = str(step.attempt.diagnosis.cause)
        began_ms = step.started_at_ms if step.started_at_ms is not None else at_ms
        return self._span(
            step.key, (began_ms, at_ms), about, kin=(run.id, step.id, run.id),
            wrong=None if result in GOOD else step.text,
        )  # fmt: skip

    def _job(self, job: str, at_ms: int) -> Iterator[ReadableSpan]:
        """Tell of a job by itself; that of a step is told of as the step."""
        row = get_job(self._database, job)
        if row.spec.run is not None:
            return
        outcome = job_outcome(row.phase)
        about: Attributes = {
            "cicd.pipeline.name": row.spec.name, "cicd.pipeline.run.id": row.id,
            "cicd.pipeline.result": RESULTS[outcome], "makeway.queue": row.spec.queue,
        }  # fmt: skip
        yield self._span(
            row.spec.name, (row.submitted_at_ms, at_ms), about, kin=(row.id, row.id, None),
            wrong=row.text if outcome == "failed" else None,
        )  # fmt: skip

    def _run(self, run: str, at_ms: int) -> ReadableSpan:
        row = get_run(self._database, run).row
        result = RUN_RESULTS.get(row.phase, "failure")
        about: Attributes = {
            "cicd.pipeline.name": row.workflow, "cicd.pipeline.run.id": row.id,
            "cicd.pipeline.result": result, "makeway.queue": row.queue, "enduser.id": row.user,
        }  # fmt: skip
        return self._span(
            row.workflow, (row.submitted_at_ms, at_ms), about, kin=(row.id, row.id, None),
            wrong=None if result in GOOD else row.text,
        )  # fmt: skip

    def _span(
        self, name: str, span_ms: tuple[int, int], about: Attributes, kin: Kin, wrong: str | None
    ) -> ReadableSpan:
        trace, itself, parent = kin
        status = Status(StatusCode.OK) if wrong is None else Status(StatusCode.ERROR, wrong)
        return ReadableSpan(
            name=name, context=_context(trace, itself), attributes=about, status=status,
            parent=_context(trace, parent) if parent is not None else None,
            resource=self._resource, instrumentation_scope=self._scope,
            start_time=span_ms[0] * MS, end_time=span_ms[1] * MS,
        )  # fmt: skip


def _context(trace: str, span: str) -> SpanContext:
    return SpanContext(
        trace_id=_number(trace, 16), span_id=_number(f"{trace}/{span}", 8),
        is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )  # fmt: skip


def _number(name: str, size_bytes: int) -> int:
    """Make an id out of a name: never 0, which is not valid."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:size_bytes]) or 1
