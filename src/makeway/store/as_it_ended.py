"""Say what a job, or a run, was when it ended, out of the views and the log.

What has ended has left the engine's state. So whoever overrides it brings along what it was: a job
with all that its attempts have left to later ones, and a run with the end of each of its steps.

Takes:   the id of a job, of a run, that has ended
Gives:   Job; Run with its executions, the steps of the workflow first
Raises:  NotFound: there is no such job or run
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from makeway.codec import decode_event
from makeway.model import event as ev
from makeway.model.job import Job
from makeway.model.phase import ExecutionPhase
from makeway.model.workflow import Execution, Run
from makeway.store.database import Database
from makeway.store.log import ENTRIES, EVENTS
from makeway.store.read import get_job, get_run, list_attempts, list_executions
from makeway.store.statement import same

OF_JOB = ENTRIES.where(
    same(EVENTS.job), EVENTS.type.in_(("AttemptEnded", "JobRequeued", "JobFinished"))
)
OF_RUN = ENTRIES.where(same(EVENTS.run), EVENTS.type.in_(("RunSubmitted", "ExecutionEnded")))


def job_as_it_ended(database: Database, name: str) -> Job:
    """Give a job that has ended, with what is remembered of its attempts."""
    with database.reading():
        row, attempts = get_job(database, name), list_attempts(database, name)
        events = list(_events(database, OF_JOB, job=name))
    pasts = [one.past for one in events if isinstance(one, ev.AttemptEnded)]
    decisions = [
        one.decision
        for one in events
        if isinstance(one, ev.JobRequeued | ev.JobFinished) and one.decision is not None
    ]
    avoids = [node for one in decisions for node in one.exclude_nodes]
    return Job(
        id=row.id,
        spec=row.spec,
        order=0,
        submitted_at_ms=row.submitted_at_ms,
        phase=row.phase,
        attempts=row.attempts,
        fence=max((one.fence for one in attempts), default=0),
        history=tuple(one for one in decisions if one.action != "stop"),
        past=tuple(one for one in pasts if one is not None),
        avoids=tuple(dict.fromkeys(avoids)),
    )


def run_as_it_ended(database: Database, name: str) -> tuple[Run, tuple[Execution, ...]]:
    """Give a run that is over, and how each of its steps has ended."""
    with database.reading():
        detail, rows = get_run(database, name), list_executions(database, name)
        events = list(_events(database, OF_RUN, run=name))
    submitted = next(one for one in events if isinstance(one, ev.RunSubmitted))
    waived = {one.execution for one in events if isinstance(one, ev.ExecutionEnded) and one.waived}
    run = Run(
        id=name,
        workflow=detail.workflow,
        user=submitted.user,
        queue=submitted.queue,
        priority=submitted.priority,
        resumed_from=submitted.resumed_from,
        reusable={one.cache_key: one for one in submitted.reusable},
        submitted_at_ms=detail.row.submitted_at_ms,
        phase=detail.row.phase,
        fresh=submitted.fresh,
    )
    plain = [row for row in rows if row.key in {step.key for step in run.workflow.steps}]
    again = [row for row in rows if row not in plain]
    executions = tuple(
        Execution(
            id=row.id, run=name, key=row.key, phase=row.phase, text=row.text, output=row.output,
            metrics=dict(row.metrics), cache_key=row.cache_key, selection=row.selection,
            ended_at_ms=row.ended_at_ms or 0,
            waived=row.phase is ExecutionPhase.SKIPPED and row.id in waived,
        )
        for row in (*plain, *again)
    )  # fmt: skip
    return run, executions


def _events(database: Database, query: sa.Select[Any], **of: str) -> Iterator[ev.Event]:
    for row in database.rows(query, of):
        yield decode_event(row[7], row[4], f"event {row[0]}")
