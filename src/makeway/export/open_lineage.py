"""Write attempts and runs as events of OpenLineage, and send them to who keeps them.

An attempt is a run of OpenLineage: START when it gets its allocation, then COMPLETE, FAIL or ABORT
(preempted or cancelled: it did not fail). A run of a workflow is one too, and the parent of its
attempts. What is known only of makeway stands in facets of its own: the diagnosis, the resources
and the final metrics.

Takes:   entries of the log, and a store to look up what they are about
Gives:   events of the OpenLineage client; an id is made from ours, so that an event that is sent
         twice is the same event
Source:  OpenLineage specification 2-0-2
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import attr
from openlineage.client.facet_v2 import (
    dataset_version_dataset,
    error_message_run,
    execution_parameters_run,
    job_type_job,
    parent_run,
)
from openlineage.client.generated.base import (
    DatasetFacet,
    EventType,
    InputDataset,
    Job,
    OutputDataset,
    Run,
    RunEvent,
    RunFacet,
)

from makeway.export.told import Data, Ran, ran
from makeway.model.event import AttemptEnded, AttemptStarted, Entry, RunFinished, RunSubmitted
from makeway.model.phase import RunPhase
from makeway.store.database import Database
from makeway.store.read import get_run
from makeway.version import __version__

PRODUCER = f"urn:makeway:{__version__}"
NAMES = uuid.UUID("6f0d3c5e-0c1b-5b0e-9c6c-6d616b657761")
ENDS = {
    "succeeded": EventType.COMPLETE, "failed": EventType.FAIL, "aborted": EventType.ABORT,
}  # fmt: skip
LANGUAGE = "PYTHON"
RUN_ENDS = {RunPhase.FAILED: EventType.FAIL, RunPhase.CANCELLED: EventType.ABORT}


@attr.define
class DiagnosisRunFacet(RunFacet):
    """Why an attempt ended as it did, and what is done about it."""

    cause: str
    causeClass: str  # noqa: N815 - as all fields of OpenLineage
    confidence: str
    text: str
    hint: str
    decision: str
    evidence: list[str] = attr.field(factory=list)

    @staticmethod
    def _get_schema() -> str:
        return "urn:makeway:facets:1:diagnosis"


@attr.define
class ResourcesRunFacet(RunFacet):
    """What an attempt held: `perWorker` in whole units of makeway, and where."""

    workers: int
    queue: str
    nodes: dict[str, int]
    perWorker: dict[str, int]  # noqa: N815

    @staticmethod
    def _get_schema() -> str:
        return "urn:makeway:facets:1:resources"


@attr.define
class MetricsRunFacet(RunFacet):
    """The final metrics that an attempt reported."""

    metrics: dict[str, float]

    @staticmethod
    def _get_schema() -> str:
        return "urn:makeway:facets:1:metrics"


class Writer:
    """Writes events; see the module."""

    def __init__(self, database: Database, namespace: str) -> None:
        """Take where to look things up, and the namespace of all jobs and datasets."""
        self._database, self._namespace = database, namespace

    def written(self, entry: Entry) -> Iterator[RunEvent]:
        """Give the event that an entry of the log leads to; most lead to none."""
        match entry.event:
            case AttemptStarted(job=job, number=number):
                yield from self._attempt(entry.at_ms, job, number, ended=False)
            case AttemptEnded(job=job, number=number):
                yield from self._attempt(entry.at_ms, job, number, ended=True)
            case RunSubmitted(run=run, workflow=workflow):
                yield self._run(entry.at_ms, EventType.START, run, workflow.name)
            case RunFinished(run=run, phase=phase, text=text):
                how = RUN_ENDS.get(phase, EventType.COMPLETE)
                name = get_run(self._database, run).row.workflow
                yield self._run(entry.at_ms, how, run, name, text)
            case _:
                pass

    def _run(self, at_ms: int, how: EventType, run: str, name: str, text: str = "") -> RunEvent:
        facets: dict[str, RunFacet] = {}
        if how is EventType.FAIL:
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
                message=text or "the run failed", programmingLanguage=LANGUAGE, producer=PRODUCER
            )
        return RunEvent(
            eventTime=_time(at_ms), eventType=how, producer=PRODUCER,
            run=Run(runId=uuid_of(run), facets=facets), job=self._job(name, "JOB"),
        )  # fmt: skip

    def _attempt(self, at_ms: int, job: str, number: int, *, ended: bool) -> Iterator[RunEvent]:
        known = ran(self._database, job, number)
        if known is None:
            return
        facets = self._facets(known)
        if ended:
            facets |= _end_facets(known)
        trains = ended and any(data.kind == "model" for data in known.makes)
        yield RunEvent(
            eventTime=_time(at_ms), producer=PRODUCER,
            eventType=ENDS[known.outcome] if ended else EventType.START,
            run=Run(runId=uuid_of(known.attempt.id), facets=facets),
            job=self._job(known.name, "MODEL" if trains else "TASK"),
            inputs=[InputDataset(self._namespace, _name(data), facets=_version(data)) for data in known.reads],
            outputs=[OutputDataset(self._namespace, _name(data), facets=_version(data)) for data in known.makes]
            if ended else [],
        )  # fmt: skip

    def _job(self, name: str, kind: str) -> Job:
        facet = job_type_job.JobTypeJobFacet(
            processingType="BATCH", integration="MAKEWAY", jobType=kind, producer=PRODUCER
        )
        return Job(namespace=self._namespace, name=name, facets={"jobType": facet})

    def _facets(self, known: Ran) -> dict[str, RunFacet]:
        """Give what is known from the beginning: whose it is, what it was given."""
        spec, attempt = known.job.spec, known.attempt
        nodes: dict[str, int] = {}
        for placement in attempt.placements:
            nodes[placement.node] = nodes.get(placement.node, 0) + placement.count
        facets: dict[str, RunFacet] = {
            "makeway_resources": ResourcesRunFacet(
                workers=attempt.workers_count, queue=spec.queue, nodes=nodes,
                perWorker=dict(spec.groups[0].per_worker.amounts), producer=PRODUCER,
            ),
        }  # fmt: skip
        if known.run is not None:
            row = known.run.row
            run, job = uuid_of(row.id), (self._namespace, row.workflow)
            facets["parent"] = parent_run.ParentRunFacet(
                run=parent_run.Run(runId=run), job=parent_run.Job(*job),
                root=parent_run.Root(parent_run.RootRun(runId=run), parent_run.RootJob(*job)),
                producer=PRODUCER,
            )  # fmt: skip
        if known.params:
            facets["executionParameters"] = execution_parameters_run.ExecutionParametersRunFacet(
                parameters=[
                    execution_parameters_run.ExecutionParameter(key=key, name=key, value=value)
                    for key, value in known.params.items()
                ],
                producer=PRODUCER,
            )
        return facets


def _end_facets(known: Ran) -> dict[str, RunFacet]:
    """Give what is known at the end alone: what came of it, and why."""
    facets: dict[str, RunFacet] = {}
    finite = {name: value for name, value in known.metrics.items() if math.isfinite(value)}
    if finite:
        facets["makeway_metrics"] = MetricsRunFacet(metrics=finite, producer=PRODUCER)
    diagnosis, decision = known.attempt.diagnosis, known.attempt.decision
    if diagnosis is None or known.outcome == "succeeded":
        return facets
    facets["makeway_diagnosis"] = DiagnosisRunFacet(
        cause=diagnosis.cause, causeClass=diagnosis.cause_class, confidence=diagnosis.confidence,
        text=diagnosis.text, hint=diagnosis.hint, decision=decision.text if decision else "",
        evidence=[one.text for one in diagnosis.evidence], producer=PRODUCER,
    )  # fmt: skip
    if known.outcome == "failed":
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message=diagnosis.text, programmingLanguage=LANGUAGE, stackTrace=_trace(known),
            producer=PRODUCER,
        )  # fmt: skip
    return facets


def _trace(known: Ran) -> str | None:
    worker = known.first_failed
    if worker is None or worker.error is None:
        return None
    lines = [f"{one.file}:{one.line} {one.function}" for one in worker.error.frames]
    return "\n".join((*lines, f"{worker.error.type}: {worker.error.message}"))


def _name(data: Data) -> str:
    return data.name or data.digest


def _version(data: Data) -> dict[str, DatasetFacet]:
    version = dataset_version_dataset.DatasetVersionDatasetFacet(
        datasetVersion=data.digest, producer=PRODUCER
    )
    return {"version": version}


def uuid_of(name: str) -> str:
    """Give the id of a run for OpenLineage: always the same for the same run or attempt."""
    return str(uuid.uuid5(NAMES, name))


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
