"""Take an override from a person: whose step it is, what was decided about it, what it was.

Raises:  NotFound: no such step or job · NotAllowed: it is another person's, or the scope is missing
         Conflict: it cannot be, with the sentence why not · InvalidInput: a reason beyond all reason
"""

from __future__ import annotations

from makeway.errors import Conflict, InvalidInput
from makeway.live.behind import Behind
from makeway.live.cached import named
from makeway.live.rights import assert_may, assert_owns
from makeway.model.event import StepOverridden
from makeway.model.job import Job
from makeway.model.workflow import Execution, Run, run_of
from makeway.store.as_it_ended import job_as_it_ended, run_as_it_ended
from makeway.store.database import Database
from makeway.store.decisions import DecisionFilter, list_decisions
from makeway.store.read import get_execution, get_job, get_run
from makeway.wire.jobs import Overridden, Override
from makeway.wire.tokens import Caller, Scope

REASON_MAX = 500
CONCLUDED = ("stop", "retry", "requeue")


def override(service: Behind, caller: Caller, ref: str, wanted: Override) -> Overridden:
    """Let it be so, and say what it is now."""
    assert_may(caller, Scope.OPERATE)
    if len(wanted.reason) > REASON_MAX or not (wanted.reason.isprintable() or not wanted.reason):
        problem = f"a reason is a text of at most {REASON_MAX} signs on one line"
        raise InvalidInput(problem, where="reason")
    reader = service.reader
    job, step = named(reader, ref)
    name = job or step or ref
    assert_owns(caller, _owner(reader, job, name), f"step {name}")
    was, run, executions = _as_it_ended(reader, job, step)
    event = StepOverridden(
        job=name, act=wanted.act, user=caller.user, reason=wanted.reason,
        against=_against(reader, name), run=run, executions=executions,
        was=was if wanted.act == "retry" or step is None else None,
    )  # fmt: skip
    for refused in service.inbox.tell([event]).refused:
        if refused.event is event:
            raise Conflict(refused.why, where=f"step {name}")
    state = get_execution(reader, name).phase.value if step else get_job(reader, name).phase.value
    return Overridden(
        step=name, act=wanted.act, user=caller.user, reason=wanted.reason, against=event.against,
        text=event.text, state=state,
    )  # fmt: skip


def _owner(reader: Database, job: str | None, name: str) -> str:
    return get_run(reader, run_of(name)).row.user if job is None else get_job(reader, job).spec.user


def _as_it_ended(
    reader: Database, job: str | None, step: str | None
) -> tuple[Job | None, Run | None, tuple[Execution, ...]]:
    """Give what has ended, and so has to be brought along."""
    was = (
        None
        if job is None or not get_job(reader, job).phase.final
        else job_as_it_ended(reader, job)
    )
    if step is None or not get_run(reader, run_of(step)).row.phase.final:
        return was, None, ()
    return was, *run_as_it_ended(reader, run_of(step))


def _against(reader: Database, name: str) -> str:
    """Say what was decided last, in the sentence that stands in the list of decisions."""
    for row in list_decisions(reader, DecisionFilter(job=name, limit=20)):
        if row.kind in CONCLUDED and (row.rule or row.text):
            return f"{row.kind}: {row.rule or row.text}"
        if row.kind == "override":
            return f"{row.rule}: {row.text}"
    return ""
